use std::time::Instant;

use sidetone::media::jitter::{Arrival, JitterBuffer, Packet, Patience, Popped};
use sidetone::runtime::Clock;
use sidetone::wire::{ExtSeq, ExtTs, PayloadType};

use crate::driver::ms;
use crate::stages::Stages;

/// What the network does to the packets, in each hundred.
#[derive(Clone, Copy)]
enum Network {
    Perfect,
    /// One is lost.
    Loses,
    /// One comes 5 ms behind the next one.
    Reorders,
}

/// A packet into the jitter buffer, and what can leave it out again.
pub(crate) fn push_pop(stages: &mut Stages) {
    for (case, network) in [
        ("push_pop", Network::Perfect),
        ("push_pop_1_percent_lost", Network::Loses),
        ("push_pop_1_percent_reordered", Network::Reorders),
    ] {
        stages.case("jitter", case, || {
            let mut run = Run::new(network);
            move || run.frame()
        });
    }
}

struct Run {
    network: Network,
    buffer: JitterBuffer,
    now: Instant,
    seq: u64,
    /// Packets that came out, and that were given up.
    out: u64,
    missing: u64,
}

impl Run {
    fn new(network: Network) -> Self {
        let now = Clock::new().now();
        // As the settings of a call have it.
        let patience = Patience::new(ms(20), ms(200));
        let buffer = JitterBuffer::new(64, 200, patience);
        Self { network, buffer, now, seq: 0, out: 0, missing: 0 }
    }

    /// The packet that is sent now arrives, or one before it, or none.
    fn frame(&mut self) {
        let seq = self.seq;
        self.seq += 1;
        self.now += ms(20);
        match (self.network, seq % 100) {
            (Network::Loses | Network::Reorders, 50) => {}
            (Network::Reorders, 51) => {
                self.arrive(self.now, seq);
                self.arrive(self.now + ms(5), seq - 1);
            }
            _ => self.arrive(self.now, seq),
        }
        if self.seq.is_multiple_of(100) {
            let lost = u64::from(matches!(self.network, Network::Loses)) * self.seq / 100;
            assert_eq!((self.out, self.missing), (self.seq - lost, lost));
        }
    }

    fn arrive(&mut self, now: Instant, seq: u64) {
        let payload_type = PayloadType::new(0).unwrap();
        let (seq, ts) = (ExtSeq(seq), ExtTs(160 * seq));
        let packet = Packet { seq, ts, payload_type, payload: &[0x55; 160] };
        self.out += u64::from(matches!(self.buffer.push(now, packet), Arrival::Next { .. }));
        loop {
            match self.buffer.pop(now) {
                Popped::Packet(stored) => {
                    self.out += 1;
                    self.buffer.recycle(stored);
                }
                Popped::Hole { packets, .. } => self.missing += packets,
                Popped::Wait(_) | Popped::Empty => return,
            }
        }
    }
}
