use std::time::Duration;

use serde::Serialize;

use crate::audio::ClockRate;
use crate::wire::{RtpTs, TsExtender};

/// A packet that is so much earlier than the fastest one before it has a timestamp that leapt ahead:
/// what the engine trusts a timestamp for, too (`media/timeline.rs`).
const MAX_EARLIER_MS: f64 = 500.0;

/// A packet that is so much later than the one before it has a timestamp that was set back: no
/// network holds audio that long.
const MAX_LATER_MS: f64 = 10_000.0;

/// One packet that came.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Arrival {
    /// Since the stream's first packet.
    pub(super) at: Duration,
    /// How much longer it was under way than the fastest packet.
    pub(super) delay_ms: f64,
}

/// Transit delays of a stream: arrival by the capture's clock, less the timestamp by the sender's
/// (RFC 3550 section 6.4.1). What they have in common is not known, so they are told relative to the
/// smallest one. Where the timestamp leaps, the comparison begins anew.
///
/// Holds 24 bytes per packet.
#[derive(Clone, Debug)]
pub(super) struct Transits {
    clock: ClockRate,
    ts: TsExtender,
    /// With the delay against an arbitrary zero.
    arrivals: Vec<Arrival>,
    /// Where each comparison begins, and its smallest delay.
    runs: Vec<(usize, f64)>,
}

/// How transit delays are spread, in milliseconds above the smallest.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) p95: f64,
    pub(super) max: f64,
}

impl Transits {
    pub(super) fn new(clock: ClockRate) -> Self {
        Self { clock, ts: TsExtender::new(), arrivals: Vec::new(), runs: Vec::new() }
    }

    /// Notes a packet, and answers how much longer it was under way than the one noted before; 0
    /// where they cannot be compared.
    pub(super) fn note(&mut self, at: Duration, timestamp: RtpTs) -> f64 {
        let ticks = self.ts.extend(timestamp).0;
        let delay_ms = at.as_secs_f64() * 1e3 - ticks as f64 * 1e3 / f64::from(self.clock.hz());
        let mut longer = 0.0;
        match (self.runs.last_mut(), self.arrivals.last()) {
            (Some((_, least)), Some(before))
                if delay_ms > *least - MAX_EARLIER_MS
                    && delay_ms < before.delay_ms + MAX_LATER_MS =>
            {
                *least = least.min(delay_ms);
                longer = delay_ms - before.delay_ms;
            }
            _ => self.runs.push((self.arrivals.len(), delay_ms)),
        }
        self.arrivals.push(Arrival { at, delay_ms });
        longer
    }

    /// The packets in the order of arrival.
    pub(super) fn finish(mut self) -> Vec<Arrival> {
        let ends = self.runs.iter().skip(1).map(|(start, _)| *start);
        let ends: Vec<_> = ends.chain([self.arrivals.len()]).collect();
        for ((start, least), end) in self.runs.into_iter().zip(ends) {
            for arrival in &mut self.arrivals[start..end] {
                arrival.delay_ms -= least;
            }
        }
        self.arrivals
    }
}

impl Spread {
    /// Percentiles by the nearest rank; `None` of nothing.
    pub(super) fn of(arrivals: &[Arrival]) -> Option<Self> {
        let mut delays: Vec<f64> = arrivals.iter().map(|arrival| arrival.delay_ms).collect();
        delays.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (delays.len() * percent).div_ceil(100);
            delays.get(rank.max(1) - 1).copied()
        };
        Some(Self { min: rank(0)?, median: rank(50)?, p95: rank(95)?, max: rank(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: ClockRate = ClockRate::new(8_000);

    fn delays(packets: &[(u64, u32)]) -> Vec<f64> {
        let mut transits = Transits::new(CLOCK);
        for &(ms, timestamp) in packets {
            transits.note(Duration::from_millis(ms), RtpTs(timestamp));
        }
        transits.finish().iter().map(|arrival| (arrival.delay_ms * 1e3).round() / 1e3).collect()
    }

    #[test]
    fn a_delay_is_relative_to_the_fastest_packet_over_a_wrap() {
        let start = u32::MAX - 200;
        let packets = [
            (100, start),
            (125, start.wrapping_add(160)),
            (139, start.wrapping_add(320)),
            (190, start.wrapping_add(480)),
        ];
        assert_eq!(delays(&packets), [1.0, 6.0, 0.0, 31.0]);
    }

    #[test]
    fn a_timestamp_that_leaps_is_no_delay() {
        let leaps = [(0, 0), (21, 160), (40, 1 << 20), (65, (1 << 20) + 160)];
        assert_eq!(delays(&leaps), [0.0, 1.0, 0.0, 5.0]);
        let back = [(0, 1 << 20), (21, (1 << 20) + 160), (40, 0), (65, 160)];
        assert_eq!(delays(&back), [0.0, 1.0, 0.0, 5.0]);
    }

    #[test]
    fn a_stall_of_the_network_is_a_delay() {
        assert_eq!(delays(&[(0, 0), (3_020, 160), (3_020, 320)]), [0.0, 3_000.0, 2_980.0]);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let arrival = |ms: u64| Arrival { at: Duration::ZERO, delay_ms: ms as f64 };
        let arrivals: Vec<_> = (0..=100).rev().map(arrival).collect();
        let expected = Spread { min: 0.0, median: 50.0, p95: 95.0, max: 100.0 };
        assert_eq!(Spread::of(&arrivals), Some(expected));
        assert_eq!(Spread::of(&[]), None);
    }
}
