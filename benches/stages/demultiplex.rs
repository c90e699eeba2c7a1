use std::hint::black_box;
use std::net::SocketAddr;

use sidetone::dsp::random::Random;
use sidetone::runtime::Demultiplexer;

use crate::stages::Stages;

/// Whose datagram it is, in random order among so many calls.
pub(crate) fn find(stages: &mut Stages) {
    for calls in [1_000, 4_000] {
        stages.case("demultiplex", &calls.to_string(), || {
            let peers = peers(calls);
            let mut demultiplexer = Demultiplexer::new();
            for (slot, peer) in peers.iter().enumerate() {
                demultiplexer.lock(*peer, slot);
            }
            let order: Vec<_> =
                shuffled(calls).into_iter().map(|slot| (peers[slot], slot)).collect();
            let mut next = 0;
            move || {
                let (peer, slot) = &order[next];
                next = if next + 1 == order.len() { 0 } else { next + 1 };
                assert_eq!(demultiplexer.find(black_box(peer)), Some(*slot));
            }
        });
    }
}

/// The media addresses of four servers, whose ports for RTP are the even ones.
fn peers(calls: usize) -> Vec<SocketAddr> {
    let hosts = (1..=4).cycle();
    let ports = (10_000..).step_by(2).flat_map(|port| [port; 4]);
    let peer = |(host, port)| SocketAddr::from(([192, 0, 2, host], port));
    hosts.zip(ports).map(peer).take(calls).collect()
}

/// Every index once, in an order that no prefetcher foresees (Fisher and Yates).
pub(crate) fn shuffled(count: usize) -> Vec<usize> {
    let mut random = Random(1);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, (random.unit() * (last + 1) as f64) as usize);
    }
    order
}
