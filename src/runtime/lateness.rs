use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// Upper bounds of the histogram's buckets, in microseconds; the last bucket has none.
const BOUNDS_US: [u32; 11] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000];

/// How late the frames of calls were sent: a histogram of the time from a frame's moment until the
/// kernel had it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lateness {
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Lateness {
    /// Counts so many frames.
    pub(super) fn count(&mut self, late: Duration, frames: u64) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| u64::from(*bound) < us);
        self.counts[bucket] += frames;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(frames));
    }

    /// Frames that were counted.
    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Frames that were surely later than that: those beyond the bucket in which `limit` lies.
    pub(super) fn beyond(&self, limit: Duration) -> u64 {
        let us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| u64::from(*bound) < us);
        self.counts.iter().skip(bucket + 1).sum()
    }

    /// Their sum, in seconds.
    pub(super) fn sum_s(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }

    /// The buckets' upper bounds in seconds, and how many frames are in each.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| f64::from(*us) / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }
}

impl AddAssign for Lateness {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }
}

/// What was counted since.
impl Sub for Lateness {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let counts = std::array::from_fn(|bucket| self.counts[bucket] - before.counts[bucket]);
        Self { counts, sum_us: self.sum_us - before.sum_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_below_their_bounds() {
        let mut lateness = Lateness::default();
        lateness.count(Duration::from_micros(100), 3);
        lateness.count(Duration::from_micros(101), 2);
        lateness.count(Duration::from_secs(2), 1);
        assert_eq!(lateness.total(), 6);
        let buckets = lateness.buckets();
        assert_eq!(buckets[0], (0.0001, 3));
        assert_eq!(buckets[1], (0.0002, 2));
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1)));
        assert!((lateness.sum_s() - 2.000_502).abs() < 1e-9);
    }

    #[test]
    fn what_is_beyond_a_limit_is_surely_later() {
        let mut lateness = Lateness::default();
        for ms in [4, 5, 9, 10, 11, 30] {
            lateness.count(Duration::from_millis(ms), 1);
        }
        assert_eq!(lateness.beyond(Duration::from_millis(10)), 2);
        // Within the bucket from 5 to 10 ms nobody knows.
        assert_eq!(lateness.beyond(Duration::from_millis(7)), 2);
        assert_eq!(lateness.beyond(Duration::from_millis(5)), 4);
    }

    #[test]
    fn a_difference_is_what_came_since() {
        let mut before = Lateness::default();
        before.count(Duration::from_millis(1), 5);
        let mut after = before;
        after.count(Duration::from_millis(3), 2);
        let mut since = Lateness::default();
        since.count(Duration::from_millis(3), 2);
        assert_eq!(after - before, since);
        before += since;
        assert_eq!(before, after);
    }
}
