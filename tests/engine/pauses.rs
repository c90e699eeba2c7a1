//! Pauses of the sender: comfort noise (RFC 3389), and how speech comes back after it.

use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin};
use sidetone::call::EndReason;
use sidetone::dsp::level::rms_dbov;
use sidetone::engine::Input;
use sidetone::event::EventKind;
use sidetone::media::{MediaSettings, Rejected};

use crate::driver::{Kept, Rig, Sender, Track, assert_in_order, idle, ms, noise};
use crate::reception::shifts;

const FORMAT: MediaFormat = MediaFormat::Ulaw;
const COMFORT_NOISE: u8 = 13;
const TELEPHONE_EVENT: u8 = 101;

/// When the first packet arrives.
const START: Duration = ms(1_000);
/// Samples in a millisecond.
const PER_MS: u64 = 8;
/// Samples of a frame of noise.
const FRAME: u64 = 20 * PER_MS;
/// A frame of noise comes at most so long after its time: in case the packet that it takes the place
/// of is late.
const LAG: u64 = 40 * PER_MS;

fn made_up(rig: &Rig) -> Vec<Kept> {
    let seen = rig.seen();
    assert_in_order(&seen);
    seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::ComfortNoise).cloned().collect()
}

/// A sender of `count` packets, 20 ms apart, who falls silent after that and tells so.
fn fall_silent(rig: &mut Rig, count: u64, level: u8) -> Sender {
    let mut sender = Sender::new(FORMAT);
    for n in 0..count {
        rig.datagram(START + ms(20 * n), &sender.packet());
    }
    rig.datagram(START + ms(20 * count), &sender.side(COMFORT_NOISE, &[level]));
    sender
}

#[test]
fn a_pause_is_filled_with_noise_of_the_level_told_while_it_passes() {
    for level in [25, 40, 55] {
        let mut rig = Rig::rtp(FORMAT);
        let mut sender = fall_silent(&mut rig, 10, level);
        rig.run_until(START + ms(2_200));
        // Louder by 10 dB from the third second on.
        sender.pause(2_000 * PER_MS);
        rig.datagram(START + ms(2_200), &sender.side(COMFORT_NOISE, &[level - 10]));
        rig.run_until(START + ms(4_200));

        let frames = made_up(&rig);
        let begin = 1_200 * PER_MS;
        for (n, frame) in (0..).zip(&frames) {
            assert_eq!((frame.position, frame.samples.len()), (begin + n * FRAME, 160));
            assert_eq!(frame.now, frame.position + LAG, "each in its time");
        }
        assert_eq!(frames.last().map(|frame| frame.now), Some(5_200 * PER_MS));
        // 8,000 values of white noise tell their power to √(2/8000), 0.07 dB. The first frame has
        // the ramp.
        let second_of = |from: usize| {
            let samples: Vec<i16> =
                frames[from..from + 50].iter().flat_map(|f| f.samples.clone()).collect();
            rms_dbov(&samples)
        };
        for (from, expected) in [(1, level), (40, level), (110, level - 10), (145, level - 10)] {
            let actual = second_of(from);
            assert!((actual + f64::from(expected)).abs() < 0.5, "{actual}, not −{expected}");
        }
    }
}

#[test]
fn noise_keeps_the_distance_from_real_time_that_speech_had() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = Sender::new(FORMAT);
    // The first packet was the fastest by 30 ms.
    rig.datagram(START, &sender.packet());
    for n in 1..10 {
        rig.datagram(START + ms(20 * n + 30), &sender.packet());
    }
    rig.datagram(START + ms(230), &sender.side(COMFORT_NOISE, &[40]));
    rig.run_until(START + ms(1_000));
    let frames = made_up(&rig);
    assert!(frames.len() > 30);
    assert!(frames.iter().all(|frame| frame.now == frame.position + LAG + 30 * PER_MS));
}

/// How one of many pauses goes.
#[derive(Clone, Copy)]
struct Pauses {
    /// Samples of a packet.
    samples: usize,
    /// A telephone-event comes in the pause.
    digit: bool,
    /// The first packet of speech is lost.
    loses_first: bool,
    /// The longest delay of the first packet of speech; the others come in a burst behind it.
    jitter_ms: u64,
}

/// A hundred talkspurts with pauses between them.
struct Talk {
    rig: Rig,
    /// Of each talkspurt: its place, and how late its first packet was, in samples.
    begins: Vec<(u64, u64)>,
}

impl Pauses {
    const PLAIN: Self = Self { samples: 160, digit: false, loses_first: false, jitter_ms: 0 };

    /// Talkspurts of 240 ms, pauses of 300 ms to 1.3 s that are no whole frames.
    fn talk(self) -> Talk {
        const TALKSPURTS: u64 = 100;
        let mut rig = Rig::rtp(FORMAT);
        let mut sender = Sender { samples: self.samples, ..Sender::new(FORMAT) };
        let packets = 12 * 160 / self.samples as u64;
        let mut begins = Vec::new();
        let now = |sender: &Sender| START + FORMAT.sample_rate().duration_of(sender.place);
        for talkspurt in 0..TALKSPURTS {
            let delays = self.jitter_ms > 0 && talkspurt > 0;
            let late_ms = if delays { u64::from(noise(talkspurt)) % self.jitter_ms } else { 0 };
            begins.push((sender.place, late_ms * PER_MS));
            let begin = now(&sender) + ms(late_ms);
            for n in 0..packets {
                let at = now(&sender).max(begin);
                let packet = sender.packet();
                if !(self.loses_first && n == 0 && talkspurt > 0) {
                    rig.datagram(at, &packet);
                }
            }
            let at = now(&sender).max(begin);
            rig.datagram(at, &sender.side(COMFORT_NOISE, &[50]));
            let pause = 300 * PER_MS + u64::from(noise(talkspurt)) % (1_000 * PER_MS);
            sender.pause(pause / 2);
            if self.digit {
                let at = now(&sender);
                rig.datagram(at, &sender.side(TELEPHONE_EVENT, &[5, 0x8a, 0, 160]));
            }
            sender.pause(pause - pause / 2);
        }
        assert_eq!(rig.stats().rejected.total(), 0);
        Talk { rig, begins }
    }
}

impl Talk {
    /// Of each talkspurt: how far it lies behind its timestamps at most, in samples, and how late
    /// its first packet was. Nothing lies before them.
    fn shifts(&self) -> Vec<(u64, u64)> {
        let shifts = shifts(&self.rig, FORMAT, START);
        let ends = self.begins.iter().skip(1).map(|(begin, _)| *begin).chain([u64::MAX]);
        let most = self.begins.iter().zip(ends).map(|(&(begin, late), end)| {
            let own = shifts.iter().filter(|(place, _)| (begin..end).contains(place));
            let own = own.map(|&(_, shift)| u64::try_from(shift).expect("not too early"));
            (own.max().expect("it is heard"), late)
        });
        most.collect()
    }
}

/// Speech lies by its timestamps, or behind the frame of noise in whose middle it began.
#[test]
fn speech_lies_by_its_timestamps_after_a_hundred_pauses_with_noise() {
    for samples in [80, 160, 480] {
        let talk = Pauses { samples, ..Pauses::PLAIN }.talk();
        let shifts = talk.shifts();
        assert!(shifts.iter().all(|(shift, _)| *shift < FRAME), "{shifts:?}");
        let stats = talk.rig.stats();
        assert_eq!(
            (stats.timestamp_jumps, stats.packets_received),
            (0, 100 * (1_920 / samples as u64 + 1))
        );
    }
}

#[test]
fn a_digit_in_a_pause_with_noise_does_not_move_the_speech_behind_it() {
    let talk = Pauses { digit: true, ..Pauses::PLAIN }.talk();
    let shifts = talk.shifts();
    assert!(shifts.iter().all(|(shift, _)| *shift < FRAME), "{shifts:?}");
    assert_eq!(talk.rig.stats().timestamp_jumps, 0);
}

#[test]
fn a_digit_in_a_pause_with_noise_does_not_move_speech_that_comes_late_either() {
    assert_moved_by_noise_only(&Pauses { digit: true, jitter_ms: 60, ..Pauses::PLAIN }.talk());
}

/// The noise goes on while one waits for the packet that is lost. That is 20 ms once it is learnt
/// that nothing comes back, and noise takes the place of what is 40 ms late.
#[test]
fn a_talkspurt_whose_first_packet_is_lost_does_not_move_the_ones_behind_it() {
    let talk = Pauses { loses_first: true, ..Pauses::PLAIN }.talk();
    let shifts = talk.shifts();
    assert!(shifts[10..].iter().all(|(shift, _)| *shift < FRAME), "{shifts:?}");
}

/// Noise takes the place of what comes 40 ms late; speech that comes later still lies behind it, but
/// only until the next pause.
#[test]
fn jitter_at_the_begin_of_speech_adds_up_to_nothing_over_a_hundred_pauses() {
    for (samples, jitter_ms) in [(160, 60), (480, 120), (160, 120), (80, 80)] {
        assert_moved_by_noise_only(&Pauses { samples, jitter_ms, ..Pauses::PLAIN }.talk());
    }
}

/// A frame of noise was begun when it was 40 ms late: as far as it had come by the arrival of the
/// first packet of speech, speech may lie too late, in that talkspurt alone.
fn assert_moved_by_noise_only(talk: &Talk) {
    for (talkspurt, (shift, late)) in talk.shifts().into_iter().enumerate() {
        let most = FRAME + late.saturating_sub(LAG);
        assert!(shift < most, "talkspurt {talkspurt} by {shift} samples, not less than {most}");
    }
}

#[test]
fn a_sender_that_vanishes_in_a_pause_is_not_kept_alive_by_the_noise() {
    let settings = MediaSettings {
        no_media_after: ms(3_000),
        end_after: ms(10_000),
        ..MediaSettings::default()
    };
    let mut rig = Rig::rtp_with(FORMAT, settings, idle());
    fall_silent(&mut rig, 10, 50);
    rig.run_until(ms(60_000));
    assert_eq!(rig.ended(), EndReason::NoMedia);
    let moments: Vec<_> = rig
        .events()
        .filter(|(_, kind)| matches!(kind, EventKind::NoMedia { .. } | EventKind::CallEnded { .. }))
        .map(|(at, _)| at)
        .collect();
    let told = START + ms(200);
    assert_eq!(moments, [told + ms(3_000), told + ms(10_000)]);
    assert!(made_up(&rig).iter().all(|frame| frame.now <= 11_200 * PER_MS));
}

#[test]
fn an_engine_that_is_not_woken_for_long_makes_no_flood_of_noise() {
    for (asleep_ms, most) in [(900, 45), (1_500, 50), (30_000, 50), (3_600_000, 50)] {
        let settings = MediaSettings { end_after: Duration::ZERO, ..MediaSettings::default() };
        let mut rig = Rig::rtp_with(FORMAT, settings, idle());
        let mut sender = fall_silent(&mut rig, 10, 50);
        let woken = START + ms(200 + asleep_ms);
        rig.give(woken, Input::Timeout);
        let frames = made_up(&rig).len();
        assert!(frames <= most, "{frames} frames after {asleep_ms} ms");
        sender.pause((asleep_ms + 20) * PER_MS);
        rig.datagram(woken + ms(20), &sender.packet());
        let last = rig.seen().of(Track::Uplink).last().map(|kept| (kept.origin, kept.position));
        assert_eq!(last, Some((Origin::Real, (1_220 + asleep_ms) * PER_MS)));
    }
}

#[test]
fn noise_before_any_speech_is_not_made_for_the_time_before_it_was_told() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = Sender::new(FORMAT);
    rig.datagram(ms(700), &sender.side(COMFORT_NOISE, &[50]));
    rig.run_until(ms(2_000));
    let early = made_up(&rig).iter().filter(|frame| frame.position < 700 * PER_MS).count();
    assert_eq!(early, 0);
    sender.pause(1_300 * PER_MS);
    rig.datagram(ms(2_000), &sender.packet());
    let last = rig.seen().of(Track::Uplink).last().map(|kept| (kept.origin, kept.position));
    assert_eq!(last, Some((Origin::Real, 2_000 * PER_MS)));
}

#[test]
fn comfort_noise_without_a_level_is_counted_and_makes_none() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = Sender::new(FORMAT);
    rig.datagram(START, &sender.packet());
    rig.datagram(START + ms(20), &sender.side(COMFORT_NOISE, &[]));
    sender.pause(1_000 * PER_MS);
    rig.datagram(START + ms(1_020), &sender.packet());
    rig.run_until(START + ms(1_100));
    assert_eq!(rig.stats().rejected.of(Rejected::PayloadSize), 1);
    assert_eq!((rig.stats().packets_lost, made_up(&rig).len()), (0, 0));
}

#[test]
fn another_stream_ends_the_noise_of_the_one_before() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = fall_silent(&mut rig, 10, 50);
    sender.pause(500 * PER_MS);
    (sender.ssrc, sender.seq, sender.ts) = (99, 40_000, 7);
    // It begins with a digit, and speaks 300 ms later.
    for _ in 0..2 {
        rig.datagram(START + ms(700), &sender.side(TELEPHONE_EVENT, &[5, 0x8a, 0, 160]));
    }
    for n in 0..50 {
        rig.datagram(START + ms(1_000 + 20 * n), &sender.packet());
    }
    rig.run_until(START + ms(2_500));
    let seen = rig.seen();
    assert_in_order(&seen);
    let real: Vec<_> = seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::Real).collect();
    assert_eq!(real.len(), 60);
    assert_eq!(real[10].position, 2_000 * PER_MS);
    let noise = seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::ComfortNoise);
    let latest = noise.map(|kept| kept.now).max();
    assert!(
        latest <= Some(1_700 * PER_MS),
        "noise that the new sender did not tell of: {latest:?}"
    );
}

#[test]
fn comfort_noise_that_is_told_again_and_again_changes_nothing_of_the_places() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = fall_silent(&mut rig, 10, 50);
    for n in 0..20 {
        sender.pause(150 * PER_MS);
        rig.datagram(START + ms(350 + 150 * n), &sender.side(COMFORT_NOISE, &[50]));
    }
    sender.pause(150 * PER_MS);
    rig.datagram(START + ms(3_350), &sender.packet());
    let seen = rig.seen();
    let frames: Vec<_> = seen.of(Track::Uplink).collect();
    assert_in_order(&seen);
    let gaps: Vec<u64> = frames.windows(2).map(|pair| pair[1].position - pair[0].end()).collect();
    let (last, others) = gaps.split_last().expect("there are many");
    assert!(others.iter().all(|gap| *gap == 0) && *last < LAG, "{gaps:?}");
    let speech = frames.last().expect("there are many");
    assert_eq!((speech.origin, speech.position), (Origin::Real, 4_350 * PER_MS));
}
