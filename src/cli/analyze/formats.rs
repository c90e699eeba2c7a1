use std::str::FromStr;

use thiserror::Error;

use crate::audio::{FormatError, MediaFormat};
use crate::call::Transport;
use crate::wire::PayloadType;

/// Payload types of what travels beside the audio, as the engine knows them.
const COMFORT_NOISE: u8 = 13;
const TELEPHONE_EVENT: u8 = 101;

/// A payload type that no format has (RFC 3551 section 6: reserved): for packets that the engine
/// shall count as foreign.
const FOREIGN: u8 = 1;

/// What packets of a payload type carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Payload {
    /// Audio.
    Audio(MediaFormat),
    /// Comfort noise or telephone events: under this payload type to the engine.
    Side(u8),
}

impl Payload {
    /// Its name, as `--format` takes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Audio(format) => format.asterisk_name(),
            Self::Side(COMFORT_NOISE) => "cn",
            Self::Side(_) => "telephone-event",
        }
    }
}

/// One `--format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assignment {
    payload_type: PayloadType,
    payload: Payload,
}

/// Why a `--format` is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AssignmentError {
    /// There is no `=`.
    #[error("expected PT=FORMAT, such as 111=opus")]
    Form,
    /// The number is none, or too large.
    #[error("payload type {actual:?} is not allowed; allowed: 0 to 127")]
    PayloadType {
        /// What was given.
        actual: String,
    },
    /// The name is not known.
    #[error("{0}; and cn, telephone-event")]
    Format(#[from] FormatError),
    /// The format does not travel over RTP.
    #[error("{actual} does not travel over RTP")]
    NotOverRtp {
        /// What was given.
        actual: MediaFormat,
    },
}

impl FromStr for Assignment {
    type Err = AssignmentError;

    fn from_str(text: &str) -> Result<Self, AssignmentError> {
        let (number, name) = text.split_once('=').ok_or(AssignmentError::Form)?;
        let payload_type = number.parse().ok().and_then(PayloadType::new);
        let payload_type = payload_type
            .ok_or_else(|| AssignmentError::PayloadType { actual: number.to_owned() })?;
        let payload = match name {
            "cn" => Payload::Side(COMFORT_NOISE),
            "telephone-event" => Payload::Side(TELEPHONE_EVENT),
            name => {
                let format: MediaFormat = name.parse()?;
                if !Transport::Rtp.carries(format) {
                    return Err(AssignmentError::NotOverRtp { actual: format });
                }
                Payload::Audio(format)
            }
        };
        Ok(Self { payload_type, payload })
    }
}

/// What each payload type carries, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Formats([Option<Payload>; 128]);

impl Formats {
    /// RFC 3551's static payload types and Asterisk's numbers for the dynamic ones, with
    /// `assignments` over them; of several for the same payload type the last counts.
    ///
    /// 10 and 11 are `slin`, as Asterisk uses them; by RFC 3551 they are L16 of 44.1 kHz.
    pub(super) fn new(assignments: &[Assignment]) -> Self {
        let mut table = [None; 128];
        for (number, slot) in (0..).zip(&mut table) {
            let mut formats = Transport::Rtp.formats().iter();
            let format = formats.find(|format| format.accepts_payload_type(number));
            *slot = format.map(|format| Payload::Audio(*format));
        }
        for number in [COMFORT_NOISE, TELEPHONE_EVENT] {
            table[usize::from(number)] = Some(Payload::Side(number));
        }
        for Assignment { payload_type, payload } in assignments {
            table[usize::from(payload_type.value())] = Some(*payload);
        }
        Self(table)
    }

    /// What packets of this payload type carry.
    pub(super) fn of(&self, payload_type: PayloadType) -> Option<Payload> {
        self.0[usize::from(payload_type.value())]
    }

    /// The payload type under which an engine in `format` knows packets of `payload_type`.
    pub(super) fn translate(&self, payload_type: PayloadType, format: MediaFormat) -> u8 {
        match self.of(payload_type) {
            Some(Payload::Audio(carried)) if carried == format => format.payload_type(),
            Some(Payload::Side(number)) => number,
            _ => FOREIGN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SampleRate;

    fn pt(value: u8) -> PayloadType {
        PayloadType::new(value).unwrap()
    }

    #[test]
    fn what_is_not_told_is_known_by_rfc_3551_and_by_asterisks_table() {
        let formats = Formats::new(&[]);
        let name = |value| formats.of(pt(value)).map(Payload::name);
        for (number, expected) in [
            (0, "ulaw"),
            (8, "alaw"),
            (9, "g722"),
            (10, "slin"),
            (11, "slin"),
            (13, "cn"),
            (101, "telephone-event"),
            (107, "opus"),
            (118, "slin16"),
        ] {
            assert_eq!(name(number), Some(expected), "{number}");
        }
        // slin192, which has this number elsewhere, does not travel over RTP.
        assert_eq!((name(96), name(111), name(34)), (None, None, None));
    }

    #[test]
    fn an_assignment_is_stronger_and_the_engine_is_given_its_own_number() {
        let assignments = ["111=opus", "107=slin16", "96=telephone-event", "97=cn"];
        let formats = Formats::new(&assignments.map(|text| text.parse().unwrap()));
        let slin16 = MediaFormat::Slin(SampleRate::HZ_16000);
        assert_eq!(formats.translate(pt(111), MediaFormat::Opus), 107);
        assert_eq!(formats.translate(pt(107), slin16), 118);
        assert_eq!(formats.translate(pt(96), slin16), 101);
        assert_eq!(formats.translate(pt(97), slin16), 13);
        for (number, format) in [(107, MediaFormat::Opus), (99, slin16), (0, slin16)] {
            let told = formats.translate(pt(number), format);
            assert!(MediaFormat::ALL.iter().all(|format| !format.accepts_payload_type(told)));
        }
    }

    #[test]
    fn a_wrong_assignment_is_told_with_what_is_allowed() {
        let error = |text: &str| text.parse::<Assignment>().unwrap_err().to_string();
        assert!(error("opus").contains("111=opus"));
        for text in ["128=opus", "-1=opus", "=opus", "x=opus"] {
            assert!(error(text).contains("0 to 127"), "{text}");
        }
        assert!(error("96=g729").contains("allowed: ulaw") && error("96=g729").contains("cn"));
        assert!(error("96=slin192").contains("slin192"));
    }
}
