use crate::wire::{Seq, Ssrc};

/// Largest step ahead of a sequence number within one stream (RFC 3550 A.1, `MAX_DROPOUT`).
const MAX_DROPOUT: i16 = 3000;

/// Largest step back of a sequence number within one stream. RFC 3550 A.1 has 100
/// (`MAX_MISORDER`); ours is what the jitter buffer remembers of the past by default, so that late
/// packets are known for what they are.
const MAX_MISORDER: i16 = 256;

/// Locks a leg to one SSRC and one run of sequence numbers, and follows a change of either.
///
/// The sender of a call may start anew with another SSRC or sequence number. One stray packet is
/// no proof: two consecutive ones of the new stream are, with none of the old one between them
/// (RFC 3550 A.1, `MIN_SEQUENTIAL`).
#[derive(Clone, Debug, Default)]
pub struct SourceCheck {
    locked: Option<(Ssrc, Seq)>,
    candidate: Option<(Ssrc, Seq)>,
}

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It belongs to the stream.
    Accept,
    /// It may be the first of a new stream: hold it until the next packet tells.
    Hold,
    /// It confirms that the packet held before it began a new stream.
    Restart,
}

impl SourceCheck {
    /// Judges a packet from the call's own address.
    pub fn check(&mut self, ssrc: Ssrc, seq: Seq) -> Verdict {
        let Some((locked, highest)) = self.locked else {
            self.locked = Some((ssrc, seq));
            return Verdict::Accept;
        };
        let step = seq.since(highest);
        if ssrc == locked && (-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            self.candidate = None;
            if step > 0 {
                self.locked = Some((ssrc, seq));
            }
            return Verdict::Accept;
        }
        if self.candidate == Some((ssrc, seq)) {
            self.locked = Some((ssrc, seq));
            self.candidate = None;
            return Verdict::Restart;
        }
        self.candidate = Some((ssrc, seq.plus(1)));
        Verdict::Hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ssrc = Ssrc(1);
    const OTHER: Ssrc = Ssrc(2);

    fn locked_at(seq: u16) -> SourceCheck {
        let mut check = SourceCheck::default();
        assert_eq!(check.check(OURS, Seq(seq)), Verdict::Accept);
        check
    }

    #[test]
    fn a_foreign_ssrc_never_takes_over_while_ours_is_alive() {
        let mut check = locked_at(0);
        for n in 1..1000 {
            assert_eq!(check.check(OTHER, Seq(n)), Verdict::Hold);
            assert_eq!(check.check(OURS, Seq(n)), Verdict::Accept);
        }
    }

    #[test]
    fn a_new_ssrc_is_followed_at_its_second_consecutive_packet() {
        let mut check = locked_at(0);
        assert_eq!(check.check(OTHER, Seq(500)), Verdict::Hold);
        assert_eq!(check.check(OTHER, Seq(502)), Verdict::Hold);
        assert_eq!(check.check(OTHER, Seq(503)), Verdict::Restart);
        assert_eq!(check.check(OTHER, Seq(504)), Verdict::Accept);
        assert_eq!(check.check(OURS, Seq(1)), Verdict::Hold);
    }

    #[test]
    fn a_leap_of_the_sequence_is_followed_and_a_gap_is_not_a_leap() {
        let mut check = locked_at(0);
        assert_eq!(check.check(OURS, Seq(3000)), Verdict::Accept);
        assert_eq!(check.check(OURS, Seq(3000 - 256)), Verdict::Accept);
        assert_eq!(check.check(OURS, Seq(6001)), Verdict::Hold);
        assert_eq!(check.check(OURS, Seq(6002)), Verdict::Restart);
    }

    #[test]
    fn the_wrap_is_no_leap() {
        let mut check = locked_at(65_530);
        for n in 0..20_u16 {
            assert_eq!(check.check(OURS, Seq(65_530_u16.wrapping_add(n))), Verdict::Accept);
        }
    }
}
