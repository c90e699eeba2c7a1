use slab::Slab;

use crate::media::CallStats;

/// Calls that are asked in one turn of the shard: their memory is in no cache, and the frames that
/// are due in that turn shall not wait for all of it.
const PER_TURN: usize = 64;

/// Adds up what all calls of a shard have counted, some of them in each turn.
///
/// The sum has each call that was there all along, and each that was over, once: so no counter is
/// ever lower than in the census before. Calls that begin meanwhile may have to wait for the next.
#[derive(Debug, Default)]
pub(super) struct Census(Option<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    sum: CallStats,
    /// The slots before this one have been asked.
    next: usize,
}

impl Census {
    /// Begins one, beside the sum of the calls that are `over`, where none is under way.
    pub(super) fn begin(&mut self, over: &CallStats) {
        self.0.get_or_insert(UnderWay { sum: *over, next: 0 });
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.0.is_some()
    }

    /// Asks some of the calls, which have the first `used` of the slots; answers the sum with the last
    /// of them.
    pub(super) fn ask_some<T>(
        &mut self,
        slots: &Slab<T>,
        used: usize,
        counters: impl Fn(&T) -> &CallStats,
    ) -> Option<CallStats> {
        let UnderWay { sum, next } = self.0.as_mut()?;
        let all = if slots.is_empty() { 0 } else { used };
        let end = all.min(*next + PER_TURN);
        let calls = (*next..end).filter_map(|slot| slots.get(slot));
        calls.for_each(|call| *sum += counters(call));
        *next = end;
        if end < all {
            return None;
        }
        self.0.take().map(|done| done.sum)
    }

    /// A call is over.
    pub(super) fn leaves(&mut self, slot: usize, counted: &CallStats) {
        if let Some(UnderWay { sum, .. }) = self.0.as_mut().filter(|census| census.next <= slot) {
            *sum += counted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(packets: u64) -> CallStats {
        CallStats { packets_received: packets, ..CallStats::default() }
    }

    /// Ends the census, in how many turns, and with how many packets.
    fn end(census: &mut Census, slots: &Slab<CallStats>) -> (usize, u64) {
        let mut turns = 0;
        loop {
            turns += 1;
            if let Some(sum) = census.ask_some(slots, slots.capacity(), |stats| stats) {
                assert!(!census.is_under_way());
                return (turns, sum.packets_received);
            }
        }
    }

    #[test]
    fn all_calls_are_asked_a_bounded_number_in_a_turn() {
        let mut slots = Slab::with_capacity(10 * PER_TURN);
        let mut census = Census::default();
        (0..10 * PER_TURN).for_each(|_| {
            slots.insert(counted(1));
        });
        census.begin(&counted(7));
        assert_eq!(end(&mut census, &slots), (10, 7 + 10 * PER_TURN as u64));
    }

    #[test]
    fn slots_that_no_call_has_had_are_not_asked() {
        let mut slots = Slab::with_capacity(10 * PER_TURN);
        slots.insert(counted(1));
        let mut census = Census::default();
        census.begin(&counted(7));
        assert_eq!(census.ask_some(&slots, 1, |stats| stats), Some(counted(8)));
    }

    #[test]
    fn without_calls_it_is_over_at_once() {
        let mut census = Census::default();
        assert_eq!(census.ask_some(&Slab::new(), 0, |stats| stats), None);
        census.begin(&counted(7));
        assert_eq!(end(&mut census, &Slab::new()), (1, 7));
    }

    #[test]
    fn a_call_that_ends_meanwhile_is_counted_once_whether_it_was_asked_or_not() {
        let mut slots = Slab::with_capacity(2 * PER_TURN);
        let keys: Vec<_> = (0..2 * PER_TURN).map(|_| slots.insert(counted(1))).collect();
        let mut census = Census::default();
        census.begin(&counted(0));
        assert_eq!(census.ask_some(&slots, slots.capacity(), |stats| stats), None);
        for key in [keys[0], keys[PER_TURN]] {
            let over = slots.remove(key);
            census.leaves(key, &over);
            // Another one takes its place.
            slots.insert(counted(1_000));
        }
        let (_, packets) = end(&mut census, &slots);
        // Of the two newcomers, the one in a slot that was still to be asked is in it.
        assert_eq!(packets, 2 * PER_TURN as u64 + 1_000);
    }
}
