use std::collections::VecDeque;

use super::{CallStats, Digit, DigitSource, Rejected};
use crate::audio::ClockRate;
use crate::wire::telephone_event::LONGEST_SEGMENT_TICKS;
use crate::wire::{ExtTs, TelephoneEvent};

/// Events that are remembered: what comes late is of one of the last few.
const REMEMBERED: usize = 8;

/// Events of one packet that are read. Nobody dials so many at once.
const MAX_EVENTS: usize = 8;

/// Telephone-events of one stream → each digit once (RFC 4733).
///
/// Every packet of an event carries the timestamp at which it began: that names it. So updates and
/// repeated ends are nothing new, in whatever order they come, and an event whose first packets were
/// lost is told by the first one that is there.
#[derive(Debug)]
pub(super) struct DigitReader {
    clock: ClockRate,
    /// The latest first.
    known: VecDeque<Segment>,
    digits: VecDeque<Digit>,
}

/// An event, or the part of a long one that its duration can tell.
#[derive(Clone, Copy, Debug)]
struct Segment {
    began: ExtTs,
    code: u8,
    ended: bool,
}

impl DigitReader {
    /// For a stream whose timestamps count with `clock`.
    pub(super) fn new(clock: ClockRate) -> Self {
        Self { clock, known: VecDeque::new(), digits: VecDeque::new() }
    }

    /// Takes the payload of a packet.
    pub(super) fn read(&mut self, ts: ExtTs, payload: &[u8], stats: &mut CallStats) {
        let Ok(events) = TelephoneEvent::parse(payload) else {
            return stats.rejected.count(Rejected::PayloadSize);
        };
        for (offset, event) in events.take(MAX_EVENTS) {
            self.take(ts.plus(offset), event);
        }
    }

    /// The next digit that is new.
    pub(super) fn pop(&mut self) -> Option<Digit> {
        self.digits.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.digits.is_empty()
    }

    /// Forgets the stream.
    pub(super) fn restart(&mut self) {
        self.known.clear();
    }

    fn take(&mut self, began: ExtTs, event: TelephoneEvent) {
        let same = |known: &&mut Segment| known.code == event.code && known.began == began;
        if let Some(known) = self.known.iter_mut().find(same) {
            known.ended |= event.end;
            return;
        }
        let goes_on = self.known.iter().any(|known| known.is_one_with(began, event.code));
        if self.known.len() == REMEMBERED {
            self.known.pop_back();
        }
        self.known.push_front(Segment { began, code: event.code, ended: event.end });
        let Some(key) = event.digit().filter(|_| !goes_on) else { return };
        let duration = self.clock.duration_of(u64::from(event.duration_ticks));
        let duration = event.end.then_some(duration);
        self.digits.push_back(Digit { key, source: DigitSource::Rtp, duration });
    }
}

impl Segment {
    /// Whether a segment that began then is part of the same long event. Those of one event lie as
    /// far apart as the longest of them is; only the last one has an end.
    fn is_one_with(self, began: ExtTs, code: u8) -> bool {
        let apart = began.since(self.began);
        let is_multiple = apart % i64::from(LONGEST_SEGMENT_TICKS) == 0;
        self.code == code && is_multiple && (apart < 0 || !self.ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Hands over `(ticks, code, end, duration)` in this order, and answers what was told.
    fn told(packets: &[(u64, u8, bool, u16)]) -> Vec<(char, Option<u128>)> {
        let mut reader = DigitReader::new(ClockRate::new(8_000));
        let mut told = Vec::new();
        for &(began, code, end, duration_ticks) in packets {
            let event = TelephoneEvent { code, end, volume_dbm0: 10, duration_ticks };
            let mut stats = CallStats::default();
            reader.read(ExtTs(1 << 33).plus(began), &event.to_bytes(), &mut stats);
            assert_eq!(stats.rejected.total(), 0);
            while let Some(digit) = reader.pop() {
                told.push((digit.key, digit.duration.as_ref().map(Duration::as_millis)));
            }
        }
        told
    }

    #[test]
    fn an_event_is_told_by_its_first_packet_whichever_that_is() {
        let whole = [(0, 5, false, 400), (0, 5, false, 800), (0, 5, true, 1_200)];
        assert_eq!(told(&[whole[0], whole[1], whole[2], whole[2], whole[2]]), [('5', None)]);
        assert_eq!(told(&[whole[1], whole[0], whole[2]]), [('5', None)]);
        assert_eq!(told(&[whole[2], whole[1], whole[0], whole[2]]), [('5', Some(150))]);
    }

    #[test]
    fn the_same_key_again_is_another_event() {
        let twice =
            [(0, 5, true, 400), (800, 5, false, 100), (0, 5, true, 400), (800, 5, true, 400)];
        assert_eq!(told(&twice), [('5', Some(50)), ('5', None)]);
    }

    #[test]
    fn a_long_event_is_one_however_many_segments_it_has() {
        let segment = |n: u64| (65_535 * n, 5, false, 65_535);
        let end = (65_535 * 3, 5, true, 8_000);
        assert_eq!(told(&[segment(0), segment(1), segment(2), end, end]), [('5', None)]);
        // Segments that are lost, and one that is late.
        assert_eq!(told(&[segment(0), segment(2), segment(1), end]), [('5', None)]);
        assert_eq!(told(&[end, segment(2)]), [('5', Some(1_000))]);
        // Behind an end there is no more of it; another key is another event.
        let after = [(0, 5, true, 65_535), segment(1), (65_535, 6, false, 80)];
        assert_eq!(told(&after), [('5', Some(8_191)), ('5', None), ('6', None)]);
    }

    #[test]
    fn events_that_are_no_digits_are_passed_over() {
        assert_eq!(told(&[(0, 16, false, 400), (0, 16, true, 800), (900, 255, true, 1)]), []);
    }

    #[test]
    fn events_packed_into_a_packet_are_those_that_came_before_by_themselves() {
        let mut reader = DigitReader::new(ClockRate::new(8_000));
        let mut stats = CallStats::default();
        let event = |code, end, duration_ticks| {
            TelephoneEvent { code, end, volume_dbm0: 10, duration_ticks }.to_bytes()
        };
        reader.read(ExtTs(0), &event(1, false, 300), &mut stats);
        let packed = [event(1, true, 400), event(2, true, 400), event(2, false, 80)].concat();
        reader.read(ExtTs(0), &packed, &mut stats);
        reader.read(ExtTs(800), &event(2, true, 400), &mut stats);
        let keys: String = std::iter::from_fn(|| reader.pop()).map(|digit| digit.key).collect();
        assert_eq!(keys, "122");
        reader.read(ExtTs(800), &[2, 0, 0], &mut stats);
        assert_eq!(stats.rejected.of(Rejected::PayloadSize), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut reader = DigitReader::new(ClockRate::new(8_000));
        let flood = TelephoneEvent { code: 1, end: true, volume_dbm0: 0, duration_ticks: 1 };
        let payload = flood.to_bytes().repeat(300);
        for n in 0..100 {
            reader.read(ExtTs(1_000 * n), &payload, &mut CallStats::default());
            assert_eq!(std::iter::from_fn(|| reader.pop()).count(), MAX_EVENTS);
        }
        assert_eq!(reader.known.len(), REMEMBERED);
    }
}
