//! How a stream is received: packet times that change, digits, clocks that leap, stalls, waits that
//! are learnt.

use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::wire::audiosocket::encode_audio;

use crate::driver::{JOIN, Kept, Rig, Sender, Track, assert_in_order, ms, noise, sample};

const FORMAT: MediaFormat = MediaFormat::Ulaw;
const TELEPHONE_EVENT: u8 = 101;
const START: Duration = ms(1_000);

/// Of every real frame heard live in a call whose first packet arrived at `start`: the place of its
/// first sample in the sender's stream, and by how many samples it lies later than it should.
pub(crate) fn shifts(rig: &Rig, format: MediaFormat, start: Duration) -> Vec<(u64, i64)> {
    let rate = format.sample_rate();
    let seen = rig.seen();
    assert_in_order(&seen);
    // The beginning of a frame behind what was made up is joined to that.
    let join = usize::try_from(rate.samples_in(JOIN)).expect("it is short");
    let base = rate.samples_in(start);
    let mut latest = 0;
    let shift_of = |kept: &Kept| {
        let is_of = |place: u64| {
            let mut heard = kept.samples.iter().zip(place..).skip(join);
            heard.all(|(&heard, place)| heard == sample(format, place))
        };
        let expected = kept.position.checked_sub(base).expect("not before the first");
        // That of the frame before, or the nearest one: up to 5 s of 8 kHz.
        let near = (0..40_000_i64).flat_map(|shift| [shift, -shift]);
        let found = [latest]
            .into_iter()
            .chain(near)
            .find(|&shift| expected.checked_add_signed(-shift).is_some_and(is_of));
        let shift = found.expect("the samples are the sender's");
        latest = shift;
        (expected.wrapping_add_signed(-shift), shift)
    };
    seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::Real).map(shift_of).collect()
}

/// Checks that these are `count` frames, each in its place.
fn assert_in_place(rig: &Rig, format: MediaFormat, count: usize) {
    let shifts = shifts(rig, format, START);
    assert_eq!(shifts.len(), count);
    let off = shifts.iter().find(|(_, shift)| *shift != 0);
    assert_eq!(off, None, "(place, shift)");
}

/// Sends a packet of so many ms; says when that was.
fn send(rig: &mut Rig, sender: &mut Sender, ptime_ms: usize, arrives: bool) {
    let rate = sender.format.sample_rate();
    let at = START + rate.duration_of(sender.place);
    sender.samples = ptime_ms * rate.hz() as usize / 1_000;
    let packet = sender.packet();
    if arrives {
        rig.datagram(at, &packet);
    }
}

#[test]
fn a_packet_time_that_changes_in_the_call_loses_nothing() {
    for format in [FORMAT, MediaFormat::Slin(SampleRate::HZ_16000)] {
        let (mut rig, mut sender) = (Rig::rtp(format), Sender::new(format));
        let ptimes = [20, 60, 10, 40, 30, 20];
        ptimes
            .iter()
            .for_each(|&ptime| (0..50).for_each(|_| send(&mut rig, &mut sender, ptime, true)));
        assert_in_place(&rig, format, 50 * ptimes.len());
        let stats = rig.stats();
        assert_eq!((stats.packets_lost, stats.frames_concealed, stats.timestamp_jumps), (0, 0, 0));
    }
}

#[test]
fn what_is_lost_after_a_change_of_packet_time_is_concealed_in_its_length() {
    let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
    let mut expected = Vec::new();
    for ptime in [20, 60, 10, 30, 40] {
        for n in 0..50 {
            let arrives = n % 10 != 4;
            if !arrives {
                expected.push((8_000 + sender.place, 8 * ptime));
            }
            send(&mut rig, &mut sender, ptime, arrives);
        }
    }
    rig.run_until(START + ms(60_000));
    assert_in_place(&rig, FORMAT, 5 * 45);
    let seen = rig.seen();
    let concealed = seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::Concealed);
    let concealed: Vec<_> = concealed.map(|kept| (kept.position, kept.samples.len())).collect();
    assert_eq!(concealed, expected);
}

/// The packet that is lost is the first of a shorter length: the timestamp of the one behind it tells
/// how long it was.
#[test]
fn a_packet_lost_where_packets_become_shorter_leaves_no_gap() {
    for (before, after) in [(60, 20), (20, 10), (40, 30)] {
        let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
        (0..20).for_each(|_| send(&mut rig, &mut sender, before, true));
        (0..20).for_each(|n| send(&mut rig, &mut sender, after, n != 0));
        rig.run_until(START + ms(10_000));
        assert_in_place(&rig, FORMAT, 39);
        let seen = rig.seen();
        let frames: Vec<_> = seen.of(Track::Uplink).collect();
        let gaps: u64 = frames.windows(2).map(|pair| pair[1].position - pair[0].end()).sum();
        assert_eq!(gaps, 0, "samples missing from {before} to {after} ms");
    }
}

/// An event as RFC 4733 has it: its packets share a timestamp, the last one comes three times, and
/// the audio pauses meanwhile.
#[test]
fn telephone_events_are_neither_heard_nor_lost_and_the_audio_keeps_its_place() {
    let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
    let mut packets = 0;
    for digit in 0..10_u8 {
        (0..25).for_each(|_| send(&mut rig, &mut sender, 20, true));
        // 200 ms; also a digit that begins within a packet's time.
        for n in 0..13_u8 {
            let (end, ticks) = (n >= 10, 160 * u16::from(n.min(10)));
            let [high, low] = ticks.to_be_bytes();
            let event = [digit, if end { 0x8a } else { 0x0a }, high, low];
            let at = START + Duration::from_micros(sender.place * 125);
            rig.datagram(at + ms(u64::from(20 * n.min(10))), &sender.side(TELEPHONE_EVENT, &event));
            packets += 1;
        }
        sender.pause(1_600 + u64::from(digit) * 8);
    }
    (0..25).for_each(|_| send(&mut rig, &mut sender, 20, true));
    assert_in_place(&rig, FORMAT, 11 * 25);
    let stats = rig.stats();
    assert_eq!(stats.packets_received, 11 * 25 + packets);
    assert_eq!((stats.packets_lost, stats.frames_concealed, stats.timestamp_jumps), (0, 0, 0));
    assert_eq!(stats.rejected.total(), 0);
    assert_eq!(rig.seen().of(Track::Uplink).count(), 11 * 25);
}

#[test]
fn a_telephone_event_that_is_lost_is_not_concealed_and_moves_nothing() {
    let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
    for n in 0..100 {
        if n % 10 == 5 {
            // Beside the audio: the next packet of audio follows without a gap in its timestamp.
            let _lost = sender.side(TELEPHONE_EVENT, &[1, 0x8a, 0, 160]);
        }
        send(&mut rig, &mut sender, 20, true);
    }
    rig.run_until(START + ms(3_000));
    assert_in_place(&rig, FORMAT, 100);
    assert_eq!((rig.stats().packets_lost, rig.stats().frames_concealed), (10, 0));
}

/// Of an Asterisk that was late: a packet's timestamp is off by a part of a frame, and right again
/// some packets later.
#[test]
fn a_clock_of_48_khz_that_leaps_by_parts_of_a_frame_is_heard_without_a_gap() {
    let format = MediaFormat::Slin(SampleRate::HZ_48000);
    let (mut rig, mut sender) = (Rig::rtp(format), Sender::new(format));
    let right = |n: u32| 5_000 + 960 * n;
    let mut leaps = 0;
    let mut off = 0;
    for n in 0..1_000 {
        if n % 7 == 3 {
            let bits = u32::from(noise(u64::from(n)));
            // Up to a frame and a half, never a whole one; or back to where it should be.
            let next = if off == 0 { 48 * (1 + bits % 19) + bits % 2 * 504 } else { 0 };
            leaps += u64::from(next != off);
            off = next;
        }
        sender.ts = right(n) + off;
        send(&mut rig, &mut sender, 20, true);
    }
    assert_in_place(&rig, format, 1_000);
    let stats = rig.stats();
    assert!(stats.timestamp_jumps <= leaps && leaps > 100, "{leaps} leaps: {stats:?}");
    assert_eq!(stats.frames_concealed, 0);
}

/// Behind a loss there is no telling a leap from a gap: one may shift by its length, but the one back
/// takes that out again.
#[test]
fn a_clock_that_leaps_where_packets_are_lost_shifts_by_one_leap_at_most() {
    let format = MediaFormat::Slin(SampleRate::HZ_48000);
    for leap in [240, 1_200] {
        let (mut rig, mut sender) = (Rig::rtp(format), Sender::new(format));
        for n in 0..2_000_u32 {
            // Six packets of twenty are off, and the first of them is behind a lost one.
            let off = if (3..9).contains(&(n % 20)) { leap } else { 0 };
            sender.ts = 5_000 + 960 * n + off;
            send(&mut rig, &mut sender, 20, n % 20 != 2);
        }
        let shifts = shifts(&rig, format, START);
        let worst = shifts.iter().map(|(_, shift)| shift.abs()).max();
        let ends = [&shifts[0], shifts.last().expect("they are heard")];
        assert!(worst <= Some(i64::from(leap)), "{worst:?} by leaps of {leap}: {ends:?}");
    }
}

#[test]
fn a_burst_after_a_stall_is_heard_whole_and_in_place_and_delays_nothing_behind_it() {
    for stall_ms in [300, 1_000, 3_000] {
        let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
        for n in 0..500 {
            let sent = START + ms(20 * n);
            // What is sent in the stall arrives at its end.
            let stalls = (2_000..2_000 + stall_ms).contains(&(20 * n));
            let at = if stalls { START + ms(2_000 + stall_ms) } else { sent };
            rig.datagram(at, &sender.packet());
        }
        assert_in_place(&rig, FORMAT, 500);
        let stats = rig.stats();
        assert_eq!((stats.frames_concealed, stats.packets_lost, stats.packets_late), (0, 0, 0));
        assert_eq!((stats.timestamp_jumps, stats.frames_retimed), (0, 0));
        let seen = rig.seen();
        let after = 8 * (1_000 + 2_000 + stall_ms);
        assert!(
            seen.of(Track::Uplink).filter(|f| f.position >= after).all(|f| f.now == f.position)
        );
    }
}

#[test]
fn a_burst_after_a_stall_of_audiosocket_delays_nothing_behind_it() {
    let rate = SampleRate::HZ_8000;
    // In one piece, or each frame by itself, one soon after the other.
    for (stall_ms, apart) in [(300, None), (1_000, None), (1_000, Some(300))] {
        let mut rig = Rig::audiosocket(Some(rate));
        let mut frame = Vec::new();
        let mut held_up: Vec<u8> = Vec::new();
        for n in 0..500_u64 {
            let samples: Vec<i16> =
                (160 * n..160 * n + 160).map(|p| sample(MediaFormat::Slin(rate), p)).collect();
            encode_audio(rate, &samples, &mut frame);
            held_up.extend_from_slice(&frame);
            if !(2_000..2_000 + stall_ms).contains(&(20 * n)) {
                let pieces = match apart {
                    Some(_) => held_up.chunks(frame.len()).collect(),
                    None => vec![&held_up[..]],
                };
                for (piece, m) in pieces.into_iter().zip(0..) {
                    let later = Duration::from_micros(m * apart.unwrap_or_default());
                    rig.stream(START + ms(20 * n) + later, piece);
                }
                held_up.clear();
            }
        }
        assert_in_place(&rig, MediaFormat::Slin(rate), 500);
        assert_eq!((rig.stats().timestamp_jumps, rig.stats().frames_retimed), (0, 0));
        let seen = rig.seen();
        let last = seen.of(Track::Uplink).last().map(|kept| (kept.now, kept.position));
        assert_eq!(last, Some((8 * 10_980, 8 * 10_980)));
    }
}

/// How long each packet behind a hole waited for it, in ms, and what was concealed by then.
fn waits(rig: &Rig) -> Vec<u64> {
    let seen = rig.seen();
    let frames: Vec<_> = seen.of(Track::Uplink).collect();
    let behind =
        |pair: &&[&Kept]| pair[0].origin == Origin::Concealed && pair[1].origin == Origin::Real;
    // Without jitter each would be heard at its position.
    frames.windows(2).filter(behind).map(|pair| (pair[1].now - pair[1].position) / 8).collect()
}

#[test]
fn where_packets_are_only_lost_those_behind_them_soon_do_not_wait() {
    let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
    assert!((rig.stats().reception.target_delay_ms - 60.0).abs() < 1e-9);
    (0..1_000).for_each(|n| send(&mut rig, &mut sender, 20, n % 13 != 12));
    rig.run_until(START + ms(21_000));
    let waits = waits(&rig);
    assert_eq!((waits.len(), waits[0]), (76, 60));
    assert!(waits[5..].iter().all(|wait| *wait <= 20), "{waits:?}");
    assert!((rig.stats().reception.target_delay_ms - 20.0).abs() < 1e-9);
    // 76 of 924 packets waited 20 ms, the first few 60 at most; none behind them was held.
    let added = rig.stats().reception.added_delay_ms;
    assert!((1.6..2.2).contains(&added), "{added} ms");
}

#[test]
fn where_packets_are_overtaken_by_three_others_only_the_first_is_concealed() {
    let (mut rig, mut sender) = (Rig::rtp(FORMAT), Sender::new(FORMAT));
    let mut held = None;
    for n in 0..3_000_u64 {
        let at = START + ms(20 * n);
        let packet = sender.packet();
        if n % 50 == 10 {
            held = Some(packet);
            continue;
        }
        rig.datagram(at, &packet);
        if n % 50 == 13 {
            rig.datagram(at + ms(25), &held.take().expect("it is held"));
            // 65 ms after the first that overtook it.
        }
    }
    rig.run_until(START + ms(61_000));
    let stats = rig.stats();
    assert_eq!((stats.frames_concealed, stats.packets_late, stats.packets_lost), (1, 1, 0));
    assert_eq!(stats.packets_reordered, 59);
    assert!((stats.reception.target_delay_ms - 70.0).abs() < 1e-9, "{:?}", stats.reception);
}
