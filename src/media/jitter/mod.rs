//! The receive jitter buffer: a *store* that orders, and a *patience* that says how long to wait.
//!
//! We feed processors, not a loudspeaker: a packet that is next in order goes through at once and
//! never enters the store. Only a hole makes the packets behind it wait, as long as it pays; then
//! the hole is given up. A packet that fills a hole after that is *late*: told apart
//! from a duplicate by a history of what arrived, so that the archive can still have it.

mod history;
mod patience;
mod store;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use patience::{GaveUp, Patience};
pub use store::{Overflow, Packet, Store, Stored};

use self::history::{History, Seen};
use crate::wire::{ExtSeq, ExtTs};

/// What became of a packet that was pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It is next in order: use it now, before the next [`JitterBuffer::pop`].
    Next {
        /// It filled a hole that others were waiting behind.
        reordered: bool,
    },
    /// It waits behind a hole.
    Stored {
        /// One with a higher sequence number came before it.
        reordered: bool,
    },
    /// Its place was given up before, or it is older than the first packet; nobody had it until now.
    Late,
    /// It was here before.
    Duplicate,
    /// It is older than the buffer remembers.
    TooOld,
    /// The store is full.
    Overflow,
}

/// What comes next out of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped {
    /// The packet that is next in order. Give it back by [`JitterBuffer::recycle`].
    Packet(Stored),
    /// A hole that is given up.
    Hole {
        /// How many packets are missing.
        packets: u64,
        /// Timestamp of the packet behind the hole, which the next call returns.
        until: ExtTs,
    },
    /// Nothing before that time, unless a packet is pushed.
    Wait(Instant),
    /// Nothing is stored.
    Empty,
}

/// Orders packets of one stream by extended sequence number.
///
/// The store is bounded: when it is full, the hole before it is given up at once. No allocation
/// once as many packets have waited as ever will, and one was missing.
#[derive(Debug)]
pub struct JitterBuffer {
    next: Option<ExtSeq>,
    history: History,
    store: Store,
    /// Apart from what a packet in order needs.
    holes: Box<Holes>,
    giving_up: bool,
}

/// What is known of packets that did not come in order.
#[derive(Debug)]
struct Holes {
    patience: Patience,
    /// The holes that were given up last: of packets of these holes it is known how late they come.
    given_up: VecDeque<GivenUp>,
}

/// How many holes are remembered that were given up.
const GIVEN_UP: usize = 16;

/// A hole that was given up.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    first: ExtSeq,
    packets: u64,
    /// When the first packet behind it came.
    overtaken: Instant,
    counted: GaveUp,
}

impl JitterBuffer {
    /// A buffer in which at most `capacity` packets wait, and which tells late packets from
    /// duplicates as far as `remembered` packets back.
    ///
    /// # Panics
    /// Where `capacity` is 0.
    #[must_use]
    pub fn new(capacity: usize, remembered: usize, patience: Patience) -> Self {
        let (history, store) = (History::new(remembered), Store::new(capacity));
        let holes = Box::new(Holes { patience, given_up: VecDeque::new() });
        Self { next: None, history, store, holes, giving_up: false }
    }

    /// Takes a packet that arrived at `now`. The first one sets where the stream begins.
    ///
    /// After it, [`Self::pop`] must be called until it gives no packet and no hole.
    pub fn push(&mut self, now: Instant, packet: Packet<'_>) -> Arrival {
        let seq = packet.seq;
        let next = *self.next.get_or_insert(seq);
        if seq < next {
            return match self.history.look(seq) {
                Seen::Missing => {
                    self.history.mark(seq);
                    self.learn_from_late(now, seq);
                    Arrival::Late
                }
                Seen::Arrived => Arrival::Duplicate,
                Seen::Forgotten => Arrival::TooOld,
            };
        }
        if seq == next {
            self.advance_past(seq);
            let reordered = !self.store.is_empty();
            if reordered {
                self.learn_from_overtaken(now, seq);
            }
            return Arrival::Next { reordered };
        }
        let reordered = self.store.last().is_some_and(|last| last.seq > seq);
        match self.store.insert(now, packet) {
            Ok(true) => {
                if reordered {
                    self.learn_from_overtaken(now, seq);
                }
                Arrival::Stored { reordered }
            }
            Ok(false) => Arrival::Duplicate,
            Err(Overflow) => Arrival::Overflow,
        }
    }

    /// The next packet in order, or what to wait for.
    pub fn pop(&mut self, now: Instant) -> Popped {
        let (Some(first), Some(next)) = (self.store.first(), self.next) else {
            return Popped::Empty;
        };
        if first.seq == next {
            let stored = self.store.take_first().expect("the store has a first packet");
            self.advance_past(stored.seq);
            return Popped::Packet(stored);
        }
        let overtaken = self.store.oldest_arrival().unwrap_or(first.arrived);
        let deadline = overtaken + self.holes.patience.wait(now);
        if now < deadline && !self.store.is_full() && !self.giving_up {
            return Popped::Wait(deadline);
        }
        let packets = first.seq.0 - next.0;
        let hole = Popped::Hole { packets, until: first.ts };
        self.next = Some(first.seq);
        let Holes { patience, given_up } = &mut *self.holes;
        let counted = patience.gave_up(now, packets);
        if given_up.len() == GIVEN_UP {
            given_up.pop_front();
        }
        given_up.reserve_exact(GIVEN_UP - given_up.len());
        given_up.push_back(GivenUp { first: next, packets, overtaken, counted });
        hole
    }

    /// How long packets wait behind a hole, as of the latest one.
    #[must_use]
    pub fn target_delay(&self) -> Duration {
        self.holes.patience.latest_wait()
    }

    /// The packet that is next in order, where it is here already.
    #[must_use]
    pub fn peek(&self) -> Option<&Stored> {
        self.store.first().filter(|first| Some(first.seq) == self.next)
    }

    /// Gives a packet's buffer back for the next one that has to wait.
    pub fn recycle(&mut self, stored: Stored) {
        self.store.recycle(stored);
    }

    /// Gives up every hole without a wait, until [`Self::restart`].
    pub fn give_up_holes(&mut self) {
        self.giving_up = true;
    }

    /// Forgets everything: the next packet begins a new stream.
    pub fn restart(&mut self) {
        self.giving_up = false;
        self.next = None;
        self.history.clear();
        self.holes.given_up.clear();
        self.store.clear();
    }

    /// Packets that wait behind a hole.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.store.len()
    }

    /// A packet fills a hole that others wait behind.
    fn learn_from_overtaken(&mut self, now: Instant, seq: ExtSeq) {
        if let Some(overtaken) = self.store.oldest_arrival_behind(seq) {
            self.holes.patience.came(now, now.saturating_duration_since(overtaken));
        }
    }

    /// A packet came whose place was given up.
    fn learn_from_late(&mut self, now: Instant, seq: ExtSeq) {
        let is_of = |hole: &&GivenUp| hole.first <= seq && seq.0 - hole.first.0 < hole.packets;
        let Holes { patience, given_up } = &mut *self.holes;
        if let Some(hole) = given_up.iter().find(is_of) {
            let lateness = now.saturating_duration_since(hole.overtaken);
            patience.was_not_lost(hole.counted);
            patience.came(now, lateness);
        }
    }

    fn advance_past(&mut self, seq: ExtSeq) {
        self.history.mark(seq);
        self.next = Some(ExtSeq(seq.0 + 1));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::epoch as now;
    use crate::wire::PayloadType;

    const WAIT: Duration = Duration::from_millis(60);

    const REMEMBERED: usize = 128;

    fn buffer(capacity: usize) -> JitterBuffer {
        JitterBuffer::new(capacity, REMEMBERED, Patience::new(WAIT, WAIT))
    }

    fn push(buffer: &mut JitterBuffer, now: Instant, seq: u64) -> Arrival {
        let payload = seq.to_be_bytes();
        let payload_type = PayloadType::new(0).unwrap();
        let (seq, ts) = (ExtSeq(seq), ExtTs(seq * 160));
        buffer.push(now, Packet { seq, ts, payload_type, payload: &payload })
    }

    /// Sequence numbers that come out now; a hole is its negative length.
    fn drain(buffer: &mut JitterBuffer, now: Instant) -> Vec<i64> {
        let mut out = Vec::new();
        loop {
            match buffer.pop(now) {
                Popped::Packet(stored) => {
                    assert_eq!(stored.payload, stored.seq.0.to_be_bytes());
                    out.push(i64::try_from(stored.seq.0).unwrap());
                    buffer.recycle(stored);
                }
                Popped::Hole { packets, .. } => out.push(-i64::try_from(packets).unwrap()),
                Popped::Wait(_) | Popped::Empty => return out,
            }
        }
    }

    #[test]
    fn a_packet_in_order_goes_through_at_once() {
        let mut buffer = buffer(4);
        for seq in 100..200 {
            assert_eq!(push(&mut buffer, now(), seq), Arrival::Next { reordered: false });
            assert_eq!(buffer.pop(now()), Popped::Empty);
        }
    }

    #[test]
    fn a_reordered_packet_releases_those_behind_it() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        assert_eq!(push(&mut buffer, t, 4), Arrival::Stored { reordered: false });
        assert_eq!(push(&mut buffer, t, 3), Arrival::Stored { reordered: true });
        assert!(drain(&mut buffer, t).is_empty());
        assert_eq!(push(&mut buffer, t, 2), Arrival::Next { reordered: true });
        assert_eq!(drain(&mut buffer, t), [3, 4]);
    }

    #[test]
    fn a_hole_is_given_up_exactly_at_the_deadline() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        push(&mut buffer, t, 4);
        assert_eq!(buffer.pop(t), Popped::Wait(t + WAIT));
        assert!(drain(&mut buffer, t + WAIT - Duration::from_nanos(1)).is_empty());
        assert_eq!(buffer.pop(t + WAIT), Popped::Hole { packets: 2, until: ExtTs(640) },);
        assert_eq!(drain(&mut buffer, t + WAIT), [4]);
    }

    #[test]
    fn the_packet_behind_a_hole_can_be_looked_at() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        push(&mut buffer, t, 3);
        assert!(buffer.peek().is_none());
        assert!(matches!(buffer.pop(t + WAIT), Popped::Hole { packets: 1, .. }));
        assert_eq!(buffer.peek().map(|stored| stored.seq), Some(ExtSeq(3)));
        assert_eq!(drain(&mut buffer, t + WAIT), [3]);
        assert!(buffer.peek().is_none());
    }

    #[test]
    fn no_packet_waits_longer_because_one_before_it_came_later() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        push(&mut buffer, t, 4);
        push(&mut buffer, t + WAIT / 2, 3);
        assert_eq!(buffer.pop(t + WAIT / 2), Popped::Wait(t + WAIT));
        assert_eq!(drain(&mut buffer, t + WAIT), [-1, 3, 4]);
    }

    #[test]
    fn holes_are_given_up_at_once_when_asked() {
        let (mut buffer, t) = (buffer(4), now());
        for seq in [1, 3, 6] {
            push(&mut buffer, t, seq);
        }
        buffer.give_up_holes();
        assert_eq!(drain(&mut buffer, t), [-1, 3, -2, 6]);
        buffer.restart();
        for seq in [1, 3] {
            push(&mut buffer, t, seq);
        }
        assert!(drain(&mut buffer, t).is_empty());
    }

    #[test]
    fn a_late_packet_is_told_from_a_duplicate() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        push(&mut buffer, t, 3);
        assert_eq!(drain(&mut buffer, t + WAIT), [-1, 3]);
        assert_eq!(push(&mut buffer, t, 2), Arrival::Late);
        assert_eq!(push(&mut buffer, t, 2), Arrival::Duplicate);
        assert_eq!(push(&mut buffer, t, 3), Arrival::Duplicate);
        assert_eq!(push(&mut buffer, t, 1), Arrival::Duplicate);
    }

    #[test]
    fn a_stored_packet_is_not_stored_twice() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        assert_eq!(push(&mut buffer, t, 3), Arrival::Stored { reordered: false });
        assert_eq!(push(&mut buffer, t, 3), Arrival::Duplicate);
        assert_eq!(drain(&mut buffer, t + WAIT), [-1, 3]);
    }

    #[test]
    fn a_full_store_gives_the_hole_up_instead_of_losing_packets() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1);
        let mut out = Vec::new();
        for seq in 3..100 {
            assert_ne!(push(&mut buffer, t, seq), Arrival::Overflow);
            out.extend(drain(&mut buffer, t));
        }
        assert_eq!(out[..5], [-1, 3, 4, 5, 6]);
        assert!(buffer.waiting() == 0);
    }

    #[test]
    fn packets_older_than_the_first_are_late_in_their_own_right() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 100);
        assert_eq!(push(&mut buffer, t, 99), Arrival::Late);
        assert_eq!(push(&mut buffer, t, 98), Arrival::Late);
        assert_eq!(push(&mut buffer, t, 99), Arrival::Duplicate);
    }

    #[test]
    fn a_packet_beyond_memory_is_too_old() {
        let (mut buffer, t) = (buffer(4), now());
        push(&mut buffer, t, 1000);
        assert_eq!(push(&mut buffer, t, 1000 - REMEMBERED as u64 + 1), Arrival::Late);
        assert_eq!(push(&mut buffer, t, 1000 - REMEMBERED as u64), Arrival::TooOld);
    }

    /// One packet in ten is overtaken by the three behind it, 20 ms apart, and comes after them.
    #[test]
    fn what_comes_back_in_time_or_late_teaches_how_long_to_wait() {
        let patience = Patience::new(Duration::from_millis(10), Duration::from_millis(200));
        let mut buffer = JitterBuffer::new(16, REMEMBERED, patience);
        let mut holes = 0;
        for tens in 0..30_u64 {
            let start = now() + Duration::from_millis(200) * u32::try_from(tens).unwrap();
            for (n, at_ms) in [(0, 0), (2, 40), (3, 60), (4, 80), (1, 85), (5, 100), (6, 120)] {
                let t = start + Duration::from_millis(at_ms);
                if let Popped::Hole { .. } = buffer.pop(t) {
                    holes += 1;
                    drain(&mut buffer, t);
                }
                push(&mut buffer, t, tens * 7 + n);
                drain(&mut buffer, t);
            }
        }
        assert_eq!(holes, 0, "the first wait is longer than 45 ms");
        assert_eq!(buffer.target_delay(), Duration::from_millis(50));
    }

    #[test]
    fn a_network_that_only_loses_is_not_waited_for() {
        let patience = Patience::new(Duration::from_millis(10), Duration::from_millis(200));
        let mut buffer = JitterBuffer::new(16, REMEMBERED, patience);
        for n in (0..200_u64).filter(|n| n % 10 != 3) {
            let t = now() + Duration::from_millis(20 * n);
            drain(&mut buffer, t);
            push(&mut buffer, t, n);
            drain(&mut buffer, t);
        }
        assert_eq!(buffer.target_delay(), Duration::from_millis(10));
    }
}
