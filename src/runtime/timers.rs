use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// What a timer belongs to: a slot of the shard, and whose turn in that slot it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) slot: usize,
    pub(super) serial: u64,
}

/// Steps of the wheel: more than a packet time.
const SLOTS: usize = 64;

/// Wake-ups of a shard's calls, on a grid of equal steps: a timing wheel.
///
/// A wake-up between two steps is due at the later one, so that many calls share one wake-up of the
/// thread. There is no way to take one back: a wake-up too early does no harm, and the serial number
/// of [`Key`] tells one of a call that is gone. Each costs the same, however many there are, unless
/// it is more than 63 steps ahead.
///
/// All steps share one store, so that room is made only where there are more wake-ups in all than
/// there ever were, however they come together.
#[derive(Debug)]
pub(super) struct Timers {
    origin: Instant,
    step: Duration,
    /// The step whose wake-ups are taken now; all before it have been.
    at: u64,
    /// The latest wake-up of each step, modulo the length: those of `at` and the 63 steps behind it.
    slots: [Option<u32>; SLOTS],
    /// Wake-ups by step, and places that are free, each with the one before it.
    places: Vec<(Key, Option<u32>)>,
    /// The place that became free last.
    free: Option<u32>,
    /// Whether slots hold any, bit by bit.
    occupied: u64,
    /// Wake-ups further ahead.
    far: BinaryHeap<Reverse<(u64, Key)>>,
}

impl Timers {
    /// Wake-ups at `origin` and whole steps behind it.
    pub(super) fn new(origin: Instant, step: Duration) -> Self {
        Self {
            origin,
            step,
            at: 0,
            slots: [None; SLOTS],
            places: Vec::new(),
            free: None,
            occupied: 0,
            far: BinaryHeap::new(),
        }
    }

    /// Wakes `key` at the first step that is not before `at`, nor before the latest one taken, and
    /// answers when that is.
    pub(super) fn schedule(&mut self, at: Instant, key: Key) -> Instant {
        let step = self.step_not_before(at).max(self.at);
        if step < self.at + SLOTS as u64 {
            self.put(step, key);
        } else {
            self.far.push(Reverse((step, key)));
        }
        self.moment(step)
    }

    /// When the next wake-up is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let ahead = self.occupied.rotate_right(self.slot_of(self.at) as u32).trailing_zeros();
        let near = (self.occupied != 0).then(|| self.at + u64::from(ahead));
        // Whatever is near comes before whatever is far.
        let next = near.or_else(|| self.far.peek().map(|Reverse((step, _))| *step));
        next.map(|step| self.moment(step))
    }

    /// Takes a wake-up that is due at `now`: when it was due, and whose it is. Those of an earlier
    /// step come first.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        loop {
            let slot = self.slot_of(self.at);
            if let Some(key) = self.take(slot) {
                return Some((self.moment(self.at), key));
            }
            let next = self.next().filter(|next| *next <= now)?;
            self.at = self.step_not_before(next);
            self.bring_near();
        }
    }

    /// Moves what is no longer far ahead onto the wheel.
    fn bring_near(&mut self) {
        while let Some(&Reverse((step, key))) = self.far.peek()
            && step < self.at + SLOTS as u64
        {
            self.far.pop();
            self.put(step, key);
        }
    }

    fn put(&mut self, step: u64, key: Key) {
        let slot = self.slot_of(step);
        let entry = (key, self.slots[slot]);
        let place = match self.free {
            Some(place) => {
                let (_, before) = std::mem::replace(&mut self.places[place as usize], entry);
                self.free = before;
                place
            }
            None => {
                self.places.push(entry);
                u32::try_from(self.places.len() - 1).expect("a shard has no billions of calls")
            }
        };
        self.slots[slot] = Some(place);
        self.occupied |= 1 << slot;
    }

    /// Takes the latest wake-up of a slot.
    fn take(&mut self, slot: usize) -> Option<Key> {
        let place = self.slots[slot]?;
        let (key, before) = &mut self.places[place as usize];
        let key = *key;
        self.slots[slot] = std::mem::replace(before, self.free);
        self.free = Some(place);
        if self.slots[slot].is_none() {
            self.occupied &= !(1 << slot);
        }
        Some(key)
    }

    fn slot_of(&self, step: u64) -> usize {
        (step % SLOTS as u64) as usize
    }

    fn moment(&self, step: u64) -> Instant {
        self.origin + Duration::from_nanos(self.step_ns() * step)
    }

    fn step_not_before(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX).div_ceil(self.step_ns())
    }

    fn step_ns(&self) -> u64 {
        u64::from(self.step.subsec_nanos())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::epoch;

    const STEP: Duration = Duration::from_micros(500);

    fn key(slot: usize) -> Key {
        Key { slot, serial: 7 }
    }

    fn due(timers: &mut Timers, now: Instant) -> Vec<(Duration, usize)> {
        let origin = timers.origin;
        std::iter::from_fn(|| timers.pop_due(now))
            .map(|(at, key)| (at - origin, key.slot))
            .collect()
    }

    #[test]
    fn a_wake_up_is_due_at_its_step_and_one_between_two_steps_at_the_later() {
        let origin = epoch();
        let mut timers = Timers::new(origin, STEP);
        timers.schedule(origin + 3 * STEP, key(1));
        timers.schedule(origin + 3 * STEP + Duration::from_nanos(1), key(2));
        assert_eq!(timers.next(), Some(origin + 3 * STEP));
        assert_eq!(due(&mut timers, origin + 3 * STEP - Duration::from_nanos(1)), []);
        assert_eq!(due(&mut timers, origin + 3 * STEP), [(3 * STEP, 1)]);
        assert_eq!(timers.next(), Some(origin + 4 * STEP));
        assert_eq!(due(&mut timers, origin + 9 * STEP), [(4 * STEP, 2)]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_is_late_already_is_due_at_once() {
        let origin = epoch();
        let mut timers = Timers::new(origin, STEP);
        timers.schedule(origin + 100 * STEP, key(1));
        assert_eq!(due(&mut timers, origin + 100 * STEP).len(), 1);
        timers.schedule(origin + 5 * STEP, key(2));
        assert_eq!(due(&mut timers, origin + 100 * STEP), [(100 * STEP, 2)]);
    }

    #[test]
    fn wake_ups_that_come_together_take_no_more_room_than_those_that_do_not() {
        let origin = epoch();
        let mut timers = Timers::new(origin, STEP);
        for round in 0..10 {
            let start = origin + 64 * round * STEP;
            for n in 0..40 {
                // One in each step, then all in one.
                timers.schedule(start + if round < 5 { n * STEP } else { 3 * STEP }, key(1));
            }
            assert_eq!(due(&mut timers, start + 63 * STEP).len(), 40);
            assert_eq!(timers.places.len(), 40);
        }
    }

    proptest! {
        /// Beside a sorted set, with wake-ups near and far and stalls of any length.
        #[test]
        fn every_wake_up_comes_once_in_its_order(
            turns in prop::collection::vec((0_u64..200_000, 0_u64..3_000_000), 1..200)
        ) {
            let origin = epoch();
            let mut timers = Timers::new(origin, STEP);
            let mut model = BTreeSet::new();
            let mut now = Duration::ZERO;
            for (slot, (ahead_us, pass_us)) in turns.into_iter().enumerate() {
                let at = now + Duration::from_micros(ahead_us);
                timers.schedule(origin + at, key(slot));
                model.insert((STEP * at.as_micros().div_ceil(500) as u32, slot));
                // Mostly a step or none, now and then a stall.
                now += Duration::from_micros(if pass_us > 2_900_000 { pass_us } else { pass_us % 900 });
                let next = model.first().map(|(at, _)| origin + *at);
                prop_assert_eq!(timers.next(), next);
                let later = model.split_off(&(now + Duration::from_nanos(1), 0));
                let mut taken = due(&mut timers, origin + now);
                prop_assert!(taken.is_sorted_by_key(|(at, _)| *at));
                taken.sort_unstable();
                prop_assert_eq!(taken, model.into_iter().collect::<Vec<_>>());
                model = later;
            }
        }
    }
}
