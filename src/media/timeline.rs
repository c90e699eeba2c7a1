use std::time::{Duration, Instant};

use crate::audio::{ClockRate, Position, SampleRate};
use crate::wire::ExtTs;

/// How far ahead of its arrival a packet may claim to be before its timestamp is distrusted.
const MAX_AHEAD: Duration = Duration::from_millis(500);

/// How far ahead of real time a sender may get, by a clock that is too fast, before its packets are
/// dropped.
const FLOOD: Duration = Duration::from_secs(60);

/// Gives every packet its place in the call: extended RTP timestamp → samples since the start.
///
/// The first packet of a stream lies where it arrived; the ones after it lie by their timestamps,
/// so that a pause of the sender leaves a gap of the right length. A timestamp that goes back, or
/// leaps ahead of real time, begins a new mapping at the time of arrival: positions only grow.
#[derive(Clone, Debug)]
pub struct Timeline {
    rate: SampleRate,
    clock: ClockRate,
    epoch: Instant,
    base: Option<(ExtTs, Position)>,
    end: Position,
}

/// Where a packet lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Position of its first sample.
    pub position: Position,
    /// Its timestamp did not follow from the ones before.
    pub jumped: bool,
}

impl Timeline {
    /// A timeline whose zero is `epoch`.
    #[must_use]
    pub fn new(rate: SampleRate, clock: ClockRate, epoch: Instant) -> Self {
        Self { rate, clock, epoch, base: None, end: Position(0) }
    }

    /// Places a packet of `samples` samples, the next in order, that arrived by `now`.
    pub fn place(&mut self, now: Instant, ts: ExtTs, samples: usize) -> Place {
        let arrival = self.arrival(now);
        let expected = self.base.is_some();
        let latest = self.latest(arrival);
        let by_timestamp = self.by_timestamp(ts).filter(|p| (self.end.0..=latest).contains(&p.0));
        let position = by_timestamp.unwrap_or_else(|| {
            let here = Position(self.end.0.max(arrival));
            self.base = Some((ts, here));
            here
        });
        self.end = position.plus(samples);
        Place { position, jumped: expected && by_timestamp.is_none() }
    }

    /// Whether the sender is so far ahead of real time that nobody can have spoken it.
    #[must_use]
    pub fn is_flooded(&self, now: Instant) -> bool {
        let arrival = self.rate.samples_in(now.saturating_duration_since(self.epoch));
        self.end.0 > arrival + self.rate.samples_in(FLOOD)
    }

    /// Takes the next `samples` positions for audio that is made up.
    pub fn take(&mut self, samples: usize) -> Position {
        let position = self.end;
        self.end = position.plus(samples);
        position
    }

    /// Where a packet lies whose turn is over and that arrived by `now`; `None` where that is
    /// before the call's start, or ahead of what its timestamp is trusted for.
    #[must_use]
    pub fn place_late(&self, now: Instant, ts: ExtTs) -> Option<Position> {
        let latest = self.latest(self.arrival(now));
        self.by_timestamp(ts).filter(|position| position.0 <= latest)
    }

    /// Samples between the last placed one and the packet with this timestamp; 0 where it does
    /// not lie ahead.
    #[must_use]
    pub fn gap_before(&self, ts: ExtTs) -> u64 {
        self.by_timestamp(ts).map_or(0, |position| position.0.saturating_sub(self.end.0))
    }

    /// The position behind the last placed sample.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// Forgets the mapping: the next packet lies where it arrives, behind all before it.
    pub fn restart(&mut self) {
        self.base = None;
    }

    fn arrival(&self, now: Instant) -> u64 {
        self.rate.samples_in(now.saturating_duration_since(self.epoch))
    }

    /// The latest position that a packet may claim which arrived at position `arrival`.
    fn latest(&self, arrival: u64) -> u64 {
        self.end.0.max(arrival + self.rate.samples_in(MAX_AHEAD))
    }

    fn by_timestamp(&self, ts: ExtTs) -> Option<Position> {
        let (base_ts, base) = self.base?;
        let scale = |ticks: u64| {
            let samples = u128::from(ticks) * u128::from(self.rate.hz());
            u64::try_from(samples / u128::from(self.clock.hz())).unwrap_or(u64::MAX)
        };
        if ts >= base_ts {
            Some(Position(base.0.saturating_add(scale(ts.0 - base_ts.0))))
        } else {
            base.0.checked_sub(scale(base_ts.0 - ts.0)).map(Position)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    const RATE: SampleRate = SampleRate::HZ_8000;

    fn timeline() -> (Timeline, Instant) {
        let start = epoch();
        (Timeline::new(RATE, ClockRate::new(8000), start), start)
    }

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_packet_lies_where_it_arrived_and_the_next_by_timestamp() {
        let (mut timeline, start) = timeline();
        let first = timeline.place(at(start, 100), ExtTs(5_000), 160);
        assert_eq!(first, Place { position: Position(800), jumped: false });
        let second = timeline.place(at(start, 137), ExtTs(5_160), 160);
        assert_eq!(second, Place { position: Position(960), jumped: false });
    }

    #[test]
    fn a_pause_leaves_a_gap_of_its_length() {
        let (mut timeline, start) = timeline();
        timeline.place(start, ExtTs(0), 160);
        let after = timeline.place(at(start, 2_000), ExtTs(16_000), 160);
        assert_eq!(after, Place { position: Position(16_000), jumped: false });
    }

    #[test]
    fn a_burst_after_a_stall_keeps_its_place() {
        let (mut timeline, start) = timeline();
        for n in 0..10 {
            timeline.place(at(start, 20 * n), ExtTs(160 * n), 160);
        }
        for n in 10..100 {
            let place = timeline.place(at(start, 2_000), ExtTs(160 * n), 160);
            assert_eq!(place, Place { position: Position(160 * n), jumped: false });
        }
    }

    #[test]
    fn a_timestamp_that_leaps_or_goes_back_continues_at_the_time_of_arrival() {
        for wild in [ExtTs(1 << 31), ExtTs(0)] {
            let (mut timeline, start) = timeline();
            timeline.place(start, ExtTs(1_000_000), 160);
            let place = timeline.place(at(start, 20), wild, 160);
            assert_eq!(place, Place { position: Position(160), jumped: true });
            let next = timeline.place(at(start, 40), ExtTs(wild.0 + 160), 160);
            assert_eq!(next, Place { position: Position(320), jumped: false });
        }
    }

    #[test]
    fn a_sender_with_a_fast_clock_is_never_taken_for_a_leap() {
        let (mut timeline, start) = timeline();
        // 1 % fast for ten minutes: 6 s ahead of real time in the end.
        for n in 0..30_000_u64 {
            let now = start + Duration::from_micros(n * 19_800);
            assert!(!timeline.place(now, ExtTs(n * 160), 160).jumped, "packet {n}");
        }
    }

    #[test]
    fn late_packets_lie_by_timestamp_and_never_before_the_start() {
        let (mut timeline, start) = timeline();
        timeline.place(at(start, 20), ExtTs(1_000), 160);
        assert_eq!(timeline.place_late(at(start, 40), ExtTs(840)), Some(Position(0)));
        assert_eq!(timeline.place_late(at(start, 40), ExtTs(839)), None);
    }

    #[test]
    fn a_late_packet_from_before_a_leap_back_is_not_put_into_the_future() {
        let (mut timeline, start) = timeline();
        timeline.place(start, ExtTs(1 << 30), 160);
        timeline.place(at(start, 20), ExtTs(1 << 20), 160);
        assert_eq!(timeline.place_late(at(start, 40), ExtTs((1 << 30) + 160)), None);
    }
}
