use std::fmt;

use serde::Serialize;

/// RTP sequence number (RFC 3550 section 5.1). It wraps, so it has no order: see [`ExtSeq`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seq(pub u16);

impl Seq {
    /// The number `count` packets later, modulo 2^16.
    #[must_use]
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How many packets `self` lies behind `earlier` in sending order, the short way round:
    /// −32,768 to 32,767. The exact opposite of the circle counts as older (−32,768).
    #[must_use]
    pub const fn since(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Sequence number extended by the count of its wraps (RFC 3550 appendix A.1); ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExtSeq(pub u64);

impl ExtSeq {
    /// The sequence number as it is on the wire.
    #[must_use]
    pub const fn seq(self) -> Seq {
        Seq((self.0 & 0xffff) as u16)
    }

    /// The number `count` packets later.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// Packets from `earlier` to `self`; negative where `self` is the older one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// RTP timestamp in ticks of the payload's clock (RFC 3550 section 5.1). It wraps, so it has no
/// order: see [`ExtTs`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RtpTs(pub u32);

impl RtpTs {
    /// The timestamp `ticks` later, modulo 2^32.
    #[must_use]
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// Ticks from `earlier` to `self`, the short way round: −2^31 to 2^31 − 1. The exact opposite
    /// of the circle counts as older.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Timestamp extended by the count of its wraps; ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExtTs(pub u64);

impl ExtTs {
    /// The timestamp as it is on the wire.
    #[must_use]
    pub const fn ts(self) -> RtpTs {
        RtpTs((self.0 & 0xffff_ffff) as u32)
    }

    /// The timestamp `ticks` later.
    #[must_use]
    pub const fn plus(self, ticks: u64) -> Self {
        Self(self.0.saturating_add(ticks))
    }

    /// Ticks from `earlier` to `self`; negative where `self` is the older one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Synchronisation source: names one sender of RTP (RFC 3550 section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Extends the sequence numbers of one source, relative to the highest one seen.
///
/// The first number is put one cycle up (65,536 + it), so that packets older than the first keep
/// their order. A number is taken for the nearest one to the highest so far, hence reordering and
/// loss must stay below half the circle (32,768 packets, 11 minutes at 50 packets a second). A
/// longer break, or a sender that starts anew, is for the owner to notice and to answer with a
/// fresh extender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeqExtender {
    highest: Option<u64>,
}

impl SeqExtender {
    /// An extender that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// What [`extend`](Self::extend) would answer, without taking note of `seq`.
    #[must_use]
    pub const fn preview(&self, seq: Seq) -> ExtSeq {
        match self.highest {
            None => ExtSeq((1 << 16) + seq.0 as u64),
            Some(highest) => {
                let step = seq.since(ExtSeq(highest).seq());
                ExtSeq(highest.saturating_add_signed(step as i64))
            }
        }
    }

    /// Extends `seq` and takes note of it where it is the newest so far.
    pub fn extend(&mut self, seq: Seq) -> ExtSeq {
        let extended = self.preview(seq);
        self.highest = self.highest.max(Some(extended.0));
        extended
    }

    /// The newest number so far.
    #[must_use]
    pub fn highest(&self) -> Option<ExtSeq> {
        self.highest.map(ExtSeq)
    }
}

/// Extends the timestamps of one source, relative to the highest one seen.
///
/// The first timestamp is put one cycle up (2^32 + it), so that packets older than the first keep
/// their order. Steps must stay below half the circle (2^31 ticks, 12 hours at 48 kHz).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TsExtender {
    highest: Option<u64>,
}

impl TsExtender {
    /// An extender that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// What [`extend`](Self::extend) would answer, without taking note of `ts`.
    #[must_use]
    pub const fn preview(&self, ts: RtpTs) -> ExtTs {
        match self.highest {
            None => ExtTs((1 << 32) + ts.0 as u64),
            Some(highest) => {
                let step = ts.since(ExtTs(highest).ts());
                ExtTs(highest.saturating_add_signed(step as i64))
            }
        }
    }

    /// Extends `ts` and takes note of it where it is the newest so far.
    pub fn extend(&mut self, ts: RtpTs) -> ExtTs {
        let extended = self.preview(ts);
        self.highest = self.highest.max(Some(extended.0));
        extended
    }

    /// The newest timestamp so far.
    #[must_use]
    pub fn highest(&self) -> Option<ExtTs> {
        self.highest.map(ExtTs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_older_than_the_first_keep_their_order() {
        let mut extender = SeqExtender::new();
        let first = extender.extend(Seq(1));
        let older = extender.extend(Seq(0));
        let oldest = extender.extend(Seq(0xfffe));
        assert!(oldest < older && older < first);
        assert_eq!((first.since(older), older.since(oldest)), (1, 2));
        assert_eq!(extender.highest(), Some(first));
    }

    #[test]
    fn every_sequence_number_extends_in_order_through_three_wraps() {
        let mut extender = SeqExtender::new();
        for sent in 0..4 * 65_536_u64 {
            let seq = Seq((sent & 0xffff) as u16);
            assert_eq!(extender.preview(seq), ExtSeq(65_536 + sent));
            assert_eq!(extender.extend(seq), ExtSeq(65_536 + sent));
            assert_eq!(extender.extend(seq), ExtSeq(65_536 + sent), "a duplicate");
        }
    }

    #[test]
    fn the_far_side_of_the_circle_counts_as_older() {
        let mut extender = SeqExtender::new();
        let highest = extender.extend(Seq(0));
        assert_eq!(extender.preview(Seq(0x7fff)).since(highest), 0x7fff);
        assert_eq!(extender.preview(Seq(0x8000)).since(highest), -0x8000);
    }

    #[test]
    fn a_timestamp_wrap_is_one_step_forward() {
        let mut extender = TsExtender::new();
        let before = extender.extend(RtpTs(u32::MAX - 79));
        let after = extender.extend(RtpTs(80));
        assert_eq!(after.since(before), 160);
        assert_eq!(after.ts(), RtpTs(80));
        assert_eq!(extender.extend(RtpTs(u32::MAX - 79)), before, "a late one is itself again");
    }

    #[test]
    fn steps_wrap_both_ways() {
        assert_eq!(Seq(0xffff).plus(2), Seq(1));
        assert_eq!((Seq(1).since(Seq(0xffff)), Seq(0xffff).since(Seq(1))), (2, -2));
        assert_eq!(RtpTs(u32::MAX).plus(160), RtpTs(159));
        assert_eq!(
            (RtpTs(159).since(RtpTs(u32::MAX)), Ssrc(10).to_string()),
            (160, "0x0000000a".into())
        );
    }
}
