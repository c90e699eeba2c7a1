use crate::wire::ExtSeq;

/// How many sequence numbers back an arrival is remembered: 2.56 s of 20 ms packets.
pub(super) const SPAN: u64 = 128;

/// Which of the last [`SPAN`] sequence numbers arrived, as a shifting bit set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// Bit `i`: sequence number `highest - i` arrived.
    bits: u128,
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
    /// Remembers that `seq` arrived.
    pub(super) fn mark(&mut self, seq: ExtSeq) {
        let highest = *self.highest.get_or_insert(seq);
        if seq > highest {
            let ahead = seq.0 - highest.0;
            self.bits = if ahead < SPAN { self.bits << ahead } else { 0 };
            self.highest = Some(seq);
        }
        let back = self.highest.map_or(0, |highest| highest.0 - seq.0);
        if back < SPAN {
            self.bits |= 1 << back;
        }
    }

    /// Whether `seq` arrived.
    pub(super) fn look(&self, seq: ExtSeq) -> Seen {
        let Some(back) = self.highest.and_then(|highest| highest.0.checked_sub(seq.0)) else {
            return Seen::Missing;
        };
        if back >= SPAN {
            Seen::Forgotten
        } else if self.bits >> back & 1 == 1 {
            Seen::Arrived
        } else {
            Seen::Missing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_marked_is_remembered_for_the_whole_span() {
        let mut history = History::default();
        history.mark(ExtSeq(1_000));
        history.mark(ExtSeq(1_002));
        for highest in 1_002..1_000 + SPAN {
            history.mark(ExtSeq(highest));
            assert_eq!(history.look(ExtSeq(1_000)), Seen::Arrived);
            assert_eq!(history.look(ExtSeq(1_001)), Seen::Missing);
        }
        history.mark(ExtSeq(1_000 + SPAN));
        assert_eq!(history.look(ExtSeq(1_000)), Seen::Forgotten);
        assert_eq!(history.look(ExtSeq(1_001)), Seen::Missing);
    }

    #[test]
    fn a_leap_forgets_everything() {
        let mut history = History::default();
        history.mark(ExtSeq(5));
        history.mark(ExtSeq(5 + 2 * SPAN));
        assert_eq!(history.look(ExtSeq(5)), Seen::Forgotten);
        assert_eq!(history.look(ExtSeq(6 + SPAN)), Seen::Missing);
    }
}
