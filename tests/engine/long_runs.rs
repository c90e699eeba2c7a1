//! Runs that are too long to keep: every frame is checked as it passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::engine::{Command, Input};
use sidetone::media::{MediaSettings, Rejected};

use crate::driver::{JOIN, Moment, Rig, Script, Sender, ms, peer, sample};
use crate::emulator::{Emulator, Loss, Path};

/// Far enough behind the call's start for packets older than the first to have a place.
const START: Duration = ms(3_000);

#[test]
fn sequence_and_timestamp_wrap_together_over_a_long_run() {
    // Three turns of the sequence; the timestamp wraps at the same packet as the first of them.
    let mut sender = Sender::new(MediaFormat::Ulaw);
    (sender.seq, sender.ts) = (65_530, 0_u32.wrapping_sub(6 * 160));
    let path = Path {
        loss: Loss::Bernoulli { p: 0.01 },
        reorder: 0.01,
        reorder_by: ms(45),
        ..Path::IDEAL
    };
    let mut network = Emulator::new(path, 11);
    let mut rig = Rig::rtp_without_peer(
        sender.format,
        MediaSettings::default(),
        in_place_checker(sender.format),
        false,
    );
    rig.keeps_sent = false;
    rig.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
    for index in 0..3 * 65_536 + 100_u64 {
        network.send(START + ms(20 * index), &sender.packet());
        while let Some(delivery) = network.receive(START + ms(20 * index)) {
            rig.datagram(delivery.at, &delivery.bytes);
        }
    }
    let stats = rig.stats();
    assert_eq!((stats.timestamp_jumps, stats.stream_restarts), (0, 0));
    assert!(stats.packets_lost.abs_diff(network.statistics().lost) <= 2);
    assert_eq!(stats.packets_received, network.statistics().delivered);
    assert_eq!(stats.rejected.total(), 0);
}

/// Checks every live frame by its first sample, without keeping any.
fn in_place_checker(format: MediaFormat) -> Script {
    let (mut base, mut end, mut joined) = (None, 0, false);
    let join = usize::try_from(format.sample_rate().samples_in(JOIN)).expect("it is short");
    Box::new(move |moment, _| {
        let Moment::Uplink(frame) = moment else { return };
        assert!(frame.position.0 >= end, "never back");
        end = frame.end().0;
        if frame.origin == Origin::Real {
            let base = *base.get_or_insert(frame.position.0);
            let place = frame.position.0 - base;
            // The beginning of a frame behind what was made up is joined to that.
            let skipped = if joined { join } else { 0 };
            let samples = (place..).zip(frame.samples.iter());
            for (place, heard) in samples.skip(skipped).step_by(40) {
                assert_eq!(*heard, sample(format, place));
            }
        }
        joined = frame.origin == Origin::Concealed;
    })
}

#[test]
fn a_million_packets_with_loss_and_reordering_stay_in_order() {
    const PACKETS: u64 = 1_000_000;
    let format = MediaFormat::Slin(SampleRate::HZ_8000);
    let heard = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&heard);
    let mut next = 0;
    let script: Script = Box::new(move |moment, _| {
        let Moment::Uplink(frame) = moment else { return };
        if frame.origin != Origin::Real {
            return;
        }
        // At its end: the beginning may be joined to what was made up.
        let half = |at: usize| u64::from(frame.samples[at].cast_unsigned());
        let index = half(78) << 16 | half(79);
        assert!(index >= next, "packet {index} after {next}");
        next = index + 1;
        assert_eq!(frame.position.0, 24_000 + index * 80);
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let mut rig = Rig::rtp_without_peer(format, MediaSettings::default(), script, false);
    rig.keeps_sent = false;
    rig.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
    let path = Path {
        loss: Loss::GilbertElliott { p: 0.01, r: 0.5, h: 0.0, k: 1.0 },
        reorder: 0.01,
        reorder_by: ms(35),
        duplicate: 0.001,
        ..Path::IDEAL
    };
    let mut network = Emulator::new(path, 12);
    let mut packet = Sender::new(format).side(format.payload_type(), &[0; 160]);
    for index in 0..PACKETS {
        let at = START + ms(10 * index);
        packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(index as u32 * 80).to_be_bytes());
        packet[12 + 156..].copy_from_slice(&(index as u32).to_be_bytes());
        network.send(at, &packet);
        while let Some(delivery) = network.receive(at) {
            rig.datagram(delivery.at, &delivery.bytes);
        }
    }
    let (stats, network) = (rig.stats(), network.statistics());
    assert_eq!(stats.packets_received, network.delivered - network.duplicated);
    assert_eq!(stats.rejected.of(Rejected::Duplicate), network.duplicated);
    assert_eq!(stats.packets_reordered + stats.packets_late, network.reordered);
    assert_eq!(stats.rejected.total(), network.duplicated);
    // Those behind a hole at the very end have not been given to anybody yet.
    let given = heard.load(Ordering::Relaxed) + stats.packets_late;
    assert!(stats.packets_received - given < 8);
    assert!(network.lost.abs_diff(stats.packets_lost) < 8);
}
