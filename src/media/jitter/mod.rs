//! The receive jitter buffer: a *store* that orders, and a *policy* that says how long to wait.
//!
//! We feed processors, not a loudspeaker: a packet that is next in order goes through at once and
//! never enters the store. Only a hole makes the packets behind it wait, as long as the policy
//! allows; then the hole is given up. A packet that fills a hole after that is *late*: told apart
//! from a duplicate by a history of what arrived, so that the archive can still have it.

mod history;
mod policy;
mod store;

use std::time::Instant;

pub use policy::{DelayPolicy, FixedWait};
pub use store::{Overflow, Store, Stored};

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
    /// Its place was given up before; nobody had it until now.
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
/// once as many packets have waited as ever will.
#[derive(Debug)]
pub struct JitterBuffer<P = FixedWait> {
    next: Option<ExtSeq>,
    history: History,
    store: Store,
    policy: P,
    giving_up: bool,
}

impl<P: DelayPolicy> JitterBuffer<P> {
    /// A buffer in which at most `capacity` packets wait.
    ///
    /// # Panics
    /// Where `capacity` is 0.
    #[must_use]
    pub fn new(capacity: usize, policy: P) -> Self {
        let (history, store) = (History::default(), Store::new(capacity));
        Self { next: None, history, store, policy, giving_up: false }
    }

    /// Takes a packet that arrived at `now`. The first one sets where the stream begins.
    ///
    /// After it, [`Self::pop`] must be called until it gives no packet and no hole.
    pub fn push(&mut self, now: Instant, seq: ExtSeq, ts: ExtTs, payload: &[u8]) -> Arrival {
        let next = *self.next.get_or_insert(seq);
        if seq < next {
            return match self.history.look(seq) {
                Seen::Missing => {
                    self.history.mark(seq);
                    Arrival::Late
                }
                Seen::Arrived => Arrival::Duplicate,
                Seen::Forgotten => Arrival::TooOld,
            };
        }
        if seq == next {
            self.advance_past(seq);
            return Arrival::Next { reordered: !self.store.is_empty() };
        }
        let reordered = self.store.last().is_some_and(|last| last.seq > seq);
        match self.store.insert(now, seq, ts, payload) {
            Ok(true) => Arrival::Stored { reordered },
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
        let oldest = self.store.oldest_arrival().unwrap_or(first.arrived);
        let deadline = oldest + self.policy.wait();
        if now < deadline && !self.store.is_full() && !self.giving_up {
            return Popped::Wait(deadline);
        }
        let hole = Popped::Hole { packets: first.seq.0 - next.0, until: first.ts };
        self.next = Some(first.seq);
        hole
    }

    /// Payload of the packet that is next in order, where it is here already.
    #[must_use]
    pub fn next_payload(&self) -> Option<&[u8]> {
        let first = self.store.first().filter(|first| Some(first.seq) == self.next)?;
        Some(&first.payload)
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
        self.history = History::default();
        self.store.clear();
    }

    /// Packets that wait behind a hole.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.store.len()
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

    const WAIT: Duration = Duration::from_millis(60);

    fn buffer(capacity: usize) -> JitterBuffer {
        JitterBuffer::new(capacity, FixedWait(WAIT))
    }

    fn push(buffer: &mut JitterBuffer, now: Instant, seq: u64) -> Arrival {
        buffer.push(now, ExtSeq(seq), ExtTs(seq * 160), &seq.to_be_bytes())
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
        assert_eq!(buffer.next_payload(), None);
        assert!(matches!(buffer.pop(t + WAIT), Popped::Hole { packets: 1, .. }));
        assert_eq!(buffer.next_payload(), Some(&3_u64.to_be_bytes()[..]));
        assert_eq!(drain(&mut buffer, t + WAIT), [3]);
        assert_eq!(buffer.next_payload(), None);
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
        assert_eq!(push(&mut buffer, t, 1000 - history::SPAN), Arrival::TooOld);
    }
}
