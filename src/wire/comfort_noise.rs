//! Comfort noise in RTP (RFC 3389): what a sender tells of the noise behind its silence.

use thiserror::Error;

/// The level has no sign: its first bit is unused (section 3.1).
const LEVEL_MASK: u8 = 0x7f;

/// A payload of comfort noise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ComfortNoisePayload<'a> {
    /// Level of the noise in −dBov, 0 to 127 (section 3.1).
    pub level_dbov: u8,
    /// Quantised reflection coefficients of the noise's all-pole model, the first one first
    /// (section 3.2): 0 to 254 for −127 to 127 times 258/32,768; 255 is reserved. Empty where the
    /// sender tells the level only. Their number, the model's order, is not limited; a receiver may
    /// take the first ones and leave the others out (section 3).
    pub reflection: &'a [u8],
}

/// Why bytes are not a payload of comfort noise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ComfortNoiseError {
    /// Not even a level.
    #[error("comfort noise needs {need} byte for its level, have {have}")]
    LevelMissing {
        /// Always 1.
        need: usize,
        /// Length of the payload.
        have: usize,
    },
}

impl ComfortNoiseError {
    /// A metric's label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LevelMissing { .. } => "level_missing",
        }
    }
}

impl<'a> ComfortNoisePayload<'a> {
    /// Reads a payload. The first bit of the level, which a sender must leave 0, is ignored.
    ///
    /// # Errors
    /// [`ComfortNoiseError`] where the payload is empty.
    pub const fn parse(payload: &'a [u8]) -> Result<Self, ComfortNoiseError> {
        match payload {
            [level, reflection @ ..] => Ok(Self { level_dbov: *level & LEVEL_MASK, reflection }),
            [] => Err(ComfortNoiseError::LevelMissing { need: 1, have: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_a_payload() {
        for level in 0..=127 {
            let parsed = ComfortNoisePayload::parse(&[level]).map(|noise| noise.level_dbov);
            assert_eq!(parsed, Ok(level));
        }
    }

    #[test]
    fn the_unused_bit_of_the_level_is_ignored() {
        for level in 0..=127 {
            let bytes = [level | 0x80, 200];
            let expected = ComfortNoisePayload { level_dbov: level, reflection: &[200] };
            assert_eq!(ComfortNoisePayload::parse(&bytes), Ok(expected));
        }
    }

    #[test]
    fn every_byte_behind_the_level_is_a_coefficient() {
        for order in [0, 1, 10, 12, 1_000] {
            let bytes: Vec<u8> = (0..=order).map(|n: usize| n.to_le_bytes()[0]).collect();
            let parsed = ComfortNoisePayload::parse(&bytes).unwrap();
            assert_eq!(parsed.reflection, &bytes[1..]);
        }
    }

    #[test]
    fn an_empty_payload_is_refused_with_what_is_missing() {
        let error = ComfortNoisePayload::parse(&[]).unwrap_err();
        assert_eq!(error, ComfortNoiseError::LevelMissing { need: 1, have: 0 });
        assert_eq!(error.reason(), "level_missing");
        assert_eq!(error.to_string(), "comfort noise needs 1 byte for its level, have 0");
    }
}
