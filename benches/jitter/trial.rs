//! The harness itself, without a measurement: traces are what they claim to be, the clock stands
//! still, and each buffer plays a short trace in which it is known what comes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{Held, thread_time};
use crate::content::{Content, place_of};
use crate::emulator::Jitter;
use crate::ledger::{Ledger, Outcome};
use crate::trace::{PACKET, PLANS, Plan, Stalls, Trace};
use crate::{Buffer, FIXED, SEED, common, concealment, cost, neteq_peer, ours};

/// Packets of a second.
const RATE: f64 = 50.0;

pub(crate) fn run(content: &Arc<Content>) {
    the_clock_stands_still_while_it_is_held();
    packets_tell_their_places(content);
    frames_are_told_by_what_is_left_of_them(content);
    delays_are_counted_by_samples();
    for plan in PLANS {
        the_same_seed_gives_the_same_trace(plan.shortened(Duration::from_secs(100)));
        a_trace_is_what_its_plan_says(plan);
    }
    for plan in PLANS {
        every_buffer_plays(plan.shortened(Duration::from_secs(12)), content);
    }
    a_clean_trace_has_the_delays_that_follow_from_the_clock(content);
    what_is_lost_is_concealed_once(content);
    the_crate_counts_what_we_count(content);
    what_the_leg_hands_out_is_the_original_where_nothing_was_lost();
    costs_are_counted(content);
    let document = include_str!("../../docs/jitter.md");
    assert!(common::document::replaced(document, "").is_some(), "docs/jitter.md lacks its markers");
}

fn the_clock_stands_still_while_it_is_held() {
    {
        let held = Held::new();
        let start = Instant::now();
        assert_eq!(Instant::now(), start);
        held.set(Duration::from_millis(20));
        assert_eq!(start.elapsed(), Duration::from_millis(20));
    }
    let (start, cpu) = (Instant::now(), thread_time());
    while start.elapsed() < Duration::from_millis(1) {}
    assert!(thread_time() > cpu, "nothing was computed in a millisecond");
}

fn packets_tell_their_places(content: &Content) {
    for packet in [0, 1, 247, 248, 359_999] {
        let floats: Vec<f32> = content.floats(packet).collect();
        let codes = content.samples(packet);
        for (n, (&float, &code)) in floats.iter().zip(&codes).enumerate() {
            assert_eq!(place_of(float) as usize, (packet * PACKET + n) % 65_536);
            // A step of G.711 at this level, twice; and the float's share of 2^-7.
            let (float, code) = (f64::from(float) * 32_768.0, f64::from(code));
            let step = 16.0 + code.abs() / 8.0;
            assert!((float - code).abs() <= step, "packet {packet}, {n}: {float}, {code}");
        }
    }
    assert_ne!(content.samples(3), content.samples(3 + 248), "speech alone repeats");
}

/// A packet whose first half is faded, or that lost a part of its middle, is told; one that never
/// arrived is not.
fn frames_are_told_by_what_is_left_of_them(content: &Content) {
    for packet in 0..500 {
        let whole = content.samples(packet);
        let mut faded = whole;
        faded[..80].iter_mut().for_each(|sample| *sample = sample.wrapping_add(16));
        let shortened = [&whole[..60], &whole[110..]].concat();
        for frame in [&whole[..], &faded, &shortened] {
            assert!(ours::longest_run(frame, &whole) >= 50, "packet {packet}");
            for other in packet + 1..packet + 8 {
                let run = ours::longest_run(frame, &content.samples(other));
                assert!(run < 28, "packets {packet} and {other} share {run} samples");
            }
        }
    }
}

fn delays_are_counted_by_samples() {
    let trace = PLANS[0].shortened(Duration::from_secs(1)).play(SEED);
    let mut ledger = Ledger::new(&trace);
    // Packet 0 arrives at 0, packet 1 at 20 ms: 90 samples wait 10 ms, 10 wait 60 ms.
    ledger.real(Duration::from_millis(10), 0, 90);
    ledger.real(Duration::from_millis(80), 1, 10);
    ledger.archive(0, 90);
    ledger.made_up(25);
    let outcome = ledger.outcome();
    assert!((outcome.mean_ms - 15.0).abs() < 1e-9, "{outcome:?}");
    assert!((outcome.p95_ms - 60.0).abs() < 0.11, "{outcome:?}");
    assert!((outcome.concealed - 0.2).abs() < 1e-9, "{outcome:?}");
    assert_eq!(outcome.missing_samples, 50 * 160 - 90);
}

fn the_same_seed_gives_the_same_trace(plan: Plan) {
    assert_eq!(plan.play(1), plan.play(1), "{}", plan.name);
    if plan.path.loss.rate() > 0.0 || plan.path.jitter != Jitter::None {
        assert_ne!(plan.play(1).arrivals, plan.play(2).arrivals, "{}", plan.name);
    }
}

fn a_trace_is_what_its_plan_says(plan: Plan) {
    let trace = plan.play(SEED);
    let name = plan.name;
    assert!(trace.arrivals.is_sorted_by_key(|arrival| arrival.at), "{name}");
    let first = trace.first_arrivals();
    let sent = trace.sent.len() as f64;

    let lost = first.iter().filter(|at| at.is_none()).count() as f64 / sent;
    let nominal = plan.path.loss.rate();
    let bursts = first.windows(2).filter(|pair| pair[0].is_some() && pair[1].is_none()).count();
    let mean_burst = lost * sent / bursts.max(1) as f64;
    if nominal == 0.0 {
        assert_eq!(lost, 0.0, "{name}");
    } else {
        // Bursts of 2 on average (standard deviation √2), as many as 5,000 packets have: the share's
        // standard deviation is that of their sum, less than √bursts · √(2 + 4) packets.
        let deviation = (bursts as f64 * 6.0).sqrt() / sent;
        assert!((lost - nominal).abs() < 4.0 * deviation, "{name}: {lost}");
        let deviation = (2.0 / bursts as f64).sqrt();
        assert!((mean_burst - 2.0).abs() < 4.0 * deviation, "{name}: bursts of {mean_burst}");
    }

    let transits = || {
        let times = trace.arrivals.iter();
        times.map(|arrival| (arrival.at - trace.sent[arrival.packet].at).as_secs_f64())
    };
    let longest = transits().fold(0.0, f64::max);
    if let (Stalls::None, Jitter::Uniform { max }) = (plan.stalls, plan.path.jitter) {
        let max = max.as_secs_f64();
        assert!(longest <= max && longest > 0.98 * max, "{name}: {longest} s");
        if plan.path.overtaking {
            let mean = transits().sum::<f64>() / transits().count() as f64;
            // Four standard deviations of the mean of 5,000 uniform numbers.
            let tolerance = 4.0 * max / 12_f64.sqrt() / sent.sqrt();
            assert!((mean - max / 2.0).abs() < tolerance, "{name}: mean {mean} s");
        }
    }
    if let Stalls::Random { length, every } = plan.stalls {
        let length = length.as_secs_f64();
        let reordered = plan.path.reorder_by.as_secs_f64();
        assert!(longest >= length - 0.02 && longest <= length + 0.02 + reordered, "{name}");
        let gaps = trace.arrivals.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64());
        let stalls = gaps.filter(|gap| *gap > length / 2.0).count() as f64;
        // They come by chance, at most one at a time.
        let expected = plan.length.as_secs_f64() / (every.as_secs_f64() + length);
        assert!((stalls - expected).abs() < 3.0 * expected.sqrt(), "{name}: {stalls} stalls");
    }

    let ends = [&trace.sent[0], &trace.sent[trace.sent.len() - 1]];
    let media_s = ends[1].media as f64 / 8_000.0;
    let ppm = (media_s / ends[1].at.as_secs_f64() - 1.0) * 1e6;
    assert!((ppm - plan.drift_ppm).abs() < 0.1, "{name}: {ppm} ppm");
    let share_sent = sent / (RATE * plan.length.as_secs_f64());
    if plan.pauses {
        assert!((0.35..0.65).contains(&share_sent), "{name}: {share_sent}");
        let spurts = trace.sent.iter().filter(|sent| sent.marker).count();
        let pauses = (1..trace.sent.len()).filter(|&n| trace.pause_between(n - 1, n) > 0).count();
        assert_eq!(spurts, pauses + 1, "{name}");
        assert!(pauses > 20, "{name}: {pauses} pauses");
    } else {
        // Drift of 200 ppm, and one packet.
        assert!((share_sent - 1.0).abs() < 3e-4, "{name}: {share_sent}");
    }
    let orders = trace.arrivals.windows(2).filter(|pair| pair[1].packet < pair[0].packet).count();
    let overtakes = plan.path.reorder > 0.0
        || plan.path.overtaking
            && matches!(plan.path.jitter, Jitter::Uniform { max } if max > Duration::from_millis(20));
    assert_eq!(orders > 0, overtakes, "{name}: {orders} out of order");
}

/// What holds for any trace and any buffer.
fn every_buffer_plays(plan: Plan, content: &Arc<Content>) {
    let trace = plan.play(SEED);
    for buffer in Buffer::ALL {
        let outcome = buffer.play(&trace, content);
        let Outcome { mean_ms, p95_ms, concealed, missing, .. } = outcome;
        let what = format!("{}, {}: {outcome:?}", plan.name, buffer.name());
        assert!(mean_ms >= 0.0 && p95_ms < 3_000.0, "{what}");
        assert!((0.0..=1.0).contains(&concealed) && (0.0..=1.0).contains(&missing), "{what}");
        assert_eq!(outcome.unknown, 0, "{what}");
        // Nothing plays what was lost, and nobody can wait less than not at all.
        if buffer != Buffer::Neteq {
            assert_eq!(outcome.disordered, 0, "{what}");
            let lost = trace.first_arrivals().iter().filter(|at| at.is_none()).count() as f64;
            let at_least = lost / trace.sent.len() as f64;
            assert!(concealed >= at_least - 0.01, "{what}: {at_least} was lost");
        }
        let again = buffer.play(&trace, content);
        assert_eq!(again, outcome, "{what}: the same trace, another outcome");
    }
}

fn a_clean_trace_has_the_delays_that_follow_from_the_clock(content: &Arc<Content>) {
    let trace = PLANS[0].shortened(Duration::from_secs(12)).play(SEED);
    let ours = Buffer::Sidetone.play(&trace, content);
    assert_eq!((ours.mean_ms, ours.concealed, ours.missing_samples), (0.0, 0.0, 0), "{ours:?}");
    for delay in FIXED {
        // The first pull behind the delay comes 5 ms later, the packet's other half 10 ms after it.
        let outcome = Buffer::Fixed(delay).play(&trace, content);
        let expected = delay.as_secs_f64() * 1e3 + 10.0;
        assert!((outcome.mean_ms - expected).abs() < 1e-6, "{outcome:?}");
        assert_eq!((outcome.concealed, outcome.missing_samples), (0.0, 0), "{outcome:?}");
    }
    let neteq = Buffer::Neteq.play(&trace, content);
    assert!(neteq.mean_ms > 5.0 && neteq.mean_ms < 200.0, "{neteq:?}");
}

/// One packet in ten is lost, none of the first or last: known to a sample.
fn what_is_lost_is_concealed_once(content: &Arc<Content>) {
    let mut trace: Trace = PLANS[0].shortened(Duration::from_secs(10)).play(SEED);
    trace.arrivals.retain(|arrival| arrival.packet % 10 != 5);
    for buffer in [Buffer::Sidetone, Buffer::Fixed(FIXED[0]), Buffer::Fixed(FIXED[1])] {
        let outcome = buffer.play(&trace, content);
        assert!((outcome.concealed - 0.1).abs() < 1e-9, "{}: {outcome:?}", buffer.name());
        assert_eq!(outcome.missing_samples, 0, "{}: {outcome:?}", buffer.name());
    }
    // A packet that comes 100 ms late is out of time for 60 ms, in time for 200 ms, and in our
    // archive in any case.
    let mut trace: Trace = PLANS[0].shortened(Duration::from_secs(10)).play(SEED);
    trace.arrivals[100].at += Duration::from_millis(100);
    trace.arrivals.sort_by_key(|arrival| arrival.at);
    let missing = Buffer::ALL.map(|buffer| buffer.play(&trace, content).missing_samples);
    assert_eq!([missing[0], missing[2], missing[3]], [0, PACKET as u64, 0]);
}

/// The crate says how many samples it made up; we tell them from others by what they hold.
fn the_crate_counts_what_we_count(content: &Arc<Content>) {
    for plan in PLANS.into_iter().filter(|plan| ["loss 10 %", "Wi-Fi spikes"].contains(&plan.name))
    {
        let trace = plan.play(SEED);
        let mut ledger = Ledger::new(&trace);
        let said = neteq_peer::play(content, &mut ledger);
        let (made_up, mixed) = ledger.made_up_and_mixed();
        // The crate counts whole pulls, of which the fades into and out of what is made up are mixed;
        // and we count on until the last packet is played, 100 ms at most behind its arrival.
        let what = format!("{}: {said} said, {made_up} made up, {mixed} mixed", plan.name);
        assert!(made_up > 10_000, "{what}");
        assert!(made_up <= said + 800 && said <= made_up + mixed, "{what}");
        assert!(mixed < made_up, "{what}");
    }
}

fn what_the_leg_hands_out_is_the_original_where_nothing_was_lost() {
    let repaired = concealment::repaired(0.05, 2);
    let [ours, again, silence] = &repaired.fillings;
    let lost = repaired.lost.iter().filter(|lost| **lost).count();
    assert!(lost > 5, "{lost} packets were lost");
    for (packet, is_lost) in repaired.lost.iter().enumerate() {
        let range = packet * PACKET..(packet + 1) * PACKET;
        let original = &repaired.original[range.clone()];
        if *is_lost {
            assert!(silence[range.clone()].iter().all(|&sample| sample == 0));
            assert_eq!(again[range.clone()], again[range.start - PACKET..range.start]);
        } else {
            // The first 10 ms behind a hole may be faded in.
            let half = range.start + PACKET / 2..range.end;
            assert_eq!(ours[half.clone()], repaired.original[half], "packet {packet}");
            assert_eq!(again[range.clone()], *original, "packet {packet}");
        }
    }
}

fn costs_are_counted(content: &Arc<Content>) {
    let trace = PLANS[0].shortened(Duration::from_secs(4)).play(SEED);
    let (count, packets) = cost::in_order_allocations(&trace, content);
    assert_eq!((count, packets), (0, 100), "allocations of a warm leg");
    for ns in cost::per_packet_ns(&trace, content, FIXED) {
        assert!(ns > 0.0, "{ns} ns");
    }
}
