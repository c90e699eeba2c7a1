use crate::audio::SampleRate;

/// What a frame is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `00`: the sender hangs up.
    Hangup,
    /// `01`: the stream's UUID, 16 raw bytes; the first frame from Asterisk.
    Uuid,
    /// `03`: one DTMF digit, an ASCII byte.
    Dtmf,
    /// `10` to `18`: signed linear audio at this rate.
    Audio(SampleRate),
    /// `ff`: the sender met an error.
    Error,
    /// Any other byte.
    Unknown(u8),
}

/// First byte of audio at the lowest rate; the other rates follow in ascending order.
const FIRST_AUDIO: u8 = 0x10;

impl Kind {
    /// The kind that `byte` stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x00 => Self::Hangup,
            0x01 => Self::Uuid,
            0x03 => Self::Dtmf,
            0xff => Self::Error,
            _ => byte
                .checked_sub(FIRST_AUDIO)
                .and_then(|index| SampleRate::ALL.get(usize::from(index)))
                .map_or(Self::Unknown(byte), |&rate| Self::Audio(rate)),
        }
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Hangup => 0x00,
            Self::Uuid => 0x01,
            Self::Dtmf => 0x03,
            Self::Audio(rate) => match rate.hz() {
                8_000 => FIRST_AUDIO,
                12_000 => 0x11,
                16_000 => 0x12,
                24_000 => 0x13,
                32_000 => 0x14,
                44_100 => 0x15,
                48_000 => 0x16,
                96_000 => 0x17,
                _ => 0x18,
            },
            Self::Error => 0xff,
            Self::Unknown(byte) => byte,
        }
    }
}

/// What an error frame tells: bits that may be combined, 0 where the sender gave none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ErrorCode(pub u8);

impl ErrorCode {
    /// No reason was given.
    pub const NONE: Self = Self(0);
    /// The channel was hung up.
    pub const HANGUP: Self = Self(1);
    /// A frame could not be forwarded.
    pub const FRAME_FORWARDING: Self = Self(2);
    /// Memory could not be had.
    pub const MEMORY: Self = Self(4);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_kind_and_every_kind_its_byte() {
        for byte in 0..=u8::MAX {
            assert_eq!(Kind::from_byte(byte).byte(), byte);
        }
    }

    #[test]
    fn the_rates_have_the_kinds_of_the_protocol() {
        let rates = [8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000_u32];
        for (byte, hz) in (0x10_u8..).zip(rates) {
            assert_eq!(Kind::from_byte(byte), Kind::Audio(SampleRate::try_from(hz).unwrap()));
        }
        assert_eq!(Kind::from_byte(0x0f), Kind::Unknown(0x0f));
        assert_eq!(Kind::from_byte(0x19), Kind::Unknown(0x19));
    }

    #[test]
    fn error_bits_combine() {
        let code = ErrorCode(6);
        assert!(code.contains(ErrorCode::FRAME_FORWARDING) && code.contains(ErrorCode::MEMORY));
        assert!(!code.contains(ErrorCode::HANGUP));
    }
}
