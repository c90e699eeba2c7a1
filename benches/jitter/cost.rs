//! What a packet costs: processor time, and allocations.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use sidetone::media::jitter::{Arrival, JitterBuffer, Packet, Patience, Popped};
use sidetone::media::{DriftEstimator, InterarrivalJitter};
use sidetone::runtime::Clock;
use sidetone::wire::{ExtSeq, ExtTs, PayloadType};

use crate::clock::thread_time;
use crate::common::counting::allocations;
use crate::common::machine::median;
use crate::content::Content;
use crate::trace::{PACKET, Trace};
use crate::{fixed, neteq_peer, ours};

/// Packets of a trace that are timed, and rounds.
const PACKETS: usize = 3_000;
const ROUNDS: usize = 5;

/// Packets of a batch in order, and batches: odd, so that a median is one of them.
const BATCH: u64 = 5_000;
const BATCHES: usize = 201;

/// In-order packets after which nothing is allocated any more.
const WARM: usize = 100;

/// Processor time per packet of each buffer, in the order of [`crate::Buffer::ALL`], in nanoseconds:
/// all that the buffer does from packets to samples, G.711 included.
pub(crate) fn per_packet_ns(trace: &Trace, content: &Content, delays: [Duration; 2]) -> [f64; 4] {
    let arrivals = &trace.arrivals[..PACKETS.min(trace.arrivals.len())];
    let payloads: Vec<Vec<u8>> =
        arrivals.iter().map(|arrival| content.codes(arrival.packet).to_vec()).collect();
    let datagrams = datagrams(trace, content, arrivals.len());
    let per_packet = |work: &dyn Fn()| {
        let time = |_| {
            let start = thread_time();
            work();
            (thread_time() - start).as_nanos() as f64 / arrivals.len() as f64
        };
        median((0..ROUNDS).map(time).collect())
    };
    [
        per_packet(&|| ours::run(&datagrams)),
        per_packet(&|| neteq_peer::run(trace, &payloads)),
        per_packet(&|| fixed::run(delays[0], trace, &payloads)),
        per_packet(&|| fixed::run(delays[1], trace, &payloads)),
    ]
}

/// The first arrivals of a trace with their bytes.
fn datagrams(trace: &Trace, content: &Content, count: usize) -> Vec<(Duration, Vec<u8>)> {
    let datagram = |arrival: &crate::trace::Arrival| {
        let mut bytes = Vec::new();
        content.datagram(arrival.packet, &trace.sent[arrival.packet], &mut bytes);
        (arrival.at, bytes)
    };
    trace.arrivals[..count].iter().map(datagram).collect()
}

/// Time of a packet that is next in order in our jitter buffer and in what observes the arrivals
/// (jitter and drift), hot: the median over [`BATCHES`], in nanoseconds.
pub(crate) fn in_order_ns() -> f64 {
    let start = Clock::new().now();
    let patience = Patience::new(Duration::from_millis(20), Duration::from_millis(200));
    let mut buffer = JitterBuffer::new(64, 200, patience);
    let (mut jitter, mut drift) = (InterarrivalJitter::new(), DriftEstimator::new());
    let payload_type = PayloadType::new(0).expect("a payload type");
    let (mut now, mut seq) = (start, 0);
    let payload = [0x55; PACKET];
    let mut batch = |_| {
        let began = thread_time();
        for _ in 0..BATCH {
            let (place, ts) = (ExtSeq(seq), ExtTs(seq * PACKET as u64));
            let packet = Packet { seq: place, ts, payload_type, payload: black_box(&payload) };
            let arrival = buffer.push(black_box(now), packet);
            assert_eq!(arrival, Arrival::Next { reordered: false });
            assert_eq!(black_box(buffer.pop(now)), Popped::Empty);
            let media = Duration::from_millis(20 * seq);
            jitter.push(black_box(now - start), media);
            drift.push(black_box(now - start), media);
            seq += 1;
            now += Duration::from_millis(20);
        }
        (thread_time() - began).as_nanos() as f64 / BATCH as f64
    };
    let time = median((0..BATCHES).map(&mut batch).collect());
    black_box((jitter.jitter(), drift.ppm()));
    time
}

/// What our leg allocates for packets in order once it is warm, and for how many.
pub(crate) fn in_order_allocations(trace: &Trace, content: &Arc<Content>) -> (u64, usize) {
    let datagrams = datagrams(trace, content, PACKETS.min(trace.arrivals.len()));
    let (warm, counted) = datagrams.split_at(WARM);
    let mut driven = ours::Driven::new();
    let mut sink = |_, uplink: sidetone::media::Uplink<'_>| {
        black_box(uplink);
    };
    for (at, bytes) in warm {
        driven.datagram(*at, bytes, &mut sink);
    }
    let count = allocations(|| {
        for (at, bytes) in counted {
            driven.datagram(*at, bytes, &mut sink);
        }
    });
    (count, counted.len())
}
