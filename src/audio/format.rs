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
    /// Signed linear, 16 bit, at any of Asterisk's rates.
    Slin(SampleRate),
}

/// A format name that is unknown or not served.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "format {actual:?} is not served; allowed: ulaw, alaw, slin, slin12, slin16, slin24, slin32, slin44, slin48, slin96, slin192"
)]
pub struct FormatError {
    /// The name that was given.
    pub actual: String,
}

impl MediaFormat {
    /// Every format, in the order of the error text.
    pub const ALL: [Self; 11] = [
        Self::Ulaw,
        Self::Alaw,
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

    /// Samples per second of the audio.
    #[must_use]
    pub const fn sample_rate(self) -> SampleRate {
        match self {
            Self::Ulaw | Self::Alaw => SampleRate::HZ_8000,
            Self::Slin(rate) => rate,
        }
    }

    /// Ticks per second of the RTP timestamp.
    #[must_use]
    pub const fn clock_rate(self) -> ClockRate {
        ClockRate::new(self.sample_rate().hz())
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

    /// The format in which Asterisk's UnicastRTP takes audio back on a channel of this format.
    ///
    /// Without SDP it knows the static payload types only, and drops what comes with any other
    /// (`docs/assumptions.md`); those it takes on a channel of any format.
    #[must_use]
    pub const fn returned_over_rtp(self) -> Self {
        match self {
            Self::Slin(_) => Self::Slin(SampleRate::HZ_8000),
            static_type => static_type,
        }
    }

    /// Bytes of one sample on the wire.
    #[must_use]
    pub const fn bytes_per_sample(self) -> usize {
        match self {
            Self::Ulaw | Self::Alaw => 1,
            Self::Slin(_) => 2,
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
    fn an_unknown_name_is_refused_by_name() {
        let error = "slin8".parse::<MediaFormat>().expect_err("Asterisk has no slin8");
        assert!(error.to_string().starts_with("format \"slin8\" is not served"));
    }
}
