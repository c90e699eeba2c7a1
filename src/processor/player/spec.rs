use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::dsp::cadence::Beat;

/// What a source of tones begins with.
const TONE: &str = "tone:";

/// Most beats of a cadence, and tones of a beat.
const MAX_BEATS: usize = 32;
const MAX_TONES: usize = 4;

/// Tones that can be asked for, in Hz: what every call's rate carries.
const LOWEST_HZ: f64 = 20.0;
const HIGHEST_HZ: f64 = 3_900.0;

/// Longest beat.
const MAX_BEAT: Duration = Duration::from_secs(3_600);

/// What is to be played: a file's name below the root, or `tone:` and beats between commas, each
/// `HZ/MS`, `HZ+HZ/MS`, or `0/MS` for silence, as in `tone:425/1000,0/4000`.
#[derive(Clone, PartialEq, Debug)]
pub enum PlaySpec {
    /// The file of that name.
    File(String),
    /// These tones.
    Tones(Vec<Beat>),
}

/// Why a text does not say what to play.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PlaySpecError {
    /// There is nothing in it.
    #[error("nothing to play: a file's name, or tones such as tone:425/1000,0/4000")]
    Empty,
    /// A beat that is none.
    #[error("{actual:?} is no beat: HZ/MS, HZ+HZ/MS, or 0/MS, with 20 to 3900 Hz")]
    Beat {
        /// What stands there.
        actual: String,
    },
    /// Too many beats.
    #[error("{actual} beats, at most {limit}")]
    TooMany {
        /// How many there are.
        actual: usize,
        /// The most.
        limit: usize,
    },
}

impl FromStr for PlaySpec {
    type Err = PlaySpecError;

    fn from_str(text: &str) -> Result<Self, PlaySpecError> {
        let Some(beats) = text.strip_prefix(TONE) else {
            return match text {
                "" => Err(PlaySpecError::Empty),
                name => Ok(Self::File(name.to_owned())),
            };
        };
        let beats: Vec<&str> = beats.split(',').collect();
        if beats.len() > MAX_BEATS {
            return Err(PlaySpecError::TooMany { actual: beats.len(), limit: MAX_BEATS });
        }
        let beat = |text: &&str| {
            beat(text).ok_or_else(|| PlaySpecError::Beat { actual: (*text).to_owned() })
        };
        beats.iter().map(beat).collect::<Result<_, _>>().map(Self::Tones)
    }
}

fn beat(text: &str) -> Option<Beat> {
    let (tones, ms) = text.trim().split_once('/')?;
    let length = Duration::from_millis(ms.parse().ok()?);
    let frequencies_hz = match tones {
        "0" => Vec::new(),
        tones => tones.split('+').map(|hz| hz.parse().ok()).collect::<Option<Vec<f64>>>()?,
    };
    let audible = frequencies_hz.iter().all(|hz| (LOWEST_HZ..=HIGHEST_HZ).contains(hz));
    let fits = frequencies_hz.len() <= MAX_TONES && !length.is_zero() && length <= MAX_BEAT;
    (audible && fits).then_some(Beat { frequencies_hz, length })
}

impl fmt::Display for PlaySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beats = match self {
            Self::File(name) => return f.write_str(name),
            Self::Tones(beats) => beats,
        };
        f.write_str(TONE)?;
        for (n, beat) in beats.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "," })?;
            for (n, hz) in beat.frequencies_hz.iter().enumerate() {
                write!(f, "{}{hz}", if n == 0 { "" } else { "+" })?;
            }
            let silence = if beat.frequencies_hz.is_empty() { "0" } else { "" };
            write!(f, "{silence}/{}", beat.length.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ringing_tone_is_read_and_written() {
        let text = "tone:425/1000,0/4000,350+440.5/20";
        let spec: PlaySpec = text.parse().unwrap();
        let PlaySpec::Tones(beats) = &spec else { panic!("{spec:?}") };
        let told: Vec<_> =
            beats.iter().map(|b| (&b.frequencies_hz[..], b.length.as_millis())).collect();
        assert_eq!(told, [(&[425.0][..], 1_000), (&[][..], 4_000), (&[350.0, 440.5][..], 20)]);
        assert_eq!(spec.to_string(), text);
        let name = PlaySpec::File("menus/hello.wav".to_owned());
        assert_eq!("menus/hello.wav".parse(), Ok(name.clone()));
        assert_eq!(name.to_string(), "menus/hello.wav");
    }

    #[test]
    fn what_is_no_tone_is_refused_with_what_stands_there() {
        assert_eq!("".parse::<PlaySpec>(), Err(PlaySpecError::Empty));
        for wrong in [
            "",
            "425",
            "425/",
            "/100",
            "425/x",
            "x/100",
            "19/100",
            "4000/100",
            "NaN/100",
            "425/0",
            "425/-1",
            "425+0/100",
            "425/3600001",
            "1+2+3+4+5/10",
            "300+300+300+300+300/10",
        ] {
            let error = PlaySpecError::Beat { actual: wrong.to_owned() };
            let text = format!("tone:425/10,{wrong}");
            assert_eq!(text.parse::<PlaySpec>(), Err(error));
        }
        let many = format!("tone:{}", ["425/10"; 33].join(","));
        let error = PlaySpecError::TooMany { actual: 33, limit: 32 };
        assert_eq!(many.parse::<PlaySpec>(), Err(error));
    }
}
