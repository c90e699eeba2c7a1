use std::collections::VecDeque;
use std::time::Instant;

use crate::wire::{ExtSeq, ExtTs, PayloadType};

/// A packet on its way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Its extended sequence number.
    pub seq: ExtSeq,
    /// Its extended timestamp.
    pub ts: ExtTs,
    /// What it carries.
    pub payload_type: PayloadType,
    /// Its payload.
    pub payload: &'a [u8],
}

/// A packet that waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its extended sequence number.
    pub seq: ExtSeq,
    /// Its extended timestamp.
    pub ts: ExtTs,
    /// When it arrived.
    pub arrived: Instant,
    /// What it carries.
    pub payload_type: PayloadType,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// Room of a payload's buffer, so that packets of a codec whose payloads differ in length, such as
/// Opus, seldom outgrow one that was made for a shorter one.
const ROOM: usize = 256;

/// No room for another packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow;

/// Packets in order of sequence, each once, at most as many as the capacity.
///
/// A full store refuses the newcomer. Payload buffers are used again, so that it allocates only
/// while it has never held so many packets before.
#[derive(Debug)]
pub struct Store {
    packets: VecDeque<Stored>,
    spare: Vec<Vec<u8>>,
    capacity: usize,
}

impl Store {
    /// An empty store for `capacity` packets.
    ///
    /// # Panics
    /// Where `capacity` is 0.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a store needs room for one packet");
        Self { packets: VecDeque::new(), spare: Vec::new(), capacity }
    }

    /// Keeps a packet; `false` where its sequence number is here already.
    ///
    /// # Errors
    /// [`Overflow`] where the store is full.
    pub fn insert(&mut self, arrived: Instant, packet: Packet<'_>) -> Result<bool, Overflow> {
        let Packet { seq, ts, payload_type, payload } = packet;
        // From the back: packets mostly come in order.
        let behind = self.packets.iter().rev().take_while(|stored| stored.seq > seq).count();
        let index = self.packets.len() - behind;
        if index > 0 && self.packets[index - 1].seq == seq {
            return Ok(false);
        }
        if self.is_full() {
            return Err(Overflow);
        }
        let mut buffer = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(ROOM));
        buffer.clear();
        buffer.extend_from_slice(payload);
        self.packets.insert(index, Stored { seq, ts, arrived, payload_type, payload: buffer });
        Ok(true)
    }

    /// The packet with the lowest sequence number.
    #[must_use]
    pub fn first(&self) -> Option<&Stored> {
        self.packets.front()
    }

    /// When the packet came that waits longest.
    #[must_use]
    pub fn oldest_arrival(&self) -> Option<Instant> {
        self.packets.iter().map(|stored| stored.arrived).min()
    }

    /// The same of those with a higher sequence number than `seq`.
    #[must_use]
    pub fn oldest_arrival_behind(&self, seq: ExtSeq) -> Option<Instant> {
        let behind = self.packets.iter().rev().take_while(|stored| stored.seq > seq);
        behind.map(|stored| stored.arrived).min()
    }

    /// The packet with the highest sequence number.
    #[must_use]
    pub fn last(&self) -> Option<&Stored> {
        self.packets.back()
    }

    /// Takes the packet with the lowest sequence number out.
    pub fn take_first(&mut self) -> Option<Stored> {
        self.packets.pop_front()
    }

    /// Takes a packet's buffer back for the next one.
    pub fn recycle(&mut self, stored: Stored) {
        if self.spare.len() < self.capacity {
            self.spare.push(stored.payload);
        }
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        while let Some(stored) = self.packets.pop_front() {
            self.recycle(stored);
        }
    }

    /// Packets that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Whether there is no room for another packet.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.packets.len() >= self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(store: &mut Store, seq: u64) -> Result<bool, Overflow> {
        let payload_type = PayloadType::new(0).unwrap();
        let packet = Packet { seq: ExtSeq(seq), ts: ExtTs(0), payload_type, payload: &[0; 4] };
        store.insert(crate::testing::epoch(), packet)
    }

    #[test]
    fn any_order_in_is_one_order_out() {
        let mut store = Store::new(8);
        for seq in [5, 3, 9, 4, 8, 3, 9] {
            insert(&mut store, seq).unwrap();
        }
        let order: Vec<_> =
            std::iter::from_fn(|| store.take_first()).map(|stored| stored.seq.0).collect();
        assert_eq!(order, [3, 4, 5, 8, 9]);
    }

    #[test]
    fn a_full_store_refuses_and_keeps_what_it_has() {
        let mut store = Store::new(2);
        assert_eq!(insert(&mut store, 1), Ok(true));
        assert_eq!(insert(&mut store, 2), Ok(true));
        assert_eq!(insert(&mut store, 2), Ok(false));
        assert_eq!(insert(&mut store, 3), Err(Overflow));
        assert_eq!(store.len(), 2);
    }
}
