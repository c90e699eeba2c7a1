use super::encoder::Encoder;
use super::opus_stream::{OpusStream, PACKET};
use crate::audio::SampleRate;
use crate::dsp::{g711, opus};

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
    /// Opus (RFC 6716), mono: packets of 20 ms without a container, each a message.
    Opus,
}

impl Encoding {
    /// Every encoding with its name, which is also the one that services know it by.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("linear16", Self::Linear16),
        ("mulaw", Self::Mulaw),
        ("alaw", Self::Alaw),
        ("opus", Self::Opus),
    ];

    /// The encoding's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear16 => "linear16",
            Self::Mulaw => "mulaw",
            Self::Alaw => "alaw",
            Self::Opus => "opus",
        }
    }

    /// The rates that it has, ascending.
    #[must_use]
    pub const fn rates(self) -> &'static [SampleRate] {
        match self {
            Self::Linear16 | Self::Mulaw | Self::Alaw => &SampleRate::ALL,
            Self::Opus => &opus::RATES,
        }
    }

    /// The rate of the encoded audio where `wanted` is the one that it would best have: that one, or
    /// the next one above that the encoding has, or its highest.
    #[must_use]
    pub fn rate_for(self, wanted: SampleRate) -> SampleRate {
        let above = self.rates().iter().find(|rate| **rate >= wanted);
        *above.or(self.rates().last()).expect("every encoding has a rate")
    }

    /// Samples of one message, where all messages are equally long.
    pub(super) const fn message_samples(self, rate: SampleRate) -> Option<usize> {
        match self {
            Self::Linear16 | Self::Mulaw | Self::Alaw => None,
            Self::Opus => Some(PACKET.samples(rate)),
        }
    }

    /// An encoder for one connection, at one of [`Self::rates`]. Allocates.
    ///
    /// # Panics
    /// At any other rate, with [`Self::Opus`].
    pub(super) fn encoder(self, rate: SampleRate) -> Encoder {
        match self {
            Self::Linear16 => Encoder::Linear16,
            Self::Mulaw => Encoder::G711(g711::ulaw_encode),
            Self::Alaw => Encoder::G711(g711::alaw_encode),
            Self::Opus => Encoder::Opus(OpusStream::new(rate)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_has_its_own_rate_or_the_next_one_above_that_the_encoding_has() {
        for (wanted, opus) in [
            (SampleRate::HZ_8000, SampleRate::HZ_8000),
            (SampleRate::HZ_12000, SampleRate::HZ_12000),
            (SampleRate::HZ_16000, SampleRate::HZ_16000),
            (SampleRate::HZ_24000, SampleRate::HZ_24000),
            (SampleRate::HZ_32000, SampleRate::HZ_48000),
            (SampleRate::HZ_44100, SampleRate::HZ_48000),
            (SampleRate::HZ_48000, SampleRate::HZ_48000),
            (SampleRate::HZ_96000, SampleRate::HZ_48000),
            (SampleRate::HZ_192000, SampleRate::HZ_48000),
        ] {
            assert_eq!(Encoding::Opus.rate_for(wanted), opus);
            for encoding in [Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw] {
                assert_eq!(encoding.rate_for(wanted), wanted);
            }
        }
    }

    #[test]
    fn every_encoding_has_its_name() {
        for (name, encoding) in Encoding::WORDS {
            assert_eq!(encoding.name(), name);
        }
    }
}
