//! What comes through a network that loses, delays, reorders and doubles.

use std::collections::BTreeSet;
use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::media::{CallStats, MediaSettings, Rejected};

use crate::driver::{JOIN, Rig, Sender, Track, assert_in_order, ms, sample};
use crate::emulator::{Delivery, Emulator, Jitter, Loss, Path, Statistics};

const FORMATS: [MediaFormat; 6] = [
    MediaFormat::Ulaw,
    MediaFormat::Alaw,
    MediaFormat::Slin(SampleRate::HZ_8000),
    MediaFormat::Slin(SampleRate::HZ_16000),
    MediaFormat::Slin(SampleRate::HZ_44100),
    MediaFormat::Slin(SampleRate::HZ_48000),
];
/// Far enough behind the call's start for packets older than the first to have a place.
const START: Duration = ms(3_000);
/// The longest that a packet waits behind a hole: the default of the settings.
const MAX_WAIT: Duration = ms(200);

struct Run {
    sender: Sender,
    rig: Rig,
    deliveries: Vec<Delivery>,
    network: Statistics,
}

/// Sends `count` packets of `ptime_ms` over `path` into a call.
fn run(mut sender: Sender, ptime_ms: u64, path: Path, seed: u64, count: u64) -> Run {
    sender.samples = (u64::from(sender.format.sample_rate().hz()) * ptime_ms / 1000) as usize;
    let mut network = Emulator::new(path, seed);
    for index in 0..count {
        network.send(START + ms(ptime_ms * index), &sender.packet());
    }
    let deliveries = network.receive_all();
    let mut rig = Rig::rtp(sender.format);
    for delivery in &deliveries {
        rig.datagram(delivery.at, &delivery.bytes);
    }
    let last = deliveries.last().expect("something arrives").at;
    rig.run_until(last + ms(500));
    Run { sender, rig, deliveries, network: network.statistics() }
}

/// Checks every sample, and every counter against what the network did.
///
/// Holds where nothing comes later than the archive waits.
fn check(run: &Run) -> CallStats {
    let Run { sender, rig, deliveries, network } = run;
    let seen = rig.seen();
    assert_in_order(&seen);

    let samples = sender.samples as u64;
    let rate = sender.format.sample_rate();
    let first = &deliveries[0];
    let base = rate.samples_in(first.at);
    let index_at = |position: u64| {
        let place = (position + first.index * samples).checked_sub(base).expect("not too early");
        assert_eq!(place % samples, 0, "off by part of a packet");
        place / samples
    };
    let mut live = BTreeSet::new();
    let mut late = BTreeSet::new();
    // The beginning of a frame behind what was made up is joined to that.
    let join = usize::try_from(rate.samples_in(JOIN)).expect("it is short");
    let mut joined = false;
    for kept in &seen.frames {
        let skipped = if kept.track == Track::Uplink {
            let was = std::mem::replace(&mut joined, kept.origin == Origin::Concealed);
            if was { join } else { 0 }
        } else {
            0
        };
        let set = match (kept.track, kept.origin) {
            (Track::Uplink, Origin::Real) => &mut live,
            (Track::Late, _) => &mut late,
            _ => continue,
        };
        let index = index_at(kept.position);
        // With a late one comes what the frame behind it began with before it was joined.
        let joined = samples as usize + join;
        let is_whole = kept.samples.len() as u64 == samples;
        assert!(is_whole || kept.track == Track::Late && kept.samples.len() == joined);
        for (place, &heard) in (index * samples..).zip(&kept.samples).skip(skipped) {
            assert_eq!(heard, sample(sender.format, place), "at place {place}");
        }
        assert!(set.insert(index), "packet {index} came twice");
        if kept.track == Track::Uplink {
            let arrival = deliveries.iter().find(|d| d.index == index).map(|d| d.at);
            let latest = rate.samples_in(arrival.expect("it arrived") + MAX_WAIT);
            assert!(kept.now <= latest, "packet {index} waited too long");
        }
    }
    let arrived: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.index).collect();
    assert!(live.is_disjoint(&late));
    let heard: BTreeSet<_> = live.union(&late).copied().collect();
    assert_eq!(heard, arrived, "what arrived is heard live or late, and nothing else");

    let stats = rig.stats();
    let newest = *arrived.last().expect("something arrives");
    let between = arrived.range(first.index..).count() as u64;
    assert_eq!(stats.packets_received, network.delivered - network.duplicated);
    assert_eq!(stats.packets_lost, newest + 1 - first.index - between);
    assert_eq!(stats.packets_late, late.len() as u64);
    assert_eq!(stats.packets_reordered + stats.packets_late, network.reordered);
    assert_eq!(stats.rejected.of(Rejected::Duplicate), network.duplicated);
    assert_eq!(stats.rejected.total(), network.duplicated);
    let concealed = seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::Concealed);
    assert_eq!(stats.frames_concealed, concealed.count() as u64);
    assert_eq!((stats.timestamp_jumps, stats.stream_restarts), (0, 0));
    stats
}

fn check_all_formats(path: Path, seed: u64) -> Vec<CallStats> {
    let check = |format| check(&run(Sender::new(format), 20, path, seed, 2_000));
    FORMATS.into_iter().map(check).collect()
}

#[test]
fn packets_in_order_pass_without_delay() {
    for format in FORMATS {
        let path = Path { delay: ms(13), ..Path::IDEAL };
        let run = run(Sender::new(format), 20, path, 1, 500);
        let stats = check(&run);
        assert_eq!((stats.packets_lost, stats.frames_concealed), (0, 0));
        let seen = run.rig.seen();
        let frames: Vec<_> = seen.of(Track::Uplink).collect();
        assert_eq!(frames.len(), 500);
        for (frame, delivery) in frames.iter().zip(&run.deliveries) {
            assert_eq!(frame.now, format.sample_rate().samples_in(delivery.at));
            assert_eq!(frame.position, frame.now, "no jitter: each lies where it arrived");
        }
    }
}

#[test]
fn every_packet_time_passes() {
    for ptime_ms in [10, 20, 30, 40, 60] {
        let loss = Loss::Bernoulli { p: 0.03 };
        let path = Path { loss, reorder: 0.05, reorder_by: ms(55), ..Path::IDEAL };
        for format in FORMATS {
            check(&run(Sender::new(format), ptime_ms, path, 2, 1_000));
        }
    }
}

#[test]
fn lost_packets_are_concealed_and_what_arrives_keeps_its_place() {
    let path = Path { loss: Loss::Bernoulli { p: 0.05 }, ..Path::IDEAL };
    for stats in check_all_formats(path, 3) {
        assert!(stats.packets_lost > 50);
        assert_eq!(stats.frames_concealed, stats.packets_lost);
    }
}

#[test]
fn bursts_of_loss_leave_gaps_of_their_length() {
    // Bursts of 20 packets in the mean: many are longer than what is concealed.
    let loss = Loss::GilbertElliott { p: 0.01, r: 0.05, h: 0.0, k: 1.0 };
    for stats in check_all_formats(Path { loss, ..Path::IDEAL }, 4) {
        assert!(stats.packets_lost > 100);
        assert!(stats.frames_concealed < stats.packets_lost);
    }
}

#[test]
fn jitter_in_a_queue_reorders_nothing_and_loses_nothing() {
    let path = Path { jitter: Jitter::Uniform { max: ms(200) }, ..Path::IDEAL };
    for stats in check_all_formats(path, 5) {
        assert_eq!((stats.packets_lost, stats.packets_late, stats.packets_reordered), (0, 0, 0));
    }
}

#[test]
fn packets_that_overtake_each_other_come_out_in_order() {
    let jitter = Jitter::Uniform { max: ms(55) };
    for stats in check_all_formats(Path { jitter, overtaking: true, ..Path::IDEAL }, 6) {
        assert!(stats.packets_reordered > 100);
        assert_eq!(stats.packets_lost, 0, "none is later than what is waited for");
    }
}

#[test]
fn packets_that_come_after_their_place_was_given_up_are_late_not_lost() {
    // More than the longest wait.
    let jitter = Jitter::Normal { sigma: ms(150) };
    let path = Path { delay: ms(400), jitter, overtaking: true, ..Path::IDEAL };
    for stats in check_all_formats(path, 7) {
        assert!(stats.packets_late > 50);
    }
    let path = Path { reorder: 0.05, reorder_by: ms(400), ..Path::IDEAL };
    for stats in check_all_formats(path, 8) {
        assert!(stats.packets_late > 50);
        assert_eq!(stats.packets_late, stats.frames_concealed);
    }
}

#[test]
fn second_copies_are_counted_and_not_heard() {
    let path = Path {
        duplicate: 0.2,
        jitter: Jitter::Uniform { max: ms(150) },
        overtaking: true,
        ..Path::IDEAL
    };
    for stats in check_all_formats(path, 9) {
        assert!(stats.rejected.of(Rejected::Duplicate) > 300);
    }
}

#[test]
fn everything_at_once_is_survived_over_many_seeds() {
    for seed in 0..30 {
        let path = Path {
            loss: Loss::GilbertElliott { p: 0.02, r: 0.3, h: 0.1, k: 0.99 },
            delay: ms(80),
            jitter: Jitter::Normal { sigma: ms(25) },
            overtaking: true,
            reorder: 0.02,
            reorder_by: ms(120),
            duplicate: 0.02,
        };
        let format = FORMATS[seed as usize % FORMATS.len()];
        let mut sender = Sender::new(format);
        (sender.seq, sender.ts) = (65_500, u32::MAX - 10_000);
        let stats = check(&run(sender, 20, path, seed, 1_000));
        assert!(stats.packets_lost > 0 && stats.packets_late > 0);
    }
}

#[test]
fn a_packet_one_step_older_than_the_first_reaches_the_archive() {
    let mut sender = Sender::new(MediaFormat::Ulaw);
    let packets: Vec<_> = (0..4).map(|_| sender.packet()).collect();
    let mut rig = Rig::rtp(sender.format);
    rig.datagram(ms(1_000), &packets[1]);
    // Packet 2 is lost. It stays so when another one comes that never counted as lost.
    rig.datagram(ms(1_040), &packets[3]);
    rig.run_until(ms(1_110));
    assert_eq!(rig.stats().packets_lost, 1);
    rig.datagram(ms(1_110), &packets[0]);
    rig.datagram(ms(1_115), &packets[0]);
    rig.run_until(ms(1_200));
    let seen = rig.seen();
    let late: Vec<_> = seen.of(Track::Late).collect();
    assert_eq!((late.len(), late[0].position), (1, 8_000 - 160));
    assert_eq!(late[0].samples[7], sample(sender.format, 7));
    assert_eq!(
        seen.of(Track::Uplink).map(|k| k.position).collect::<Vec<_>>(),
        [8_000, 8_160, 8_320]
    );
    let stats = rig.stats();
    assert_eq!((stats.packets_received, stats.packets_late, stats.packets_lost), (3, 1, 1));
    assert_eq!(stats.rejected.of(Rejected::Duplicate), 1);
}

#[test]
fn what_comes_after_the_late_window_is_counted_and_reaches_nobody() {
    let mut sender = Sender::new(MediaFormat::Alaw);
    let packets: Vec<_> = (0..110).map(|_| sender.packet()).collect();
    let mut rig = Rig::rtp(sender.format);
    for (n, packet) in (0..).zip(&packets) {
        if n != 1 && n != 40 {
            rig.datagram(ms(1_000 + 20 * n), packet);
        }
    }
    // Packet 1 lies 108 packets, 2.16 s, before the end; packet 40 lies 1.38 s before it.
    rig.datagram(ms(3_190), &packets[1]);
    rig.datagram(ms(3_190), &packets[40]);
    let stats = rig.stats();
    assert_eq!(stats.rejected.of(Rejected::TooLate), 1);
    assert_eq!((stats.packets_late, stats.packets_lost), (1, 1));
    assert_eq!(rig.seen().of(Track::Late).map(|kept| kept.position).next(), Some(8_000 + 40 * 160));
}

#[test]
fn a_full_buffer_gives_the_hole_up_and_loses_nothing_that_arrived() {
    let settings = MediaSettings {
        jitter_capacity_packets: 4,
        jitter_min: ms(10_000),
        jitter_max: ms(10_000),
        ..MediaSettings::default()
    };
    let mut sender = Sender::new(MediaFormat::Ulaw);
    let mut rig = Rig::rtp_with(sender.format, settings, crate::driver::idle());
    for n in 0..100 {
        let packet = sender.packet();
        if n != 3 {
            rig.datagram(ms(20 * n), &packet);
        }
    }
    let seen = rig.seen();
    assert_eq!(seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::Real).count(), 99);
    assert_eq!(rig.stats().rejected.total(), 0);
    // The fourth packet behind the hole fills the buffer.
    let behind = seen.of(Track::Uplink).find(|kept| kept.position == 4 * 160);
    assert_eq!(behind.map(|kept| kept.now), Some(7 * 160));
}

#[test]
fn what_waits_behind_a_hole_when_the_call_ends_is_still_heard() {
    let mut sender = Sender::new(MediaFormat::Ulaw);
    let packets: Vec<_> = (0..5).map(|_| sender.packet()).collect();
    let mut rig = Rig::rtp(sender.format);
    for n in [0, 2, 3] {
        rig.datagram(ms(20 * n), &packets[usize::try_from(n).unwrap()]);
    }
    rig.end(ms(65), sidetone::call::EndReason::CallerGone);
    assert_eq!(rig.ended(), sidetone::call::EndReason::CallerGone);
    let seen = rig.seen();
    let places: Vec<_> = seen.of(Track::Uplink).map(|k| (k.position / 160, k.origin)).collect();
    let (real, concealed) = (Origin::Real, Origin::Concealed);
    assert_eq!(places, [(0, real), (1, concealed), (2, real), (3, real)]);
    assert_eq!(seen.finished[0].1.packets_lost, 1);
}
