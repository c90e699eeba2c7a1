//! What a network let through, against what was recorded of it.

// Every test binary uses its own part of this module, and prints the rest.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sidetone::dsp::g711;
use sidetone::wire::{RtpPacket, RtpTs};

use crate::emulator::{Delivery, Jitter, Loss, Path};

/// Samples of a packet of µ-law: 20 ms.
const FRAME: usize = 160;

/// What a frame begins with that is joined to what was made up before it: 4 ms.
const JOIN: usize = 32;

/// A bad network: 5 % are lost, in bursts of three in the mean, and each of the others comes up to
/// 60 ms later than it might, behind up to three that were sent after it.
pub(crate) const BAD: Path = Path {
    // 5 % of the packets find the channel in its bad state: p / (p + r).
    loss: Loss::GilbertElliott { p: 0.05 / 0.95 / 3.0, r: 1.0 / 3.0, h: 0.0, k: 1.0 },
    jitter: Jitter::Uniform { max: Duration::from_millis(60) },
    overtaking: true,
    ..Path::IDEAL
};

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where the first packet that arrived lies in the recording.
    pub(crate) first_at: usize,
    /// Packets of which every sample is there.
    pub(crate) whole: usize,
    /// Packets of which all is there but the 4 ms that are joined to what fills the loss before.
    pub(crate) joined: usize,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) reordered: u64,
    pub(crate) concealed: u64,
}

/// Whether every packet of the sender came to the network, and its timestamps go on by 20 ms a packet
/// or leap ahead from there: by whole packets, or by two and more. Asterisk's may leap where it was late
/// itself; a leap that is neither is bridged, so that what follows does not lie where it says.
///
/// # Errors
/// The first two packets of which that is not so.
pub(crate) fn is_regular(deliveries: &[Delivery]) -> Result<(), String> {
    let mut packets: Vec<_> = deliveries.iter().map(|d| (d.index, parse(d))).collect();
    packets.sort_by_key(|(index, _)| *index);
    for pair in packets.windows(2) {
        let [(index, packet), (next_index, next)] = pair else { unreachable!("two of them") };
        let steps = next_index - index;
        let by_seq = u64::from(next.seq().0.wrapping_sub(packet.seq().0));
        let ticks = u64::from(next.timestamp().0.wrapping_sub(packet.timestamp().0));
        let leap = ticks.checked_sub(steps * FRAME as u64);
        let follows = |leap: u64| leap.is_multiple_of(FRAME as u64) || leap >= 2 * FRAME as u64;
        if by_seq != steps || ticks > 1 << 31 || !leap.is_some_and(follows) {
            return Err(format!(
                "packet {next_index} is {steps} behind {index}, {by_seq} by its sequence number, \
                 {ticks} by its timestamp"
            ));
        }
    }
    Ok(())
}

/// Checks that every packet of µ-law that arrived stands in the recording, sample by sample, as far
/// from the first one as their timestamps say, and that the call's `stats` are what the network did.
///
/// `deliveries` are in order of arrival, those of one [regular](is_regular) stream.
pub(crate) fn check(deliveries: &[Delivery], caller: &[i16], stats: &Value) -> Found {
    let first = &deliveries[0];
    let first_ts = parse(first).timestamp();
    let arrived: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.index).collect();
    assert_eq!(arrived.len(), deliveries.len(), "the network doubles nothing");
    let behind_a_loss = |index| index > first.index && !arrived.contains(&(index - 1));

    let anchor = deliveries.iter().find(|d| !behind_a_loss(d.index) && is_audible(d));
    let anchor = anchor.expect("something is said");
    let said = decoded(anchor);
    let mut places = caller.windows(said.len()).enumerate().filter(|(_, there)| *there == said);
    let (anchor_at, _) = places.next().expect("what arrived is in the recording");
    assert_eq!(places.next(), None, "what is said is like itself nowhere else");
    let first_at = anchor_at.checked_add_signed(-ticks(first_ts, anchor));
    let first_at = first_at.expect("nothing lies before the call");

    let (mut whole, mut joined) = (0, 0);
    for delivery in deliveries {
        let index = delivery.index;
        let at = first_at.checked_add_signed(ticks(first_ts, delivery));
        let at = at.unwrap_or_else(|| panic!("packet {index} lies before the call"));
        let said = decoded(delivery);
        let heard = caller.get(at..at + said.len());
        let heard = heard.unwrap_or_else(|| panic!("packet {index} lies behind the recording"));
        // What came late brings the true beginning of the packet behind it along.
        let skipped = if behind_a_loss(index) { JOIN } else { 0 };
        let other = (skipped..said.len()).find(|&n| heard[n] != said[n]);
        assert_eq!(other, None, "a sample of packet {index}, at {at} of the recording, is another");
        if heard == said { whole += 1 } else { joined += 1 }
    }

    let count = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("{name}: {stats}"));
    let since_first = arrived.range(first.index..).count() as u64;
    let lost = arrived.last().expect("one arrived") + 1 - first.index - since_first;
    let reordered = overtaken(deliveries);
    assert_eq!(count("packets_received"), deliveries.len() as u64, "{stats}");
    assert_eq!(count("packets_lost"), lost, "{stats}");
    // Which of them came too late to be heard live depends on how long the server waited.
    assert_eq!(count("packets_reordered") + count("packets_late"), reordered, "{stats}");
    // Nothing but what is missing or late is made up, and not all of a long hole.
    assert!(count("frames_concealed") <= lost + count("packets_late"), "{stats}");
    for never in ["timestamp_jumps", "stream_restarts", "frames_retimed"] {
        assert_eq!(count(never), 0, "{never}: {stats}");
    }
    assert_eq!(stats["rejected"], json!({}), "no duplicate, nothing too late, no overflow");
    Found {
        first_at,
        whole,
        joined,
        lost,
        late: count("packets_late"),
        reordered: count("packets_reordered"),
        concealed: count("frames_concealed"),
    }
}

/// Whether a packet is more than silence.
pub(crate) fn is_audible(delivery: &Delivery) -> bool {
    decoded(delivery).iter().any(|&sample| sample != 0)
}

/// From the first packet to arrive to this one, below 0 where this one was sent before it.
fn ticks(first_ts: RtpTs, delivery: &Delivery) -> isize {
    parse(delivery).timestamp().0.wrapping_sub(first_ts.0).cast_signed() as isize
}

/// How many came behind one that was sent after them.
fn overtaken(deliveries: &[Delivery]) -> u64 {
    let mut newest = 0;
    let is_overtaken = |delivery: &&Delivery| {
        newest = newest.max(delivery.index);
        delivery.index < newest
    };
    deliveries.iter().filter(is_overtaken).count() as u64
}

fn parse(delivery: &Delivery) -> RtpPacket<'_> {
    RtpPacket::parse(&delivery.bytes).expect("RTP was sent")
}

fn decoded(delivery: &Delivery) -> Vec<i16> {
    let packet = parse(delivery);
    let mut samples = vec![0; packet.payload().len()];
    let decoded = g711::ulaw_decode(packet.payload(), &mut samples);
    assert_eq!(decoded, FRAME, "packets of 20 ms");
    samples
}
