use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// What a timer belongs to: a slot of the shard, and whose turn in that slot it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) slot: usize,
    pub(super) serial: u64,
}

/// Wake-ups of a shard's calls, earliest first.
///
/// There is no way to take one back: a wake-up too early does no harm, and the serial number of
/// [`Key`] tells one of a call that is gone.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Key)>>);

impl Timers {
    /// Wakes `key` at `at`.
    pub(super) fn schedule(&mut self, at: Instant, key: Key) {
        self.0.push(Reverse((at, key)));
    }

    /// When the next wake-up is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a wake-up that is due at `now`: when it was due, and whose it is.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}
