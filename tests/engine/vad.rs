//! When the caller is said to speak: places of edges, echo of the bot, noises that are no speech,
//! and what a network does to it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, SampleRate};
use sidetone::dsp::opus;
use sidetone::dsp::random::Random;
use sidetone::dsp::vad::DetectorKind;
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::vad::{VadFactory, VadSettings};
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};

use crate::driver::speech::{frame_samples, payloads, speech};
use crate::driver::{Rig, Sender, ms};
use crate::switch::{Switch, key};

const ULAW: MediaFormat = MediaFormat::Ulaw;
const SLIN16: MediaFormat = MediaFormat::Slin(SampleRate::HZ_16000);

/// Every edge that was told: whether speech begins there, and where, in milliseconds.
type Edges = Vec<(bool, u64)>;

/// How far an edge may be from its place.
const TOLERANCE_MS: u64 = 60;

fn rate_of(format: MediaFormat) -> SampleRate {
    MediaSettings::default().rate_of(format)
}

/// So many milliseconds of faint noise, of some −70 dBov.
fn quiet(rate: SampleRate, span_ms: u64) -> Vec<i16> {
    let mut random = Random(span_ms);
    let samples = rate.samples_in(ms(span_ms));
    (0..samples).map(|_| (random.unit() * 36.0 - 18.0) as i16).collect()
}

/// Silence, two sentences with a second between them, silence; and where the sentences lie, in
/// milliseconds.
fn two_sentences(rate: SampleRate) -> (Vec<i16>, [Range<u64>; 2]) {
    let before_ms = 1_500;
    let spoken = speech(rate, 60.0);
    let per_ms = rate.hz() as usize / 1_000;
    // The pause is the longest stretch in which nothing is heard.
    let (mut pause, mut run) = (0..0, 0..0);
    for (n, sample) in spoken.iter().enumerate() {
        run = if sample.unsigned_abs() < 200 { run.start..n + 1 } else { n + 1..n + 1 };
        if run.len() > pause.len() {
            pause = run.clone();
        }
    }
    assert!(pause.len() > 200 * per_ms, "a pause of {} samples", pause.len());
    let (first, second) = spoken.split_at(pause.start + pause.len() / 2);
    let at = |sample: usize| before_ms + (sample / per_ms) as u64;
    let more_ms = 700;
    let sentences =
        [before_ms..at(pause.start), at(pause.end) + more_ms..at(spoken.len()) + more_ms];
    let mut samples = quiet(rate, before_ms);
    samples.extend(first);
    samples.resize(samples.len() + more_ms as usize * per_ms, 0);
    samples.extend(second);
    // What is silent in the fixture is faint noise in a call.
    for (sample, noise) in samples.iter_mut().zip(quiet(rate, 20_000)) {
        *sample = sample.saturating_add(noise);
    }
    samples.extend(quiet(rate, 1_500));
    (samples, sentences)
}

/// A call through a detector of speech, behind a bot.
fn rig(format: MediaFormat, settings: VadSettings, says: Vec<i16>) -> Rig {
    let bot: Arc<dyn ProcessorFactory> = Arc::new(Bot(says));
    let vad = Arc::new(VadFactory::new(settings));
    Rig::rtp_through(format, MediaSettings::default(), vec![bot, vad])
}

/// Sends what the caller says, in packets of 20 ms from the call's start on, but for those that do
/// not come. Answers the edges that were told.
fn told(
    rig: &mut Rig,
    format: MediaFormat,
    caller: &[i16],
    comes: impl Fn(usize) -> bool,
) -> Edges {
    let rate = rate_of(format);
    let ticks = u64::from(format.clock_rate().hz()) / 50;
    let mut sender = Sender::new(format);
    let payloads = payloads(format, rate, &opus::Settings::default(), caller);
    for (n, payload) in payloads.iter().enumerate() {
        let packet = sender.carry(payload, ticks);
        if comes(n) {
            rig.datagram(ms(20 * n as u64), &packet);
        }
    }
    rig.run_until(ms(20 * payloads.len() as u64 + 20));
    edges(rig)
}

fn edges(rig: &Rig) -> Edges {
    let edge = |kind: &EventKind| match kind {
        EventKind::SpeechStarted { at_ms } => Some((true, *at_ms)),
        EventKind::SpeechEnded { at_ms } => Some((false, *at_ms)),
        _ => None,
    };
    rig.events().filter_map(|(_, kind)| edge(kind)).collect()
}

/// A bot that says something once, from the caller's first frame on.
struct Bot(Vec<i16>);

impl ProcessorFactory for Bot {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Self(self.0.clone()))
    }
}

impl Processor for Bot {
    fn uplink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        cx.play(&std::mem::take(&mut self.0));
    }
}

fn assert_near(edges: &Edges, sentences: &[Range<u64>], tolerance_ms: u64, what: &str) {
    let expected = sentences.iter().flat_map(|it| [(true, it.start), (false, it.end)]);
    let expected: Edges = expected.collect();
    let kinds = |edges: &Edges| edges.iter().map(|(begins, _)| *begins).collect::<Vec<_>>();
    assert_eq!(kinds(edges), kinds(&expected), "{what}: {edges:?}, not {expected:?}");
    for ((_, at), (_, place)) in edges.iter().zip(&expected) {
        assert!(at.abs_diff(*place) <= tolerance_ms, "{what}: {edges:?}, not {expected:?}");
    }
}

#[test]
fn speech_begins_and_ends_where_it_does() {
    for format in [ULAW, SLIN16] {
        let (caller, sentences) = two_sentences(rate_of(format));
        for (word, detector) in DetectorKind::WORDS {
            let settings = VadSettings { detector, ..VadSettings::default() };
            let mut rig = rig(format, settings, Vec::new());
            let edges = told(&mut rig, format, &caller, |_| true);
            // To the level alone what dies away is speech until it is noise.
            let tolerance_ms = match detector {
                DetectorKind::Energy => 6 * TOLERANCE_MS,
                _ => TOLERANCE_MS,
            };
            assert_near(&edges, &sentences, tolerance_ms, &format!("{word} over {format}"));
        }
    }
}

#[test]
fn an_edge_is_told_as_soon_as_it_is_certain() {
    let (caller, sentences) = two_sentences(rate_of(ULAW));
    let mut rig = rig(ULAW, VadSettings::default(), Vec::new());
    told(&mut rig, ULAW, &caller, |_| true);
    let moments: Vec<Duration> = rig
        .events()
        .filter(|(_, kind)| {
            matches!(kind, EventKind::SpeechStarted { .. } | EventKind::SpeechEnded { .. })
        })
        .map(|(at, _)| at)
        .collect();
    let settings = VadSettings::default();
    // The least speech or silence, a frame of the detector and one of the call that are begun before
    // it, and two frames until the detector believes it.
    for (n, &moment) in moments.iter().enumerate() {
        let place = &sentences[n / 2];
        let (edge, least) = match n % 2 {
            0 => (place.start, settings.min_speech),
            _ => (place.end, settings.min_silence),
        };
        let late = moment.saturating_sub(ms(edge));
        // The first frame may have begun before the edge.
        assert!(late + ms(32) >= least, "edge {n} is told after {late:?}");
        assert!(late <= least + ms(32 + 20 + 64 + 64), "edge {n} is told after {late:?}");
    }
}

/// What the caller's telephone sends back of what the bot says.
fn echo_of(says: &[i16], rate: SampleRate, delay_ms: u64, gain: f64) -> Vec<i16> {
    let mut echo = quiet(rate, delay_ms);
    echo.extend(says.iter().map(|&sample| (f64::from(sample) * gain) as i16));
    echo.extend(quiet(rate, 1_500));
    echo
}

#[test]
fn an_echo_of_the_bot_is_no_speech_of_the_caller() {
    let rate = rate_of(ULAW);
    let says = speech(rate, 60.0);
    for delay_ms in [0, 40, 120, 200] {
        let echo = echo_of(&says, rate, delay_ms, 0.1);
        for (word, detector) in DetectorKind::WORDS {
            let settings = VadSettings { detector, ..VadSettings::default() };
            let mut while_it_speaks = rig(ULAW, settings.clone(), says.clone());
            let edges = told(&mut while_it_speaks, ULAW, &echo, |_| true);
            assert_eq!(edges, [], "{word}, an echo after {delay_ms} ms");
            // From somebody who hears nothing, it would be speech.
            let mut while_it_is_silent = rig(ULAW, settings, Vec::new());
            let edges = told(&mut while_it_is_silent, ULAW, &echo, |_| true);
            assert!(!edges.is_empty(), "{word}, after {delay_ms} ms");
        }
    }
}

#[test]
fn a_caller_who_speaks_while_the_bot_does_is_heard_above_the_echo() {
    let rate = rate_of(ULAW);
    // The bot goes on for ten seconds; the caller is 6 dB quieter, 14 dB above the echo.
    let says = [speech(rate, 60.0), speech(rate, 60.0)].concat();
    let (caller, sentences) = two_sentences(rate);
    let mut heard = echo_of(&says, rate, 60, 0.1);
    for (sample, caller) in heard.iter_mut().zip(&caller) {
        *sample = sample.saturating_add(caller / 2);
    }
    heard.truncate(caller.len());
    let mut rig = rig(ULAW, VadSettings::default(), says);
    let edges = told(&mut rig, ULAW, &heard, |_| true);
    let Some((true, at)) = edges.first() else { panic!("no begin in {edges:?}") };
    assert!(at.abs_diff(sentences[0].start) <= 120, "{at}, not {}", sentences[0].start);
}

#[test]
fn a_caller_much_quieter_than_the_bot_is_heard_where_no_echo_comes() {
    let rate = rate_of(ULAW);
    let says = [speech(rate, 60.0), speech(rate, 60.0)].concat();
    let (caller, sentences) = two_sentences(rate);
    // An echo might be as loud, as far as is known when the bot begins.
    let mut heard: Vec<i16> = caller.iter().map(|sample| sample / 8).collect();
    let edges_of = |heard: &[i16], tail_ms| {
        let settings = VadSettings { playing_tail: ms(tail_ms), ..VadSettings::default() };
        let mut rig = rig(ULAW, settings, says.clone());
        told(&mut rig, ULAW, heard, |_| true)
    };
    let edges = edges_of(&heard, 500);
    let Some((true, at)) = edges.first() else { panic!("no begin in {edges:?}") };
    assert!(at.abs_diff(sentences[0].start) <= 120, "{at}, not {}", sentences[0].start);
    // Where an echo may take so long that nothing could be measured yet, he may be one.
    assert_eq!(edges_of(&heard, 5_000), []);
    // Where one does come, as loud as he is, nobody can tell them apart.
    for (sample, echo) in heard.iter_mut().zip(echo_of(&says, rate, 120, 0.1)) {
        *sample = sample.saturating_add(echo);
    }
    assert_eq!(edges_of(&heard, 500), []);
}

/// A burst of noise that dies away.
fn cough(rate: SampleRate) -> Vec<i16> {
    let mut random = Random(3);
    let samples = rate.samples_in(ms(100));
    let shape = |n: u64| (-3.0 * n as f64 / samples as f64).exp();
    (0..samples).map(|n| (12_000.0 * shape(n) * (2.0 * random.unit() - 1.0)) as i16).collect()
}

#[test]
fn a_cough_is_no_speech() {
    for format in [ULAW, SLIN16] {
        let rate = rate_of(format);
        let mut caller = quiet(rate, 1_500);
        for _ in 0..3 {
            caller.extend(cough(rate));
            caller.extend(quiet(rate, 700));
        }
        for says in [Vec::new(), speech(rate, 60.0)] {
            let plays = !says.is_empty();
            let mut rig = rig(format, VadSettings::default(), says);
            let edges = told(&mut rig, format, &caller, |_| true);
            assert_eq!(edges, [], "{format}, the bot speaks: {plays}");
        }
    }
}

#[test]
fn lost_packets_neither_begin_nor_end_speech() {
    let (caller, sentences) = two_sentences(rate_of(ULAW));
    for seed in 0..5 {
        let mut random = Random(seed);
        let lost: Vec<bool> = (0..caller.len() / 160).map(|_| random.chance(0.1)).collect();
        assert!(lost.iter().filter(|lost| **lost).count() > 20);
        let mut rig = rig(ULAW, VadSettings::default(), Vec::new());
        let edges = told(&mut rig, ULAW, &caller, |n| !lost[n]);
        // The packet of an edge may be among them, and what is made up for it fades.
        assert_near(&edges, &sentences, TOLERANCE_MS + 40, &format!("losses of seed {seed}"));
    }
}

#[test]
fn a_sender_that_says_nothing_in_pauses_has_its_edges_too() {
    let rate = rate_of(ULAW);
    let (caller, sentences) = two_sentences(rate);
    let frame = frame_samples(rate);
    let is_spoken = |n: usize| {
        let at = (1_000 * n * frame / rate.hz() as usize) as u64;
        // Whole packets, and two more at each end.
        sentences.iter().any(|it| (it.start - 60..it.end + 40).contains(&at)) || n == 0
    };
    let mut rig = rig(ULAW, VadSettings::default(), Vec::new());
    let edges = told(&mut rig, ULAW, &caller, is_spoken);
    assert_near(&edges, &sentences, TOLERANCE_MS, "silence suppressed");
}

#[test]
fn the_end_is_told_even_if_nothing_comes_any_more() {
    let rate = rate_of(ULAW);
    let (mut caller, sentences) = two_sentences(rate);
    caller.truncate(rate.samples_in(ms(sentences[0].end)) as usize / 160 * 160);
    let mut rig = rig(ULAW, VadSettings::default(), Vec::new());
    told(&mut rig, ULAW, &caller, |_| true);
    rig.run_until(ms(sentences[0].end + 1_000));
    assert_near(&edges(&rig), &sentences[..1], TOLERANCE_MS, "the caller is gone");
}

#[test]
fn comfort_noise_is_no_speech_and_ends_it() {
    const COMFORT_NOISE: u8 = 13;
    let rate = rate_of(ULAW);
    let (caller, sentences) = two_sentences(rate);
    let end = sentences[0].end;
    let spoken = &caller[..rate.samples_in(ms(end + 20)) as usize / 160 * 160];
    for (level, says) in [(50, Vec::new()), (20, Vec::new()), (30, speech(rate, 60.0))] {
        let mut rig = rig(ULAW, VadSettings::default(), says);
        let mut sender = Sender::new(ULAW);
        let payloads = payloads(ULAW, rate, &opus::Settings::default(), spoken);
        for (n, payload) in payloads.iter().enumerate() {
            rig.datagram(ms(20 * n as u64), &sender.carry(payload, 160));
        }
        let pause = ms(20 * payloads.len() as u64);
        rig.datagram(pause, &sender.side(COMFORT_NOISE, &[level]));
        rig.run_until(pause + ms(5_000));
        let edges = edges(&rig);
        assert_near(&edges, &sentences[..1], 120, &format!("noise of −{level} dBov"));
    }
}

#[test]
fn speech_ends_where_the_detector_is_switched_off_and_begins_anew_where_it_is_on() {
    let rate = rate_of(ULAW);
    let (caller, [first, second]) = two_sentences(rate);
    let vad = Arc::new(VadFactory::default());
    let processors: Vec<Arc<dyn ProcessorFactory>> = vec![Arc::new(Switch("1")), vad];
    let mut rig = Rig::rtp_through(ULAW, MediaSettings::default(), processors);
    let mut sender = Sender::new(ULAW);
    // In the middle of the first sentence, and where it is over.
    let (off, on) = (first.start + 400, first.end + 100);
    for (n, payload) in payloads(ULAW, rate, &opus::Settings::default(), &caller).iter().enumerate()
    {
        let at = 20 * n as u64;
        for (moment, pressed) in [(off, '0'), (on, '1')] {
            if (at..at + 20).contains(&moment) {
                rig.input(ms(at), key(pressed));
            }
        }
        rig.datagram(ms(at), &sender.carry(payload, 160));
        if at > off + 20 && at < on {
            assert_eq!(edges(&rig).len(), 2, "its end is told when it is switched off");
        }
    }
    rig.run_until(ms(20_000));
    let expected = [first.start..off, second];
    assert_near(&edges(&rig), &expected, TOLERANCE_MS, "switched off and on");
}

#[test]
fn the_json_form_has_the_place() {
    for (kind, expected) in [
        (EventKind::SpeechStarted { at_ms: 1_240 }, r#"{"type":"speech_started","at_ms":1240}"#),
        (EventKind::SpeechEnded { at_ms: 2_480 }, r#"{"type":"speech_ended","at_ms":2480}"#),
    ] {
        assert_eq!(serde_json::to_string(&kind).expect("it has a JSON form"), expected);
    }
}
