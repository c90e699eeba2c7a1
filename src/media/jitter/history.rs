use crate::wire::ExtSeq;

/// Which of the latest sequence numbers arrived: a ring of bits, and the latest run without a hole,
/// so that a packet in order costs no look at the bits.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Of sequence number `n`: bit `n` modulo the number of bits, a power of two. Those of the run are
    /// written when it ends.
    bits: Box<[u64]>,
    run: Option<Run>,
}

/// Numbers that arrived, all of them.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: ExtSeq,
    /// The highest of all numbers that arrived.
    highest: ExtSeq,
}

/// What is known of a sequence number at or below the highest one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Arrived,
    Missing,
    Forgotten,
}

impl History {
    /// Remembers `packets` sequence numbers back, or some more.
    pub(super) fn new(packets: usize) -> Self {
        let words = packets.div_ceil(64).next_power_of_two();
        Self { bits: vec![0; words].into_boxed_slice(), run: None }
    }

    /// How many sequence numbers back an arrival is remembered.
    pub(super) fn span(&self) -> u64 {
        64 * self.bits.len() as u64
    }

    /// Remembers that `seq` arrived.
    pub(super) fn mark(&mut self, seq: ExtSeq) {
        let run = self.run.get_or_insert(Run { first: seq, highest: seq });
        if seq.0 == run.highest.0 + 1 {
            run.highest = seq;
            return;
        }
        let Run { first, highest } = *run;
        if seq > highest {
            self.end_run(first, highest);
            if seq.0 - highest.0 >= self.span() {
                self.bits.fill(0);
            } else {
                (highest.0 + 1..seq.0).for_each(|between| self.write(between, false));
            }
            self.run = Some(Run { first: seq, highest: seq });
        } else if seq < first && highest.0 - seq.0 < self.span() {
            self.write(seq.0, true);
        }
    }

    /// Whether `seq` arrived.
    pub(super) fn look(&self, seq: ExtSeq) -> Seen {
        let Some(Run { first, highest }) = self.run.filter(|run| run.highest >= seq) else {
            return Seen::Missing;
        };
        let (word, mask) = self.place(seq.0);
        if highest.0 - seq.0 >= self.span() {
            Seen::Forgotten
        } else if seq >= first || self.bits[word] & mask != 0 {
            Seen::Arrived
        } else {
            Seen::Missing
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bits.fill(0);
        self.run = None;
    }

    /// Writes the bits of a run.
    fn end_run(&mut self, first: ExtSeq, highest: ExtSeq) {
        if highest.0 - first.0 >= self.span() {
            self.bits.fill(u64::MAX);
        } else {
            (first.0..=highest.0).for_each(|seq| self.write(seq, true));
        }
    }

    fn write(&mut self, seq: u64, arrived: bool) {
        let (word, mask) = self.place(seq);
        if arrived {
            self.bits[word] |= mask;
        } else {
            self.bits[word] &= !mask;
        }
    }

    fn place(&self, seq: u64) -> (usize, u64) {
        let bit = seq & (self.span() - 1);
        ((bit / 64) as usize, 1 << (bit % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_marked_is_remembered_for_the_whole_span() {
        for packets in [1, 64, 65, 200] {
            let mut history = History::new(packets);
            let span = history.span();
            assert!(span >= packets as u64);
            history.mark(ExtSeq(1_000));
            history.mark(ExtSeq(1_002));
            for highest in 1_002..1_000 + span {
                history.mark(ExtSeq(highest));
                assert_eq!(history.look(ExtSeq(1_000)), Seen::Arrived);
                assert_eq!(history.look(ExtSeq(1_001)), Seen::Missing);
            }
            history.mark(ExtSeq(1_000 + span));
            assert_eq!(history.look(ExtSeq(1_000)), Seen::Forgotten);
            assert_eq!(history.look(ExtSeq(1_001)), Seen::Missing);
        }
    }

    proptest! {
        /// Steps from the highest number so far; most are the next one.
        #[test]
        fn it_knows_what_a_set_of_all_numbers_knows(
            steps in prop::collection::vec(
                prop_oneof![6 => Just(1_i64), 2 => -140_i64..140, 1 => -10_i64..10],
                1..400,
            ),
        ) {
            let mut history = History::new(64);
            let mut all = BTreeSet::new();
            let mut highest = 10_000_u64;
            for step in steps {
                let seq = highest.saturating_add_signed(step);
                history.mark(ExtSeq(seq));
                // What is too old when it comes is not taken note of.
                if all.is_empty() || seq + history.span() > highest {
                    all.insert(seq);
                }
                highest = all.last().copied().unwrap_or_default();
                for seq in highest - 200..=highest + 2 {
                    let expected = match highest.checked_sub(seq) {
                        Some(back) if back >= history.span() => Seen::Forgotten,
                        Some(_) if all.contains(&seq) => Seen::Arrived,
                        _ => Seen::Missing,
                    };
                    prop_assert_eq!(history.look(ExtSeq(seq)), expected, "{}", seq);
                }
            }
        }
    }

    #[test]
    fn a_leap_forgets_everything() {
        let mut history = History::new(128);
        history.mark(ExtSeq(5));
        history.mark(ExtSeq(5 + 2 * 128));
        assert_eq!(history.look(ExtSeq(5)), Seen::Forgotten);
        assert_eq!(history.look(ExtSeq(6 + 128)), Seen::Missing);
        assert_eq!(history.look(ExtSeq(5 + 2 * 128)), Seen::Arrived);
    }
}
