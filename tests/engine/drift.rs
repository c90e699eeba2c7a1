//! Senders whose clock is not ours, for hours: every frame is checked as it passes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::dsp::g711;
use sidetone::engine::{Command, Input};
use sidetone::media::{CallStats, MediaSettings};
use sidetone::wire::audiosocket::encode_audio;

use crate::driver::speech::fixture;
use crate::driver::{Moment, Rig, Script, Sender, Track, assert_in_order, ms, peer};
use crate::emulator::{Emulator, Jitter, Loss, Path};

const RATE: SampleRate = SampleRate::HZ_8000;
const SLIN: MediaFormat = MediaFormat::Slin(RATE);
const START: Duration = ms(1_000);
/// Samples of a frame of 20 ms.
const FRAME: usize = 160;
const HOURS_2: f64 = 7_200.0;

/// How a call comes in.
#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Rtp(MediaFormat),
    AudioSocket,
}

/// What a sender does.
struct Run<'a> {
    transport: Transport,
    /// What is sent, over and over.
    signal: &'a [i16],
    /// The sender's clock against ours in parts per million, and until which second by ours.
    clock: &'a [(f64, f64)],
    jitter_ms: u64,
    /// Probability that a packet is lost.
    loss: f64,
}

/// What came of it.
#[derive(Clone, Default, Debug)]
struct Outcome {
    stats: CallStats,
    /// The most that a frame lies from where it should, by our clock, in ms: since the second minute,
    /// and of the last frame.
    worst_ms: f64,
    last_ms: f64,
    /// The greatest difference between two samples in a row.
    worst_step: i32,
    frames: u64,
    concealed: u64,
}

/// What the script learns.
#[derive(Default)]
struct Heard {
    /// Of the first frame; where the next one has to begin.
    first: u64,
    end: u64,
    before: i32,
    outcome: Outcome,
    /// When each frame that was not heard yet was sent by our clock, in samples since the first.
    sent: VecDeque<f64>,
}

impl Run<'_> {
    fn go(&self) -> Outcome {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let settings = MediaSettings { end_after: Duration::ZERO, ..MediaSettings::default() };
        let script = checker(Arc::clone(&heard));
        let mut rig = match self.transport {
            Transport::Rtp(format) => {
                let mut rig = Rig::rtp_without_peer(format, settings, script, false);
                rig.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
                rig
            }
            Transport::AudioSocket => {
                Rig::audiosocket_that_keeps(false, Some(RATE), settings, script)
            }
        };
        rig.keeps_sent = false;
        let codes = self.codes();
        let jitter = Jitter::Uniform { max: ms(self.jitter_ms) };
        let loss = Loss::Bernoulli { p: self.loss };
        let mut network = Emulator::new(Path { jitter, loss, ..Path::IDEAL }, 21);
        let mut sender = Sender::new(match self.transport {
            Transport::Rtp(format) => format,
            Transport::AudioSocket => SLIN,
        });
        let (mut seconds, mut place) = (0.0_f64, 0);
        for &(ppm, until) in self.clock {
            while seconds < until {
                let payload = &codes[place % codes.len()];
                place += 1;
                let packet = match self.transport {
                    Transport::Rtp(_) => sender.carry(payload, FRAME as u64),
                    Transport::AudioSocket => payload.clone(),
                };
                lock(&heard).sent.push_back(seconds * f64::from(RATE.hz()));
                network.send(START + Duration::from_secs_f64(seconds), &packet);
                seconds += 0.02 / (1.0 + ppm * 1e-6);
                while let Some(delivery) = network.receive(START + Duration::from_secs_f64(seconds))
                {
                    self.give(&mut rig, delivery.at, &delivery.bytes);
                }
            }
        }
        let mut outcome = lock(&heard).outcome.clone();
        outcome.stats = rig.stats();
        outcome
    }

    fn give(&self, rig: &mut Rig, at: Duration, bytes: &[u8]) {
        match self.transport {
            Transport::Rtp(_) => rig.datagram(at, bytes),
            Transport::AudioSocket => rig.stream(at, bytes),
        }
    }

    /// The signal's frames as they are sent.
    fn codes(&self) -> Vec<Vec<u8>> {
        let encode = |frame: &[i16]| match self.transport {
            Transport::Rtp(MediaFormat::Ulaw) => {
                let mut codes = vec![0; frame.len()];
                g711::ulaw_encode(frame, &mut codes);
                codes
            }
            Transport::Rtp(_) => frame.iter().flat_map(|sample| sample.to_be_bytes()).collect(),
            Transport::AudioSocket => {
                let mut bytes = Vec::new();
                encode_audio(RATE, frame, &mut bytes);
                bytes
            }
        };
        self.signal.chunks_exact(FRAME).map(encode).collect()
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows where frames lie, and what they are like where they meet.
fn checker(heard: Arc<Mutex<Heard>>) -> Script {
    Box::new(move |moment, _| {
        let Moment::Uplink(frame) = moment else { return };
        let heard = &mut *lock(&heard);
        let sent = heard.sent.pop_front().expect("it was sent");
        let is_first = heard.outcome.frames == 0;
        if is_first {
            (heard.first, heard.end) = (frame.position.0, frame.position.0);
            heard.before = i32::from(frame.samples[0]);
        }
        assert_eq!(frame.position.0, heard.end, "no gap, and nothing twice");
        heard.end = frame.end().0;
        heard.outcome.frames += 1;
        heard.outcome.concealed += u64::from(frame.origin == Origin::Concealed);
        let off = (frame.position.0 - heard.first) as f64 - sent;
        let off_ms = off.abs() / f64::from(RATE.hz()) * 1e3;
        let minute = 60.0 * f64::from(RATE.hz());
        if sent > 2.0 * minute {
            heard.outcome.worst_ms = heard.outcome.worst_ms.max(off_ms);
        }
        heard.outcome.last_ms = off_ms;
        for &sample in frame.samples.iter() {
            let step = (i32::from(sample) - heard.before).abs();
            heard.outcome.worst_step = heard.outcome.worst_step.max(step);
            heard.before = i32::from(sample);
        }
    })
}

fn speech() -> Vec<i16> {
    fixture("speech-8k.wav").1
}

/// A second of a sine of 200 Hz, and the greatest step within it.
fn sine() -> (Vec<i16>, i32) {
    let (amplitude, turn) = (8_000.0, std::f64::consts::TAU * 200.0 / 8_000.0);
    let samples = (0..8_000).map(|n| (amplitude * (turn * f64::from(n)).sin()).round() as i16);
    (samples.collect(), (2.0 * amplitude * (turn / 2.0).sin()).ceil() as i32)
}

/// A correction is due from 10 ms on and made at 30 ms at the latest. An error of the estimate by 5 ppm
/// over the 17 minutes that it reaches back makes the rest.
fn assert_kept(outcome: &Outcome, ppm: f64) {
    assert!(outcome.worst_ms < 35.0, "{outcome:?}");
    let told = outcome.stats.reception.drift_ppm.expect("it is known by now");
    assert!((told - ppm).abs() < 5.0, "{told} ppm");
    assert_eq!((outcome.stats.timestamp_jumps, outcome.stats.rejected.total()), (0, 0));
    // 200 ppm are 10 ms in 50 s. A correction has 10 ms, and up to 15 in silence that comes late;
    // within a word it is a period of the voice, 5 ms and more in this speech.
    let expected = ppm.abs() * 1e-6 * HOURS_2 / 10e-3;
    let retimed = outcome.stats.frames_retimed as f64;
    assert!((0.67..2.0).contains(&(retimed / expected)), "{retimed} for {expected}");
}

#[test]
fn a_fast_or_slow_clock_does_not_move_speech_within_two_hours() {
    let speech = speech();
    for (format, ppm) in
        [(SLIN, 200.0), (SLIN, -200.0), (MediaFormat::Ulaw, 200.0), (MediaFormat::Ulaw, -200.0)]
    {
        let clock = [(ppm, HOURS_2)];
        let transport = Transport::Rtp(format);
        assert_kept(
            &Run { transport, signal: &speech, clock: &clock, jitter_ms: 20, loss: 0.0 }.go(),
            ppm,
        );
    }
}

#[test]
fn a_fast_or_slow_clock_does_not_move_speech_over_audiosocket() {
    let speech = speech();
    for ppm in [200.0, -200.0] {
        let clock = [(ppm, HOURS_2)];
        let transport = Transport::AudioSocket;
        assert_kept(
            &Run { transport, signal: &speech, clock: &clock, jitter_ms: 20, loss: 0.0 }.go(),
            ppm,
        );
    }
}

#[test]
fn where_a_tone_is_made_longer_or_shorter_no_joint_is_steeper_than_the_tone() {
    let (sine, step) = sine();
    for transport in [Transport::Rtp(SLIN), Transport::AudioSocket] {
        for ppm in [200.0, -200.0] {
            let clock = [(ppm, HOURS_2 / 4.0)];
            let outcome =
                Run { transport, signal: &sine, clock: &clock, jitter_ms: 20, loss: 0.0 }.go();
            assert!(outcome.stats.frames_retimed > 20, "{outcome:?}");
            // Rounding, twice.
            assert!(outcome.worst_step <= step + 2, "{outcome:?}, not {step}");
            assert!(outcome.worst_ms < 35.0, "{outcome:?}");
        }
    }
}

#[test]
fn on_equal_clocks_jitter_of_80_ms_retimes_nothing_in_two_hours() {
    let speech = speech();
    for transport in [Transport::Rtp(SLIN), Transport::AudioSocket] {
        let clock = [(0.0, HOURS_2)];
        let outcome =
            Run { transport, signal: &speech, clock: &clock, jitter_ms: 80, loss: 0.0 }.go();
        assert_eq!(outcome.stats.frames_retimed, 0, "{outcome:?}");
        assert!(outcome.worst_ms < 1e-3);
        let told = outcome.stats.reception.drift_ppm.expect("it is known by now");
        assert!(told.abs() < 5.0, "{told} ppm");
    }
}

#[test]
fn losses_do_not_move_speech_of_a_fast_or_slow_clock_either() {
    let speech = speech();
    for ppm in [200.0, -200.0] {
        let clock = [(ppm, HOURS_2 / 4.0)];
        let transport = Transport::Rtp(MediaFormat::Ulaw);
        let run = Run { transport, signal: &speech, clock: &clock, jitter_ms: 20, loss: 0.05 };
        let outcome = run.go();
        assert!(outcome.worst_ms < 35.0, "{outcome:?}");
        assert_eq!(outcome.stats.timestamp_jumps, 0);
        // Where none is longer than what is concealed, every loss is.
        let share = outcome.concealed as f64 / outcome.frames as f64;
        assert!((0.04..0.06).contains(&share), "{outcome:?}");
    }
}

/// Talkspurts of a second, and pauses with comfort noise as long: the noise is ours, by our clock.
#[test]
fn pauses_with_noise_keep_speech_of_a_fast_or_slow_clock_in_its_place() {
    let speech = speech();
    for ppm in [200.0, -200.0] {
        let (mut rig, mut sender) = (Rig::rtp(SLIN), Sender::new(SLIN));
        let by_our_clock =
            |sender: &Sender| sender.place as f64 / f64::from(RATE.hz()) / (1.0 + ppm * 1e-6);
        let at = |sender: &Sender| START + Duration::from_secs_f64(by_our_clock(sender));
        let mut sent = Vec::new();
        let frames: Vec<Vec<u8>> = speech
            .chunks_exact(FRAME)
            .map(|frame| frame.iter().flat_map(|sample| sample.to_be_bytes()).collect())
            .collect();
        for n in 0..900 {
            for frame in frames.iter().cycle().skip(n).take(50) {
                sent.push(by_our_clock(&sender) * f64::from(RATE.hz()));
                let now = at(&sender);
                rig.datagram(now, &sender.carry(frame, FRAME as u64));
            }
            let now = at(&sender);
            rig.datagram(now, &sender.side(13, &[60]));
            sender.pause(8_000 + n as u64 % 160);
        }
        let seen = rig.seen();
        assert_in_order(&seen);
        let real = seen.of(Track::Uplink).filter(|kept| kept.origin == Origin::Real);
        let first = RATE.samples_in(START) as f64;
        let offs: Vec<f64> = real
            .zip(&sent)
            .map(|(kept, sent)| (kept.position as f64 - first - sent) / f64::from(RATE.hz()) * 1e3)
            .collect();
        assert_eq!(offs.len(), sent.len());
        let worst = offs[3_000..].iter().fold(0.0_f64, |worst, off| worst.max(off.abs()));
        // A frame of noise more than without.
        assert!(worst < 35.0 + 20.0, "{ppm} ppm: {worst} ms");
        assert!(rig.stats().frames_retimed > 20, "{:?}", rig.stats());
        assert_eq!(rig.stats().timestamp_jumps, 0);
    }
}

/// A crystal that warms up, or a clock that is disciplined by another: what it gained before the
/// change stays taken out.
#[test]
fn a_clock_that_changes_its_speed_leaves_speech_where_it_was() {
    let speech = speech();
    let clock = [(100.0, HOURS_2 / 2.0), (60.0, HOURS_2)];
    let transport = Transport::Rtp(SLIN);
    let outcome = Run { transport, signal: &speech, clock: &clock, jitter_ms: 20, loss: 0.0 }.go();
    // Until the old speed is forgotten, 17 minutes, 40 ppm are worth 41 ms.
    assert!(outcome.worst_ms < 35.0 + 41.0, "{outcome:?}");
    assert!(outcome.last_ms < 35.0, "{outcome:?}");
}
