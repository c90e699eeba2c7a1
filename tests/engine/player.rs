//! The processor that plays files and tones, in virtual time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, SampleRate};
use sidetone::call::{CallInfo, Transport};
use sidetone::dsp::g711;
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::player::{
    LoadPrompt, PlaySpec, PlayerFactory, PlayerSettings, Prompt, PromptError,
};
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};

use crate::driver::{Rig, Sender, call, ms};

const FORMAT: MediaFormat = MediaFormat::Ulaw;

/// Files that are there, or come later, by name.
#[derive(Default)]
struct Shelf(Mutex<HashMap<String, Arc<Prompt>>>);

impl Shelf {
    fn prompt(&self, name: &str) -> Arc<Prompt> {
        let mut prompts = self.0.lock().expect("nobody panicked");
        Arc::clone(prompts.entry(name.to_owned()).or_default())
    }
}

impl LoadPrompt for Shelf {
    fn load(&self, name: &str, rate: SampleRate) -> Arc<Prompt> {
        assert_eq!(rate, SampleRate::HZ_8000);
        self.prompt(name)
    }
}

/// Samples that µ-law keeps as they are, 100 ms of each of so many levels.
fn steps(count: i16) -> Vec<i16> {
    let kept = |level: i16| {
        let (mut code, mut back) = ([0], [0]);
        g711::ulaw_encode(&[level], &mut code);
        g711::ulaw_decode(&code, &mut back);
        back[0]
    };
    (1..=count).flat_map(|n| [kept(1_000 * n); 800]).collect()
}

fn player(play: &str, looped: bool, shelf: &Arc<Shelf>) -> Arc<dyn ProcessorFactory> {
    let play: Option<PlaySpec> = Some(play.parse().expect("something to play"));
    let settings = PlayerSettings { play, looped, ..PlayerSettings::default() };
    Arc::new(PlayerFactory::new(settings, Arc::clone(shelf) as Arc<dyn LoadPrompt>))
}

fn rig(processors: Vec<Arc<dyn ProcessorFactory>>) -> Rig {
    Rig::rtp_through(FORMAT, MediaSettings::default(), processors)
}

/// What the caller hears from the first sound on, at most so many samples, and when that begins.
fn heard(rig: &Rig, most: usize) -> (Duration, Vec<i16>) {
    let audible = |payload: &[u8]| payload.iter().any(|code| *code != 0xff);
    let mut packets = rig.packets().skip_while(|(_, packet)| !audible(packet.payload())).peekable();
    let began = packets.peek().expect("something is heard").0;
    let codes: Vec<u8> = packets.flat_map(|(_, packet)| packet.payload().to_vec()).collect();
    let mut samples = vec![0; codes.len()];
    g711::ulaw_decode(&codes, &mut samples);
    samples.truncate(most);
    (began, samples)
}

#[test]
fn a_file_is_played_whole_from_the_callers_first_audio_on() {
    let shelf = Arc::new(Shelf::default());
    let file = steps(10);
    shelf.prompt("hello.wav").set(Ok(file[..].into()));
    let mut rig = rig(vec![player("hello.wav", false, &shelf)]);
    let mut sender = Sender::new(FORMAT);
    rig.run_until(ms(305));
    rig.datagram(ms(305), &sender.packet());
    rig.run_until(ms(3_000));
    // The next tick fills the queue, the one behind it takes of that.
    let (began, samples) = heard(&rig, file.len());
    assert_eq!((began, samples), (ms(340), file));
    assert_eq!(rig.count(|kind| matches!(kind, EventKind::PlaybackDone)), 1);
    let done = rig.events().find(|(_, kind)| matches!(kind, EventKind::PlaybackDone));
    assert_eq!(done.map(|(at, _)| at), Some(ms(340 + 980)));
    assert_eq!(rig.stats().playbacks_failed, 0);
}

#[test]
fn a_caller_who_says_nothing_hears_it_after_a_second() {
    let shelf = Arc::new(Shelf::default());
    let mut rig = rig(vec![player("tone:425/1000,0/4000", true, &shelf)]);
    rig.run_until(ms(13_000));
    let (began, samples) = heard(&rig, 80_000);
    assert!((ms(1_000)..=ms(1_040)).contains(&began), "{began:?}");
    // A second of tone, four of silence, twice.
    for round in samples.chunks(40_000) {
        assert!(
            round[80..7_920].chunks(20).all(|piece| piece.iter().any(|s| s.unsigned_abs() > 3_000))
        );
        assert!(round[8_000..].iter().all(|&sample| sample == 0));
    }
}

#[test]
fn a_file_that_is_still_being_read_is_waited_for() {
    let shelf = Arc::new(Shelf::default());
    let mut rig = rig(vec![player("late.wav", false, &shelf)]);
    rig.datagram(ms(5), &Sender::new(FORMAT).packet());
    rig.run_until(ms(2_000));
    assert_eq!(rig.events().count(), 2, "the call, and its media");
    shelf.prompt("late.wav").set(Ok(steps(3).into()));
    rig.run_until(ms(3_000));
    assert_eq!(heard(&rig, 2_400), (ms(2_040), steps(3)));
}

#[test]
fn what_cannot_be_played_is_told_once_and_the_call_goes_on() {
    let shelf = Arc::new(Shelf::default());
    let error = PromptError::Outside { name: "../x".to_owned() };
    shelf.prompt("../x").set(Err(error.clone()));
    let mut rig = rig(vec![player("../x", true, &shelf)]);
    rig.run_until(ms(5_000));
    let told: Vec<_> = rig
        .events()
        .filter_map(|(_, kind)| match kind {
            EventKind::PlaybackFailed { source, error } => Some((source.clone(), error.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [("../x".to_owned(), error.to_string())]);
    assert_eq!(rig.stats().playbacks_failed, 1);
    assert_eq!(rig.sent().count(), 251);
}

#[test]
fn a_call_says_itself_what_it_hears() {
    let shelf = Arc::new(Shelf::default());
    shelf.prompt("mine.wav").set(Ok(steps(2).into()));
    let factory = player("other.wav", false, &shelf);
    let mut info: CallInfo = call(Transport::Rtp, Some(FORMAT));
    for (play, expected) in [("mine.wav", None), ("tone:x", Some("tone:x"))] {
        info.parameters.insert("play".to_owned(), play.to_owned());
        let wrapped: Arc<dyn ProcessorFactory> =
            Arc::new(Fixed { info: info.clone(), factory: Arc::clone(&factory) });
        let mut rig = rig(vec![wrapped]);
        rig.run_until(ms(3_000));
        let failed = rig.events().find_map(|(_, kind)| match kind {
            EventKind::PlaybackFailed { source, .. } => Some(source.clone()),
            _ => None,
        });
        assert_eq!(failed.as_deref(), expected);
        if expected.is_none() {
            assert_eq!(heard(&rig, 1_600).1, steps(2));
        }
    }
}

/// Makes another factory's processors for a call of its own.
struct Fixed {
    info: CallInfo,
    factory: Arc<dyn ProcessorFactory>,
}

impl ProcessorFactory for Fixed {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        self.factory.create(&Setup { call: &self.info, ..*setup })
    }
}

/// Clears the queue at the n-th frame of the caller's audio.
struct Interrupts(u32);

impl ProcessorFactory for Interrupts {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Self(self.0))
    }
}

impl Processor for Interrupts {
    fn uplink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            cx.clear();
        }
    }
}

#[test]
fn whoever_clears_the_queue_stops_it_at_once_and_for_good() {
    let shelf = Arc::new(Shelf::default());
    let processors: Vec<Arc<dyn ProcessorFactory>> =
        vec![player("tone:425/1000", true, &shelf), Arc::new(Interrupts(2))];
    let mut rig = rig(processors);
    let mut sender = Sender::new(FORMAT);
    rig.datagram(ms(5), &sender.packet());
    rig.datagram(ms(505), &sender.packet());
    rig.run_until(ms(3_000));
    let audible = rig.packets().filter(|(_, packet)| packet.payload().iter().any(|c| *c != 0xff));
    let last = audible.last().map(|(at, _)| at);
    // In the frame behind it, its last 4 ms fade out.
    assert_eq!(last, Some(ms(520)));
}
