//! What a call tells of how it was received: jitter, loss, and the rating that follows from them.

use std::time::Duration;

use serde_json::Value;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::EndReason;
use sidetone::event::EventKind;
use sidetone::media::{CallStats, MediaSettings};

use crate::driver::{Rig, Sender, idle, ms};
use crate::emulator::{Emulator, Jitter, Loss, Path};

const FORMAT: MediaFormat = MediaFormat::Ulaw;
const COMFORT_NOISE: u8 = 13;
const TELEPHONE_EVENT: u8 = 101;
const START: Duration = ms(1_000);

/// The interarrival jitter of RFC 3550 section 6.4.1 in ms, of packets every 20 ms.
fn jitter_by_the_formula(arrivals: &[(u64, Duration)]) -> f64 {
    let transit = |&(n, at): &(u64, Duration)| at.as_secs_f64() * 1e3 - 20.0 * n as f64;
    arrivals.windows(2).fold(0.0, |jitter, pair| {
        let difference = (transit(&pair[1]) - transit(&pair[0])).abs();
        jitter + (difference - jitter) / 16.0
    })
}

/// A call of a minute over `path`: what its end tells, and which packets arrived when.
fn reported(format: MediaFormat, path: Path) -> (CallStats, Value, Vec<(u64, Duration)>) {
    let (mut rig, mut sender) = (Rig::rtp(format), Sender::new(format));
    let mut network = Emulator::new(path, 5);
    (0..3_000).for_each(|n| network.send(START + ms(20 * n), &sender.packet()));
    let deliveries = network.receive_all();
    deliveries.iter().for_each(|delivery| rig.datagram(delivery.at, &delivery.bytes));
    rig.end(START + ms(62_000), EndReason::CallerGone);
    let (_, kind) = rig.events().last().expect("the end is told");
    let EventKind::CallEnded { stats, .. } = kind else { panic!("{kind:?}") };
    // What the recorder is told, and writes into its JSON as it is.
    assert_eq!(rig.seen().finished[0].1, **stats);
    let json = serde_json::to_value(kind).expect("an event has a JSON form");
    let reception = json.pointer("/stats/reception").expect("the event holds it").clone();
    let arrivals = deliveries.iter().map(|delivery| (delivery.index, delivery.at)).collect();
    (**stats, reception, arrivals)
}

#[test]
fn the_jitter_told_is_that_of_rfc_3550() {
    for overtaking in [false, true] {
        let jitter = Jitter::Uniform { max: ms(30) };
        let path = Path { jitter, overtaking, loss: Loss::Bernoulli { p: 0.02 }, ..Path::IDEAL };
        let (stats, json, arrivals) = reported(FORMAT, path);
        let expected = jitter_by_the_formula(&arrivals);
        assert!(expected > 5.0);
        // Times are kept to the nanosecond.
        assert!((stats.reception.jitter_ms - expected).abs() < 1e-3, "{stats:?}, not {expected}");
        let told = json["jitter_ms"].as_f64().expect("a number");
        assert!((told - expected).abs() < 1e-3);
    }
}

#[test]
fn the_share_of_missing_packets_and_their_runs_are_those_of_the_network() {
    for loss in
        [Loss::Bernoulli { p: 0.05 }, Loss::GilbertElliott { p: 0.02, r: 0.4, h: 0.0, k: 1.0 }]
    {
        let (stats, _, arrivals) = reported(FORMAT, Path { loss, ..Path::IDEAL });
        let gaps: Vec<u64> = arrivals
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0 - 1)
            .filter(|gap| *gap > 0)
            .collect();
        let lost = gaps.iter().sum::<u64>() as f64;
        let share = lost / (lost + arrivals.len() as f64);
        let burst_ratio = lost / gaps.len() as f64 * (1.0 - share);
        let reception = stats.reception;
        assert!((reception.missing - share).abs() < 1e-9, "{reception:?}, not {share}");
        assert!((reception.burst_ratio - burst_ratio).abs() < 1e-9, "not {burst_ratio}");
    }
}

#[test]
fn the_rating_is_best_without_loss_less_with_and_absent_without_a_model() {
    let lossy = Path { loss: Loss::Bernoulli { p: 0.05 }, ..Path::IDEAL };
    let bursty =
        Path { loss: Loss::GilbertElliott { p: 0.0175, r: 0.333, h: 0.0, k: 1.0 }, ..Path::IDEAL };
    let rating = |format, path| {
        let (stats, json, _) = reported(format, path);
        assert_eq!(json["r"].as_f64(), stats.reception.r);
        assert_eq!(json["mos_cqe"].as_f64(), stats.reception.mos_cqe);
        (stats.reception.r, stats.reception.mos_cqe)
    };
    let number = |value: Option<f64>| value.expect("G.711 has factors");
    for format in [MediaFormat::Ulaw, MediaFormat::Alaw] {
        let (clean, five) = (rating(format, Path::IDEAL), rating(format, lossy));
        let burst = rating(format, bursty);
        // G.107: 93.2 without delay and loss; 20 ms take less than one off.
        assert!((92.0..=93.2).contains(&number(clean.0)), "{clean:?}");
        assert!((4.38..=4.42).contains(&number(clean.1)), "{clean:?}");
        // Ie-eff = 95 · 5/(5 + 25.1) = 15.8, and BurstR is nearly 1.
        let off = number(clean.0) - number(five.0);
        assert!((13.0..19.0).contains(&off), "{off}");
        assert!(number(five.1) < number(clean.1) - 0.3);
        // BurstR is nearly 3: Ie-eff = 95 · 5/(5/3 + 25.1) = 17.7.
        assert!(number(burst.0) < number(five.0) - 1.0, "bursts are worse: {burst:?}, {five:?}");
    }
    let (_, json, _) = reported(MediaFormat::Slin(SampleRate::HZ_8000), lossy);
    assert_eq!((json.get("r"), json.get("mos_cqe")), (None, None));
    assert!(json["missing"].as_f64().is_some_and(|missing| missing > 0.03));
}

/// The jitter in ms that is told of a network without any, after something that happens in the tenth
/// minute of a call, and ten packets behind it.
fn jitter_ms_after(disturb: impl FnOnce(&mut Rig, &mut Sender, Duration) -> Duration) -> f64 {
    let settings = MediaSettings { end_after: Duration::ZERO, ..MediaSettings::default() };
    let (mut rig, mut sender) = (Rig::rtp_with(FORMAT, settings, idle()), Sender::new(FORMAT));
    rig.datagram(START, &sender.packet());
    sender.pause(8 * 600_000 - 160);
    let packets = |rig: &mut Rig, sender: &mut Sender, begin: Duration| {
        (0..10).for_each(|n| rig.datagram(begin + ms(20 * n), &sender.packet()));
        begin + ms(200)
    };
    let at = packets(&mut rig, &mut sender, START + ms(600_000));
    let at = disturb(&mut rig, &mut sender, at);
    packets(&mut rig, &mut sender, at);
    rig.stats().reception.jitter_ms
}

#[test]
fn a_call_without_jitter_tells_of_none() {
    assert!(jitter_ms_after(|_, _, at| at) < 1e-6);
}

/// Its packets share a timestamp (RFC 4733 section 2.2.1), so that their spacing tells nothing.
#[test]
fn a_digit_is_no_jitter() {
    let jitter_ms = jitter_ms_after(|rig, sender, at| {
        for n in 0..25 {
            rig.datagram(at + ms(20 * n), &sender.side(TELEPHONE_EVENT, &[1, 10, 0, 160]));
        }
        sender.pause(25 * 160);
        at + ms(500)
    });
    assert!(jitter_ms < 1.0, "{jitter_ms} ms");
}

#[test]
fn another_stream_that_begins_beside_the_audio_is_no_jitter() {
    for payload_type in [COMFORT_NOISE, TELEPHONE_EVENT] {
        let jitter_ms = jitter_ms_after(|rig, sender, at| {
            (sender.ssrc, sender.seq, sender.ts) = (99, 40_000, 7);
            for _ in 0..2 {
                rig.datagram(at, &sender.side(payload_type, &[50, 0x8a, 0, 160]));
            }
            at
        });
        assert!(jitter_ms < 1.0, "payload type {payload_type}: {jitter_ms} ms");
    }
}

#[test]
fn a_timestamp_that_leaps_is_no_jitter_behind_a_hole_either() {
    for lost in [0, 1] {
        let jitter_ms = jitter_ms_after(|_, sender, at| {
            (0..lost).for_each(|_| drop(sender.packet()));
            sender.ts = sender.ts.wrapping_add(1 << 28);
            at + ms(20 * lost)
        });
        assert!(jitter_ms < 1.0, "{lost} lost: {jitter_ms} ms");
    }
}
