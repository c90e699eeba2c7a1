use std::ops::AddAssign;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Who told of a digit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(usize)]
pub enum DigitSource {
    /// A frame of the AudioSocket.
    AudioSocket,
    /// Telephone-events in RTP (RFC 4733).
    Rtp,
    /// Asterisk's ARI.
    Ari,
    /// Its tones, heard in the caller's audio.
    Inband,
}

impl DigitSource {
    /// Every source, in the order of [`DigitCounts`].
    pub const ALL: [Self; 4] = [Self::AudioSocket, Self::Rtp, Self::Ari, Self::Inband];

    /// The source as events and metrics name it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AudioSocket => "audiosocket",
            Self::Rtp => "rtp",
            Self::Ari => "ari",
            Self::Inband => "inband",
        }
    }
}

/// A key that the caller pressed, as one source tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digit {
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub key: char,
    /// Who tells it.
    pub source: DigitSource,
    /// How long it was pressed, where the source knows: up to now, of one that is told as it begins.
    pub duration: Option<Duration>,
}

impl Digit {
    /// A digit of `key`, in whichever case; `None` where that is on no keypad.
    #[must_use]
    pub fn new(key: char, source: DigitSource, duration: Option<Duration>) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        let known = matches!(key, '0'..='9' | 'A'..='D' | '*' | '#');
        known.then_some(Self { key, source, duration })
    }
}

/// Digits, by who told of them first. Its JSON form holds the sources that occurred.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DigitCounts([u64; DigitSource::ALL.len()]);

impl DigitCounts {
    /// Counts one.
    pub fn count(&mut self, source: DigitSource) {
        self.0[source as usize] += 1;
    }

    /// How many this source told of first.
    #[must_use]
    pub const fn of(&self, source: DigitSource) -> u64 {
        self.0[source as usize]
    }
}

impl AddAssign<&Self> for DigitCounts {
    fn add_assign(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

impl Serialize for DigitCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for source in DigitSource::ALL {
            if self.of(source) > 0 {
                map.serialize_entry(source.label(), &self.of(source))?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_slot_and_one_name() {
        let mut counts = DigitCounts::default();
        for (count, source) in (1..).zip(DigitSource::ALL) {
            (0..count).for_each(|_| counts.count(source));
            assert_eq!(serde_json::to_value(source).unwrap(), source.label());
        }
        let json = serde_json::json!({"audiosocket": 1, "rtp": 2, "ari": 3, "inband": 4});
        assert_eq!(serde_json::to_value(counts).unwrap(), json);
        assert_eq!(serde_json::to_string(&DigitCounts::default()).unwrap(), "{}");
    }

    #[test]
    fn keys_are_those_of_the_keypad_in_capitals() {
        let key = |key| Digit::new(key, DigitSource::Ari, None).map(|digit| digit.key);
        let keys: String = ('\0'..='\u{2ff}').filter_map(key).collect();
        assert_eq!(keys, "#*0123456789ABCDABCD");
    }
}
