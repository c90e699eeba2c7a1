use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ClockRate, SampleRate};

/// How samples are written on the wire, by Asterisk's format names.
///
/// Byte order is not part of it: `slin` is big-endian on RTP and little-endian on AudioSocket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MediaFormat {
    /// G.711 µ-law, 8 kHz, one byte a sample.
    Ulaw,
    /// G.711 A-law, 8 kHz, one byte a sample.
    Alaw,
    /// G.722 at 64 kbit/s: audio of 16 kHz, two samples a byte.
    G722,
    /// Opus (RFC 6716), packets of any length.
    Opus,
    /// Signed linear, 16 bit, at any of Asterisk's rates.
    Slin(SampleRate),
}

/// A format name that is unknown or not served.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "format {actual:?} is not served; allowed: ulaw, alaw, g722, opus, slin, slin12, slin16, slin24, slin32, slin44, slin48, slin96, slin192"
)]
pub struct FormatError {
    /// The name that was given.
    pub actual: String,
}

impl MediaFormat {
    /// Every format, in the order of the error text.
    pub const ALL: [Self; 13] = [
        Self::Ulaw,
        Self::Alaw,
        Self::G722,
        Self::Opus,
        Self::Slin(SampleRate::HZ_8000),
        Self::Slin(SampleRate::HZ_12000),
        Self::Slin(SampleRate::HZ_16000),
        Self::Slin(SampleRate::HZ_24000),
        Self::Slin(SampleRate::HZ_32000),
        Self::Slin(SampleRate::HZ_44100),
        Self::Slin(SampleRate::HZ_48000),
        Self::Slin(SampleRate::HZ_96000),
        Self::Slin(SampleRate::HZ_192000),
    ];

    /// Asterisk's name of the format, as `externalMedia` takes it.
    #[must_use]
    pub const fn asterisk_name(self) -> &'static str {
        match self {
            Self::Ulaw => "ulaw",
            Self::Alaw => "alaw",
            Self::G722 => "g722",
            Self::Opus => "opus",
            Self::Slin(rate) => match rate.hz() {
                8_000 => "slin",
                12_000 => "slin12",
                16_000 => "slin16",
                24_000 => "slin24",
                32_000 => "slin32",
                44_100 => "slin44",
                48_000 => "slin48",
                96_000 => "slin96",
                _ => "slin192",
            },
        }
    }

    /// Samples per second of the audio. Of Opus the most that it carries: it is decoded at any of
    /// its rates, whatever its sender's was.
    #[must_use]
    pub const fn sample_rate(self) -> SampleRate {
        match self {
            Self::Ulaw | Self::Alaw => SampleRate::HZ_8000,
            Self::G722 => SampleRate::HZ_16000,
            Self::Opus => SampleRate::HZ_48000,
            Self::Slin(rate) => rate,
        }
    }

    /// Ticks per second of the RTP timestamp: the sample rate, but 8 kHz for G.722 (RFC 3551 section
    /// 4.5.2).
    #[must_use]
    pub const fn clock_rate(self) -> ClockRate {
        match self {
            Self::G722 => ClockRate::new(8_000),
            other => ClockRate::new(other.sample_rate().hz()),
        }
    }

    /// The RTP payload type that Asterisk's UnicastRTP gives to this format, and expects back.
    ///
    /// Observed on Asterisk 22 (`main/rtp_engine.c` holds the table). For `slin` at 8 kHz
    /// Asterisk sends 10 where its documentation says 11: see [`Self::accepts_payload_type`].
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Ulaw => 0,
            Self::Alaw => 8,
            Self::G722 => 9,
            Self::Opus => 107,
            Self::Slin(rate) => match rate.hz() {
                8_000 => 10,
                12_000 => 122,
                16_000 => 118,
                24_000 => 123,
                32_000 => 124,
                44_100 => 125,
                48_000 => 126,
                96_000 => 127,
                _ => 96,
            },
        }
    }

    /// Whether a packet of payload type `pt` carries this format.
    #[must_use]
    pub const fn accepts_payload_type(self, pt: u8) -> bool {
        let narrow_slin = matches!(self, Self::Slin(rate) if rate.hz() == 8_000);
        pt == self.payload_type() || (narrow_slin && pt == 11)
    }

    /// Whether the payload type is one of RFC 3551's static ones, up to 34.
    #[must_use]
    pub const fn has_static_payload_type(self) -> bool {
        self.payload_type() <= 34
    }

    /// Whether a payload of so many bytes can be one of this format: something, and whole samples.
    #[must_use]
    pub const fn allows_payload_of(self, bytes: usize) -> bool {
        match self {
            Self::Slin(_) => bytes > 0 && bytes.is_multiple_of(2),
            Self::Ulaw | Self::Alaw | Self::G722 | Self::Opus => bytes > 0,
        }
    }
}

impl FromStr for MediaFormat {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        Self::ALL
            .into_iter()
            .find(|format| format.asterisk_name() == name)
            .ok_or_else(|| FormatError { actual: name.to_owned() })
    }
}

impl TryFrom<String> for MediaFormat {
    type Error = FormatError;

    fn try_from(name: String) -> Result<Self, FormatError> {
        name.parse()
    }
}

impl From<MediaFormat> for String {
    fn from(format: MediaFormat) -> Self {
        format.asterisk_name().to_owned()
    }
}

impl fmt::Display for MediaFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.asterisk_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_payload_types_are_distinct() {
        let mut seen = Vec::new();
        for format in MediaFormat::ALL {
            assert_eq!(format.asterisk_name().parse(), Ok(format));
            assert!(format.accepts_payload_type(format.payload_type()));
            assert!(!seen.contains(&format.payload_type()), "{format}");
            seen.push(format.payload_type());
        }
    }

    #[test]
    fn narrow_slin_accepts_both_of_asterisks_payload_types() {
        let slin = MediaFormat::Slin(SampleRate::HZ_8000);
        assert!(slin.accepts_payload_type(10) && slin.accepts_payload_type(11));
        assert!(!MediaFormat::Slin(SampleRate::HZ_16000).accepts_payload_type(11));
    }

    #[test]
    fn the_clock_of_g722_is_not_its_sample_rate() {
        assert_eq!(MediaFormat::G722.sample_rate(), SampleRate::HZ_16000);
        assert_eq!(MediaFormat::G722.clock_rate().hz(), 8_000);
        assert_eq!(MediaFormat::Opus.clock_rate().hz(), 48_000);
        assert_eq!(MediaFormat::Slin(SampleRate::HZ_44100).clock_rate().hz(), 44_100);
    }

    #[test]
    fn a_payload_is_never_empty_and_has_whole_samples() {
        for format in MediaFormat::ALL {
            assert!(!format.allows_payload_of(0) && format.allows_payload_of(160), "{format}");
            let odd = !matches!(format, MediaFormat::Slin(_));
            assert_eq!(format.allows_payload_of(161), odd, "{format}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        let error = "slin8".parse::<MediaFormat>().expect_err("Asterisk has no slin8");
        assert!(error.to_string().starts_with("format \"slin8\" is not served"));
    }
}
