use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Samples per second of a mono stream: one of the rates that Asterisk's `slin` formats have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SampleRate(u32);

/// A rate that no `slin` format of Asterisk has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "{actual} Hz is not a sample rate of Asterisk; allowed: 8000, 12000, 16000, 24000, 32000, 44100, 48000, 96000, 192000"
)]
pub struct RateError {
    /// The rate that was given, in Hz.
    pub actual: u32,
}

impl SampleRate {
    /// 8 kHz, the rate of narrow-band telephony.
    pub const HZ_8000: Self = Self(8_000);
    /// 12 kHz.
    pub const HZ_12000: Self = Self(12_000);
    /// 16 kHz, the rate of wide-band telephony.
    pub const HZ_16000: Self = Self(16_000);
    /// 24 kHz.
    pub const HZ_24000: Self = Self(24_000);
    /// 32 kHz.
    pub const HZ_32000: Self = Self(32_000);
    /// 44.1 kHz.
    pub const HZ_44100: Self = Self(44_100);
    /// 48 kHz.
    pub const HZ_48000: Self = Self(48_000);
    /// 96 kHz.
    pub const HZ_96000: Self = Self(96_000);
    /// 192 kHz.
    pub const HZ_192000: Self = Self(192_000);

    /// Every rate, ascending.
    pub const ALL: [Self; 9] = [
        Self::HZ_8000,
        Self::HZ_12000,
        Self::HZ_16000,
        Self::HZ_24000,
        Self::HZ_32000,
        Self::HZ_44100,
        Self::HZ_48000,
        Self::HZ_96000,
        Self::HZ_192000,
    ];

    /// The rate in Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// How many whole samples lie in `span`, rounded to the nearest.
    #[must_use]
    pub fn samples_in(self, span: Duration) -> u64 {
        let rate = u64::from(self.0);
        // A second has whole samples: only what is left of one is rounded, and fits 64 bits.
        let rest = (u64::from(span.subsec_nanos()) * rate + 500_000_000) / 1_000_000_000;
        span.as_secs().saturating_mul(rate).saturating_add(rest)
    }

    /// As [`Self::samples_in`], as the length of a buffer.
    #[must_use]
    pub fn length_of(self, span: Duration) -> usize {
        usize::try_from(self.samples_in(span)).unwrap_or(usize::MAX)
    }

    /// How long `samples` last, rounded down to the nanosecond.
    #[must_use]
    pub fn duration_of(self, samples: u64) -> Duration {
        let rate = u64::from(self.0);
        let rest = u32::try_from(samples % rate * 1_000_000_000 / rate)
            .expect("a remainder is below one second");
        Duration::new(samples / rate, rest)
    }
}

impl TryFrom<u32> for SampleRate {
    type Error = RateError;

    fn try_from(hz: u32) -> Result<Self, RateError> {
        Self::ALL.into_iter().find(|rate| rate.0 == hz).ok_or(RateError { actual: hz })
    }
}

impl From<SampleRate> for u32 {
    fn from(rate: SampleRate) -> Self {
        rate.0
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// Ticks per second of an RTP timestamp (RFC 3550 section 5.1).
///
/// Not every codec's clock is its sample rate (G.722, Opus), hence a type of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClockRate(u32);

impl ClockRate {
    /// A clock of `hz` ticks per second.
    #[must_use]
    pub const fn new(hz: u32) -> Self {
        Self(hz)
    }

    /// Ticks per second.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// How long so many ticks take, to the nanosecond below.
    ///
    /// # Panics
    /// Of a clock of 0 Hz.
    #[must_use]
    pub fn duration_of(self, ticks: u64) -> Duration {
        let hz = u64::from(self.0);
        let nanos = ticks % hz * 1_000_000_000 / hz;
        Duration::new(ticks / hz, u32::try_from(nanos).expect("less than a second"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_durations_agree_at_every_rate() {
        for rate in SampleRate::ALL {
            assert_eq!(rate.samples_in(Duration::from_secs(1)), u64::from(rate.hz()));
            for samples in [0, 1, 159, 160, 882, 1_000_003, 7 * 86_400 * 192_000] {
                assert_eq!(rate.samples_in(rate.duration_of(samples)), samples, "{rate}");
            }
        }
    }

    #[test]
    fn samples_are_rounded_as_by_exact_arithmetic() {
        let spans = (0..1_000_000_000).step_by(999_983).map(|nanos| Duration::new(3_599, nanos));
        let ends = [Duration::ZERO, Duration::from_nanos(62_500), Duration::MAX];
        for span in spans.chain(ends) {
            for rate in SampleRate::ALL {
                let exact = (span.as_nanos() * u128::from(rate.hz()) + 500_000_000) / 1_000_000_000;
                let exact = u64::try_from(exact).unwrap_or(u64::MAX);
                assert_eq!(rate.samples_in(span), exact, "{span:?} at {rate}");
            }
        }
    }

    #[test]
    fn a_foreign_rate_is_named_in_the_error() {
        let error = SampleRate::try_from(11_025).expect_err("not a rate of Asterisk");
        assert!(error.to_string().contains("11025 Hz"));
    }
}
