use crate::wire::{RtpHeader, RtpTs, Seq, Ssrc};

/// Packets behind the newest one of which it is known whether they came.
const REMEMBERED: u32 = 64;

/// What the headers of RTP answers say of them; sums over any number of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Order {
    /// Packets that never came.
    pub(super) lost: u64,
    /// Packets that came behind one with a higher number.
    pub(super) reordered: u64,
    /// Packets that had come already.
    pub(super) duplicate: u64,
    /// Timestamps that do not fit to the sequence numbers.
    pub(super) timestamp_jumps: u64,
    /// Changes of the SSRC, or leaps of the sequence number.
    pub(super) restarts: u64,
}

impl Order {
    /// What was counted since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            // What was lost before may have come since.
            lost: self.lost.saturating_sub(earlier.lost),
            reordered: self.reordered - earlier.reordered,
            duplicate: self.duplicate - earlier.duplicate,
            timestamp_jumps: self.timestamp_jumps - earlier.timestamp_jumps,
            restarts: self.restarts - earlier.restarts,
        }
    }
}

/// What an answer is by its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The next one, behind so many that are lost.
    Next { lost: u32 },
    /// One that had counted as lost, so many packets before the next one.
    Late { behind: u32 },
    /// One that had come already.
    Again,
}

/// Follows the sequence numbers and timestamps of one call's answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    ssrc: Ssrc,
    newest: Seq,
    timestamp: RtpTs,
    /// Bit n: the packet n before the newest has come.
    came: u64,
}

impl Sequence {
    /// Begins with a call's first answer.
    pub(super) fn new(first: &RtpHeader) -> Self {
        // What is before the first was never sent, and cannot come late.
        Self { ssrc: first.ssrc, newest: first.seq, timestamp: first.timestamp, came: u64::MAX }
    }

    /// Takes the next answer, of packets that carry `ticks` each.
    pub(super) fn take(&mut self, header: &RtpHeader, ticks: u32, order: &mut Order) -> Place {
        let step = i32::from(header.seq.since(self.newest));
        let is_far = step > i32::from(i16::MAX) / 8 || step <= -(REMEMBERED.cast_signed());
        if header.ssrc != self.ssrc || is_far {
            order.restarts += 1;
            *self = Self::new(header);
            return Place::Next { lost: 0 };
        }
        let expected = self.timestamp.plus(ticks.wrapping_mul(step.cast_unsigned()));
        order.timestamp_jumps += u64::from(header.timestamp != expected);
        if step > 0 {
            let step = step.cast_unsigned();
            self.newest = header.seq;
            self.timestamp = header.timestamp;
            self.came = self.came.checked_shl(step).unwrap_or(0) | 1;
            order.lost += u64::from(step - 1);
            return Place::Next { lost: step - 1 };
        }
        let behind = step.unsigned_abs();
        let bit = 1 << behind;
        if self.came & bit != 0 {
            order.duplicate += 1;
            return Place::Again;
        }
        self.came |= bit;
        order.lost = order.lost.saturating_sub(1);
        order.reordered += 1;
        Place::Late { behind: behind + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PayloadType;

    fn header(seq: u16, timestamp: u32) -> RtpHeader {
        RtpHeader {
            marker: false,
            payload_type: PayloadType::new(0).unwrap(),
            seq: Seq(seq),
            timestamp: RtpTs(timestamp),
            ssrc: Ssrc(7),
        }
    }

    /// Takes packets of 160 ticks by their numbers; sequence number and timestamp both wrap.
    fn take(numbers: &[u16]) -> (Vec<Place>, Order) {
        let header = |n: u16| {
            let RtpTs(timestamp) = RtpTs(u32::MAX - 500).plus(160 * u32::from(n));
            header(65_533_u16.wrapping_add(n), timestamp)
        };
        let mut order = Order::default();
        let mut sequence = Sequence::new(&header(numbers[0]));
        let take = |&n: &u16| sequence.take(&header(n), 160, &mut order);
        (numbers[1..].iter().map(take).collect(), order)
    }

    const NEXT: Place = Place::Next { lost: 0 };

    #[test]
    fn packets_in_order_are_nothing_to_tell_of() {
        assert_eq!(take(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), (vec![NEXT; 8], Order::default()));
    }

    #[test]
    fn a_packet_that_does_not_come_is_lost_and_one_that_comes_late_is_not() {
        let (places, order) = take(&[0, 1, 4, 5]);
        assert_eq!(places, [NEXT, Place::Next { lost: 2 }, NEXT]);
        assert_eq!(order, Order { lost: 2, ..Order::default() });
        let (places, order) = take(&[0, 1, 4, 5, 2, 2]);
        assert_eq!(places[3..], [Place::Late { behind: 4 }, Place::Again]);
        assert_eq!(order, Order { lost: 1, reordered: 1, duplicate: 1, ..Order::default() });
    }

    #[test]
    fn a_packet_that_comes_twice_is_a_duplicate() {
        let (places, order) = take(&[0, 1, 1, 0, 2]);
        assert_eq!(places, [NEXT, Place::Again, Place::Again, NEXT]);
        assert_eq!(order, Order { duplicate: 2, ..Order::default() });
    }

    #[test]
    fn a_timestamp_that_does_not_fit_and_another_stream_are_told() {
        let mut order = Order::default();
        let mut sequence = Sequence::new(&header(5, 1_000));
        assert_eq!(sequence.take(&header(6, 1_161), 160, &mut order), NEXT);
        assert_eq!(order.timestamp_jumps, 1);
        // Measured from there.
        assert_eq!(sequence.take(&header(7, 1_321), 160, &mut order), NEXT);
        assert_eq!(order.timestamp_jumps, 1);
        let other = RtpHeader { ssrc: Ssrc(8), ..header(30_000, 9) };
        assert_eq!(sequence.take(&other, 160, &mut order), NEXT);
        assert_eq!(order, Order { timestamp_jumps: 1, restarts: 1, ..Order::default() });
    }
}
