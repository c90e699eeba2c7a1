use crate::dsp::{g711, l16};

/// How a service wants samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// 16 bits, little-endian.
    #[default]
    Linear16,
    /// G.711 µ-law.
    Mulaw,
    /// G.711 A-law.
    Alaw,
}

impl Encoding {
    /// Every encoding with its name, which is also the one that services know it by.
    pub const WORDS: [(&'static str, Self); 3] =
        [("linear16", Self::Linear16), ("mulaw", Self::Mulaw), ("alaw", Self::Alaw)];

    /// The encoding's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear16 => "linear16",
            Self::Mulaw => "mulaw",
            Self::Alaw => "alaw",
        }
    }

    /// The samples as the service wants them. Allocates.
    #[must_use]
    pub fn encode(self, samples: &[i16]) -> Vec<u8> {
        let bytes = if self == Self::Linear16 { samples.len() * 2 } else { samples.len() };
        let mut encoded = vec![0; bytes];
        match self {
            Self::Linear16 => l16::encode_le(samples, &mut encoded),
            Self::Mulaw => g711::ulaw_encode(samples, &mut encoded),
            Self::Alaw => g711::alaw_encode(samples, &mut encoded),
        };
        encoded
    }
}
