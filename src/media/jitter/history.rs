use crate::wire::ExtSeq;

/// Which of the latest sequence numbers arrived: a ring of bits.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Of sequence number `n`: bit `n` modulo the number of bits, a power of two.
    bits: Box<[u64]>,
    /// The highest number that arrived.
    highest: Option<ExtSeq>,
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
        Self { bits: vec![0; words].into_boxed_slice(), highest: None }
    }

    /// How many sequence numbers back an arrival is remembered.
    pub(super) fn span(&self) -> u64 {
        64 * self.bits.len() as u64
    }

    /// Remembers that `seq` arrived.
    pub(super) fn mark(&mut self, seq: ExtSeq) {
        let highest = *self.highest.get_or_insert(seq);
        if seq > highest {
            if seq.0 - highest.0 >= self.span() {
                self.bits.fill(0);
            } else {
                (highest.0 + 1..=seq.0).for_each(|between| {
                    let (word, mask) = self.place(between);
                    self.bits[word] &= !mask;
                });
            }
            self.highest = Some(seq);
        }
        if self.highest.is_some_and(|highest| highest.0 - seq.0 < self.span()) {
            let (word, mask) = self.place(seq.0);
            self.bits[word] |= mask;
        }
    }

    /// Whether `seq` arrived.
    pub(super) fn look(&self, seq: ExtSeq) -> Seen {
        let Some(back) = self.highest.and_then(|highest| highest.0.checked_sub(seq.0)) else {
            return Seen::Missing;
        };
        let (word, mask) = self.place(seq.0);
        if back >= self.span() {
            Seen::Forgotten
        } else if self.bits[word] & mask != 0 {
            Seen::Arrived
        } else {
            Seen::Missing
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bits.fill(0);
        self.highest = None;
    }

    fn place(&self, seq: u64) -> (usize, u64) {
        let bit = seq & (self.span() - 1);
        ((bit / 64) as usize, 1 << (bit % 64))
    }
}

#[cfg(test)]
mod tests {
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
