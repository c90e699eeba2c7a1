use std::time::Duration;

use rand::RngExt;

/// How long to wait before a connection is tried again: exponential back-off with full jitter
/// between two limits, so that many clients do not come back at the same moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    /// Shortest pause.
    pub(crate) min: Duration,
    /// Longest pause.
    pub(crate) max: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        let Self { min, max } = self;
        let ceiling = min.saturating_mul(2_u32.saturating_pow(failures)).clamp(min, max.max(min));
        min + (ceiling - min).mul_f64(rand::rng().random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_between_their_limits_and_differ() {
        let ms = Duration::from_millis;
        let backoff = Backoff { min: ms(100), max: ms(5_000) };
        for (failures, most) in [(0, 100), (1, 200), (3, 800), (6, 5_000), (u32::MAX, 5_000)] {
            let pauses: Vec<_> = (0..200).map(|_| backoff.pause(failures)).collect();
            assert!(pauses.iter().all(|pause| (ms(100)..=ms(most)).contains(pause)), "{failures}");
            // 200 even draws all within the lower half of the range: once in 2^200.
            let middle = ms((100 + most) / 2);
            assert_eq!(pauses.iter().any(|pause| *pause > middle), failures > 0, "{failures}");
        }
    }
}
