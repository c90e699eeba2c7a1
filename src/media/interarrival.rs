use std::time::Duration;

/// The interarrival jitter of RFC 3550 (section 6.4.1, appendix A.8): the smoothed mean deviation
/// of the packets' spacing on arrival from their spacing by timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct InterarrivalJitter {
    /// Arrival less media time of the packet before, in nanoseconds.
    transit: Option<i64>,
    /// The estimate in nanoseconds, times 16: A.8 keeps four bits of fraction, too.
    scaled: u64,
}

impl InterarrivalJitter {
    /// An estimate of 0, which has seen no packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet, in the order of arrival: when it arrived by our clock, and its time by the
    /// sender's. Both count from any moment that stays the same until [`Self::restart`].
    #[inline]
    pub fn push(&mut self, arrival: Duration, media: Duration) {
        let transit = nanos(arrival).saturating_sub(nanos(media));
        if let Some(before) = self.transit.replace(transit) {
            // J += (|D| − J) / 16, rounded.
            let decay = self.scaled.saturating_add(8) >> 4;
            self.scaled = (self.scaled - decay).saturating_add(transit.abs_diff(before));
        }
    }

    /// The next packet's times do not follow from the ones before: a new stream, or a leap of the
    /// timestamps. The estimate stays.
    pub fn restart(&mut self) {
        self.transit = None;
    }

    /// The jitter; in RTP's timestamp units it is that many ticks of the clock.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_nanos(self.scaled >> 4)
    }
}

/// A time in nanoseconds; beyond 292 years it stays where it is.
pub(super) fn nanos(time: Duration) -> i64 {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The jitter after packets that were sent every 20 ms and arrived at these times, in ms.
    fn jitter_of(arrivals: &[u32]) -> Duration {
        let mut jitter = InterarrivalJitter::new();
        for (n, &arrival) in (0..).zip(arrivals) {
            jitter.push(MS * arrival, MS * 20 * n);
        }
        jitter.jitter()
    }

    #[test]
    fn a_steady_stream_has_none() {
        assert_eq!(jitter_of(&[]), Duration::ZERO);
        assert_eq!(jitter_of(&[1_000]), Duration::ZERO);
        assert_eq!(jitter_of(&[1_000, 1_020, 1_040, 1_060]), Duration::ZERO);
    }

    #[test]
    fn each_deviation_counts_a_sixteenth() {
        // D = 16 ms: J = 16/16.
        assert_eq!(jitter_of(&[0, 36]), MS);
        // Then D = −16: J = 1 + (16 − 1)/16 = 1.9375.
        assert_eq!(jitter_of(&[0, 36, 40]), Duration::from_nanos(1_937_500));
        // Then D = 0: J = 1.9375 − 1.9375/16 = 1.81640625.
        assert_eq!(jitter_of(&[0, 36, 40, 60]), Duration::from_nanos(1_816_406));
    }

    #[test]
    fn it_follows_the_formula_of_the_rfc() {
        let mut state = 3_u64;
        let mut jitter = InterarrivalJitter::new();
        let (mut expected, mut before) = (0.0_f64, None);
        for n in 0..10_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let delay = Duration::from_nanos(state >> 38);
            let media = MS * 20 * n;
            jitter.push(media + delay, media);
            let delay = delay.as_nanos() as f64;
            if let Some(before) = before.replace(delay) {
                let deviation: f64 = delay - before;
                expected += (deviation.abs() - expected) / 16.0;
            }
            // Each step rounds by half a unit of 1/16 ns, and forgets 1/16 of it: 16 × 1/32 in all,
            // and 1 for the fraction that is cut off.
            let actual = jitter.jitter().as_nanos() as f64;
            assert!((actual - expected).abs() < 1.5, "packet {n}: {actual}, {expected}");
        }
        assert!(expected > 10e6, "some jitter was put in: {expected}");
    }

    #[test]
    fn a_restart_is_no_deviation() {
        let mut jitter = InterarrivalJitter::new();
        jitter.push(Duration::ZERO, Duration::ZERO);
        jitter.push(MS * 36, MS * 20);
        jitter.restart();
        jitter.push(MS * 60, MS * 900_000);
        assert_eq!(jitter.jitter(), MS);
        jitter.push(MS * 80, MS * 900_020);
        assert_eq!(jitter.jitter(), Duration::from_nanos(937_500));
    }

    #[test]
    fn the_ends_of_time_are_taken() {
        let mut jitter = InterarrivalJitter::new();
        for _ in 0..100 {
            jitter.push(Duration::MAX, Duration::ZERO);
            jitter.push(Duration::ZERO, Duration::MAX);
        }
        assert!(jitter.jitter() > Duration::from_secs(1 << 29));
    }
}
