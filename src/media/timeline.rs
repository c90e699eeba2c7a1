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
///
/// A packet that follows by its sequence number, but whose timestamp is off by less than two packets
/// and by no whole one, lies right behind the one before: Asterisk writes such timestamps where it
/// was late itself (`docs/assumptions.md`).
#[derive(Clone, Debug)]
pub struct Timeline {
    rate: SampleRate,
    clock: ClockRate,
    epoch: Instant,
    present: Option<Mapping>,
    /// The mappings before the present one, the latest first: for packets that come late. Made with
    /// the second mapping, apart from what every packet needs.
    former: Option<Box<[Option<Mapping>; FORMER]>>,
    /// How much too late the present one has packets lie, for what was made up before them was too
    /// long.
    late_by: u64,
    end: Position,
}

/// Mappings before the present one that are remembered.
const FORMER: usize = 7;

/// The position of the first timestamp that it holds for, from which others are counted.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    ts: ExtTs,
    position: Position,
}

/// Whether a packet's timestamp followed from those before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jump {
    /// It did, or it is the first.
    None,
    /// It was off by so little that the packet lies right behind the one before.
    Bridged,
    /// The packet lies where it arrived.
    Anew,
}

/// What lies between a packet and the one before it in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Nothing: it has the next sequence number.
    Nothing,
    /// Packets that are missing, or that carry no audio.
    Something,
    /// A pause of the sender that was filled with comfort noise.
    Noise,
}

impl Before {
    /// Something that is no audio lies there, too.
    pub(super) fn put_something(&mut self) {
        if *self == Self::Nothing {
            *self = Self::Something;
        }
    }
}

/// Where a packet lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Position of its first sample.
    pub position: Position,
    /// Whether its timestamp followed from the ones before.
    pub jump: Jump,
}

impl Timeline {
    /// A timeline whose zero is `epoch`.
    #[must_use]
    pub fn new(rate: SampleRate, clock: ClockRate, epoch: Instant) -> Self {
        Self { rate, clock, epoch, present: None, former: None, late_by: 0, end: Position(0) }
    }

    /// Places a packet of `samples` samples, the next in order, that arrived by `now`.
    pub fn place(&mut self, now: Instant, ts: ExtTs, samples: usize, before: Before) -> Place {
        let arrival = self.arrival(now);
        let latest = self.latest(arrival);
        let by_timestamp = self.by_timestamp(ts);
        let off = by_timestamp.map_or(u64::MAX, |position| position.0.abs_diff(self.end.0));
        let frame = samples as u64;
        let is_near = off < 2 * frame;
        let overlaps = by_timestamp.is_some_and(|position| position < self.end);
        let (position, jump) = match by_timestamp {
            Some(_)
                if before == Before::Noise && overlaps && off < self.rate.samples_in(MAX_AHEAD) =>
            {
                self.late_by += off;
                (self.end, Jump::None)
            }
            Some(_)
                if before == Before::Nothing
                    && is_near
                    && (overlaps || !off.is_multiple_of(frame)) =>
            {
                (self.end, Jump::Bridged)
            }
            Some(position) if (self.end.0..=latest).contains(&position.0) => (position, Jump::None),
            _ => {
                self.late_by = 0;
                let jump = if self.present.is_some() { Jump::Anew } else { Jump::None };
                (Position(self.end.0.max(arrival)), jump)
            }
        };
        if by_timestamp != Some(position) {
            self.map(ts, position);
        }
        self.end = position.plus(samples);
        Place { position, jump }
    }

    /// The packet placed last, of `samples` samples at `ts`, is put out by so many samples longer, or
    /// shorter where that is below 0: what follows lies that much later or earlier.
    pub fn retime(&mut self, ts: ExtTs, samples: usize, change: i64) {
        let ticks = samples as u64 * u64::from(self.clock.hz()) / u64::from(self.rate.hz());
        self.end = Position(self.end.0.saturating_add_signed(change));
        self.map(ExtTs(ts.0.saturating_add(ticks)), self.end);
    }

    /// The sender pauses at `ts`: what was made up too long before is made good in the pause.
    pub fn pause(&mut self, ts: ExtTs) {
        let late_by = std::mem::take(&mut self.late_by);
        if let Some(position) = self.by_timestamp(ts).filter(|_| late_by > 0) {
            self.map(ts, Position(position.0.saturating_sub(late_by)));
        }
    }

    /// Where the packet with this timestamp would lie; `None` before the first one.
    pub(super) fn position_of(&self, ts: ExtTs) -> Option<Position> {
        self.by_timestamp(ts)
    }

    /// Leaves a gap up to `position`, where that lies ahead.
    pub(super) fn skip_to(&mut self, position: Position) {
        self.end = self.end.max(position);
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
        let known = || {
            self.present.iter().chain(self.former.iter().flat_map(|former| former.iter().flatten()))
        };
        // What is older than all of them belongs to the oldest.
        let mapping = known()
            .find(|mapping| mapping.ts <= ts)
            .or_else(|| known().min_by_key(|mapping| mapping.ts))?;
        let position = self.by_mapping(*mapping, ts);
        position.filter(|position| position.0 <= latest)
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
        self.present = None;
        self.former = None;
        self.late_by = 0;
    }

    /// Where real time is, in samples since the call's start.
    pub(super) fn arrival(&self, now: Instant) -> u64 {
        self.rate.samples_in(now.saturating_duration_since(self.epoch))
    }

    /// The latest position that a packet may claim which arrived at position `arrival`.
    fn latest(&self, arrival: u64) -> u64 {
        self.end.0.max(arrival + self.rate.samples_in(MAX_AHEAD))
    }

    fn map(&mut self, ts: ExtTs, position: Position) {
        let before = self.present.replace(Mapping { ts, position });
        if before.is_some() {
            let former = self.former.get_or_insert_default();
            former.rotate_right(1);
            former[0] = before;
        }
    }

    fn by_timestamp(&self, ts: ExtTs) -> Option<Position> {
        self.by_mapping(self.present?, ts)
    }

    fn by_mapping(&self, mapping: Mapping, ts: ExtTs) -> Option<Position> {
        let Mapping { ts: base_ts, position: base } = mapping;
        let (rate, clock) = (u64::from(self.rate.hz()), u64::from(self.clock.hz()));
        // A second has whole samples: only what is left of one is rounded, and fits 64 bits.
        let scale = |ticks: u64| {
            (ticks / clock).saturating_mul(rate).saturating_add(ticks % clock * rate / clock)
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
        let first = timeline.place(at(start, 100), ExtTs(5_000), 160, Before::Nothing);
        assert_eq!(first, Place { position: Position(800), jump: Jump::None });
        let second = timeline.place(at(start, 137), ExtTs(5_160), 160, Before::Nothing);
        assert_eq!(second, Place { position: Position(960), jump: Jump::None });
    }

    #[test]
    fn a_pause_leaves_a_gap_of_its_length() {
        let (mut timeline, start) = timeline();
        timeline.place(start, ExtTs(0), 160, Before::Nothing);
        let after = timeline.place(at(start, 2_000), ExtTs(16_000), 160, Before::Nothing);
        assert_eq!(after, Place { position: Position(16_000), jump: Jump::None });
    }

    #[test]
    fn a_burst_after_a_stall_keeps_its_place() {
        let (mut timeline, start) = timeline();
        for n in 0..10 {
            timeline.place(at(start, 20 * n), ExtTs(160 * n), 160, Before::Nothing);
        }
        for n in 10..100 {
            let place = timeline.place(at(start, 2_000), ExtTs(160 * n), 160, Before::Nothing);
            assert_eq!(place, Place { position: Position(160 * n), jump: Jump::None });
        }
    }

    #[test]
    fn a_timestamp_that_leaps_or_goes_back_continues_at_the_time_of_arrival() {
        for wild in [ExtTs(1 << 31), ExtTs(0)] {
            let (mut timeline, start) = timeline();
            timeline.place(start, ExtTs(1_000_000), 160, Before::Nothing);
            let place = timeline.place(at(start, 20), wild, 160, Before::Nothing);
            assert_eq!(place, Place { position: Position(160), jump: Jump::Anew });
            let next = timeline.place(at(start, 40), ExtTs(wild.0 + 160), 160, Before::Nothing);
            assert_eq!(next, Place { position: Position(320), jump: Jump::None });
        }
    }

    #[test]
    fn a_sender_with_a_fast_clock_is_never_taken_for_a_leap() {
        let (mut timeline, start) = timeline();
        // 1 % fast for ten minutes: 6 s ahead of real time in the end.
        for n in 0..30_000_u64 {
            let now = start + Duration::from_micros(n * 19_800);
            let place = timeline.place(now, ExtTs(n * 160), 160, Before::Nothing);
            assert_eq!(place.jump, Jump::None, "packet {n}");
        }
    }

    #[test]
    fn late_packets_lie_by_timestamp_and_never_before_the_start() {
        let (mut timeline, start) = timeline();
        timeline.place(at(start, 20), ExtTs(1_000), 160, Before::Nothing);
        assert_eq!(timeline.place_late(at(start, 40), ExtTs(840)), Some(Position(0)));
        assert_eq!(timeline.place_late(at(start, 40), ExtTs(839)), None);
    }

    #[test]
    fn a_late_packet_from_before_a_leap_back_is_not_put_into_the_future() {
        let (mut timeline, start) = timeline();
        timeline.place(start, ExtTs(1 << 30), 160, Before::Nothing);
        timeline.place(at(start, 20), ExtTs(1 << 20), 160, Before::Nothing);
        assert_eq!(timeline.place_late(at(start, 40), ExtTs((1 << 30) + 160)), None);
    }

    #[test]
    fn a_timestamp_that_is_off_by_no_whole_packet_follows_the_one_before() {
        for off in [-200, -160, -100, -1, 1, 100, 200_i64] {
            let (mut timeline, start) = timeline();
            timeline.place(at(start, 1_000), ExtTs(100_000), 160, Before::Nothing);
            let ts = ExtTs(100_160_u64.saturating_add_signed(off));
            let place = timeline.place(at(start, 1_060), ts, 160, Before::Nothing);
            assert_eq!(place, Place { position: Position(8_160), jump: Jump::Bridged }, "{off}");
            let next = timeline.place(at(start, 1_080), ExtTs(ts.0 + 160), 160, Before::Nothing);
            assert_eq!(next, Place { position: Position(8_320), jump: Jump::None }, "{off}");
        }
        // A whole packet is a pause, and behind one that is missing there is no telling.
        for (off, before) in [(160, Before::Nothing), (100, Before::Something)] {
            let (mut timeline, start) = timeline();
            timeline.place(start, ExtTs(100_000), 160, Before::Nothing);
            let place = timeline.place(at(start, 60), ExtTs(100_160 + off), 160, before);
            assert_eq!(place, Place { position: Position(160 + off), jump: Jump::None });
        }
    }

    #[test]
    fn what_follows_a_frame_made_shorter_lies_earlier_and_what_was_before_does_not() {
        let (mut timeline, start) = timeline();
        timeline.place(start, ExtTs(8_000), 160, Before::Nothing);
        timeline.place(at(start, 40), ExtTs(8_320), 160, Before::Something);
        timeline.retime(ExtTs(8_320), 160, -40);
        let next = timeline.place(at(start, 60), ExtTs(8_480), 160, Before::Nothing);
        assert_eq!(next, Place { position: Position(440), jump: Jump::None });
        assert_eq!(timeline.place_late(at(start, 60), ExtTs(8_160)), Some(Position(160)));
        assert_eq!(timeline.place_late(at(start, 60), ExtTs(8_480)), Some(Position(440)));
    }

    #[test]
    fn noise_that_was_too_long_delays_what_follows_until_the_next_pause() {
        let (mut timeline, start) = timeline();
        timeline.place(start, ExtTs(0), 160, Before::Nothing);
        // Speech begins again in the middle of the third frame of noise.
        timeline.take(480);
        let place = timeline.place(at(start, 75), ExtTs(560), 160, Before::Noise);
        assert_eq!(place, Place { position: Position(640), jump: Jump::None });
        let next = timeline.place(at(start, 95), ExtTs(720), 160, Before::Nothing);
        assert_eq!(next, Place { position: Position(800), jump: Jump::None });
        timeline.pause(ExtTs(2_000));
        let after = timeline.place(at(start, 500), ExtTs(4_000), 160, Before::Noise);
        assert_eq!(after, Place { position: Position(4_000), jump: Jump::None });
    }
}
