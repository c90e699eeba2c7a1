//! The processor that lets the caller talk with a bot, in virtual time; the bot is the test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, SampleRate};
use sidetone::call::EndReason;
use sidetone::dsp::g711;
use sidetone::engine::{Command, Input};
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::bot::{
    BargeIn, Behaviour, BotFactory, BotLine, ClearReason, Fallback, Notice, OpenBot, Order,
    PlaybackState, Told, Wish,
};
use sidetone::processor::player::{LoadPrompt, Prompt};
use sidetone::processor::{Context, Piece, PieceLine, Processor, ProcessorFactory, Setup};

use crate::driver::{Rig, Sender, ms};

const FORMAT: MediaFormat = MediaFormat::Ulaw;
const RATE: SampleRate = SampleRate::HZ_8000;
/// A level that µ-law keeps as it is: of the segment of 256 in 16-bit samples, in the middle of a step
/// (G.711, table 2a).
const LEVEL: i16 = 7_932;

/// What the call's queue holds.
const QUEUE: Duration = ms(5_000);

/// What the call has told the bot, and what the bot wants.
#[derive(Default)]
struct Desk {
    told: Vec<Told>,
    orders: VecDeque<Order>,
    queued: usize,
    discarded: usize,
    closed: bool,
}

struct Line(Arc<Mutex<Desk>>);

impl PieceLine for Line {
    fn piece(&mut self) -> Piece {
        Piece::new(RATE)
    }

    fn push(&mut self, piece: Piece) {
        self.0.lock().unwrap().told.push(Told::Audio(piece));
    }
}

impl BotLine for Line {
    fn tell(&mut self, media_ms: u64, notice: Notice) {
        self.0.lock().unwrap().told.push(Told::Notice { media_ms, notice });
    }

    fn poll(&mut self) -> Option<Order> {
        self.0.lock().unwrap().orders.pop_front()
    }

    fn set_queued(&mut self, samples: usize) {
        self.0.lock().unwrap().queued = samples;
    }

    fn discarded(&mut self, samples: usize) {
        self.0.lock().unwrap().discarded += samples;
    }

    fn close(self: Box<Self>) {
        self.0.lock().unwrap().closed = true;
    }
}

struct Bots(Arc<Mutex<Desk>>);

impl OpenBot for Bots {
    fn rate(&self, call: SampleRate) -> SampleRate {
        call
    }

    fn chunk(&self) -> Duration {
        ms(20)
    }

    fn open(&self, _setup: &Setup<'_>, _rate: SampleRate) -> Box<dyn BotLine> {
        Box::new(Line(Arc::clone(&self.0)))
    }
}

struct NoFiles;

impl LoadPrompt for NoFiles {
    fn load(&self, _name: &str, _rate: SampleRate) -> Arc<Prompt> {
        Arc::default()
    }
}

/// Stands in for a detector: tells speech from one moment to another.
#[derive(Clone, Copy)]
struct Speaks {
    from: Duration,
    to: Duration,
}

impl ProcessorFactory for Speaks {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Speaking { when: *self, told: 0 })
    }
}

struct Speaking {
    when: Speaks,
    /// How many of the two events.
    told: u8,
}

impl Processor for Speaking {
    fn downlink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let now = cx.rate().duration_of(cx.now().0);
        let at_ms = u64::try_from(now.as_millis()).unwrap();
        if self.told == 0 && now >= self.when.from {
            self.told = 1;
            cx.emit(EventKind::SpeechStarted { at_ms });
        }
        if self.told == 1 && now >= self.when.to {
            self.told = 2;
            cx.emit(EventKind::SpeechEnded { at_ms });
        }
    }
}

struct Talk {
    rig: Rig,
    desk: Arc<Mutex<Desk>>,
}

fn talk(behaviour: Behaviour, speaks: Option<Speaks>) -> Talk {
    let desk: Arc<Mutex<Desk>> = Arc::default();
    let bots = Arc::new(Bots(Arc::clone(&desk)));
    let factory = BotFactory::new(behaviour, bots, Arc::new(NoFiles));
    let mut processors: Vec<Arc<dyn ProcessorFactory>> = vec![Arc::new(factory)];
    processors.extend(speaks.map(|speaks| Arc::new(speaks) as Arc<dyn ProcessorFactory>));
    let settings = MediaSettings { playout_max_queue: QUEUE, ..MediaSettings::default() };
    Talk { rig: Rig::rtp_through(FORMAT, settings, processors), desk }
}

fn barge_in(barge_in: BargeIn, speaks: Speaks) -> Talk {
    let behaviour = Behaviour { barge_in, confirm: ms(200), ..Behaviour::default() };
    talk(behaviour, Some(speaks))
}

impl Talk {
    fn order(&mut self, at: Duration, orders: impl IntoIterator<Item = Order>) {
        self.rig.run_until(at);
        self.desk.lock().unwrap().orders.extend(orders);
        self.rig.input(at, Input::Command(Command::Wake));
    }

    fn wish(&mut self, at: Duration, wishes: impl IntoIterator<Item = Wish>) {
        self.order(at, wishes.into_iter().map(Order::Wish));
    }

    /// What the bot was told besides audio, and when.
    fn notices(&self) -> Vec<(u64, Notice)> {
        let desk = self.desk.lock().unwrap();
        let notices = desk.told.iter().filter_map(|told| match told {
            Told::Notice { media_ms, notice } => Some((*media_ms, notice.clone())),
            Told::Audio(_) => None,
        });
        notices.collect()
    }

    fn playbacks(&self) -> Vec<(PlaybackState, u64, u64)> {
        let told = self.notices().into_iter().filter_map(|(_, notice)| match notice {
            Notice::Playback { state, played_ms, discarded_ms } => {
                Some((state, played_ms, discarded_ms))
            }
            _ => None,
        });
        told.collect()
    }

    fn marks(&self) -> Vec<(String, bool)> {
        let told = self.notices().into_iter().filter_map(|(_, notice)| match notice {
            Notice::Mark { name, played } => Some((name, played)),
            _ => None,
        });
        told.collect()
    }

    /// The loudest sample of each frame that the caller heard.
    fn levels(&self) -> Vec<(Duration, i16)> {
        let level = |payload: &[u8]| {
            let mut samples = vec![0; payload.len()];
            g711::ulaw_decode(payload, &mut samples);
            samples.iter().map(|sample| sample.saturating_abs()).max().unwrap_or(0)
        };
        self.rig.packets().map(|(at, packet)| (at, level(packet.payload()))).collect()
    }

    /// How long the caller heard the bot at its full level.
    fn heard(&self) -> Duration {
        ms(20) * u32::try_from(self.levels().iter().filter(|(_, l)| *l == LEVEL).count()).unwrap()
    }
}

fn audio(span: Duration) -> Wish {
    Wish::Audio(vec![LEVEL; RATE.length_of(span)])
}

#[test]
fn the_bot_hears_all_of_the_caller_with_silence_where_nothing_came() {
    let mut talk = talk(Behaviour::default(), None);
    let mut sender = Sender::new(FORMAT);
    let mut said = Vec::new();
    for n in 0..20_u64 {
        let packet = sender.packet();
        said.extend(sidetone::wire::RtpPacket::parse(&packet).unwrap().payload().to_vec());
        talk.rig.datagram(ms(100 + 20 * n), &packet);
    }
    talk.rig.run_until(ms(2_000));
    let desk = talk.desk.lock().unwrap();
    let mut next = 0;
    let mut heard = Vec::new();
    for told in &desk.told {
        let Told::Audio(piece) = told else { continue };
        assert_eq!(piece.position.0, next, "no gap, no overlap");
        next = piece.end().0;
        heard.extend_from_slice(&piece.samples);
    }
    // What was not sent within its time is silence; the last piece waits for its end.
    let until = RATE.length_of(ms(2_000 - 300));
    assert!((until - 320..=until).contains(&heard.len()), "{}", heard.len());
    let first = heard.iter().position(|sample| *sample != 0).expect("the caller");
    let mut samples = vec![0; said.len()];
    g711::ulaw_decode(&said, &mut samples);
    let lead = samples.iter().position(|sample| *sample != 0).unwrap();
    assert!(heard[first - lead..].starts_with(&samples));
    assert!(heard[first - lead + samples.len()..].iter().all(|sample| *sample == 0));
}

#[test]
fn a_bots_audio_is_played_in_order_with_its_marks() {
    let mut talk = talk(Behaviour::default(), None);
    talk.order(ms(105), [Order::Connected]);
    let mark = |name: &str| Wish::Mark(name.to_owned());
    let wishes =
        [mark("first"), audio(ms(33)), audio(ms(27)), mark("half"), audio(ms(40)), mark("end")];
    talk.wish(ms(105), wishes);
    talk.rig.run_until(ms(1_000));
    assert_eq!(talk.heard(), ms(100));
    let marks: Vec<_> = talk
        .notices()
        .into_iter()
        .filter_map(|(at, notice)| match notice {
            Notice::Mark { name, played: true } => Some((at, name)),
            _ => None,
        })
        .collect();
    let times: Vec<_> = marks.iter().map(|(at, _)| *at).collect();
    assert_eq!(
        marks.iter().map(|(_, name)| &name[..]).collect::<Vec<_>>(),
        ["first", "half", "end"]
    );
    assert_eq!((times[1] - times[0], times[2] - times[1]), (55, 40), "each as it is sent");
    assert_eq!(talk.playbacks(), [(PlaybackState::Done, 100, 0)]);
}

#[test]
fn more_than_the_queue_holds_waits_and_is_played_whole() {
    let mut talk = talk(Behaviour::default(), None);
    talk.wish(ms(105), [audio(ms(4_000)), audio(ms(3_000)), Wish::Mark("end".to_owned())]);
    assert_eq!(talk.desk.lock().unwrap().queued, RATE.length_of(ms(7_000)));
    talk.rig.run_until(ms(9_000));
    assert_eq!(talk.heard(), ms(7_000));
    assert_eq!(talk.marks(), [("end".to_owned(), true)]);
    assert_eq!(talk.playbacks(), [(PlaybackState::Done, 7_000, 0)]);
    // Water that is higher than the queue is at its brim, and low water below that.
    let flow: Vec<_> = talk.notices().into_iter().map(|(_, notice)| notice).collect();
    assert!(matches!(flow[0], Notice::Xoff { queued_ms: 4_900..=5_000 }), "{:?}", flow[0]);
    assert!(matches!(flow[1], Notice::Xon { queued_ms: 4_900..=5_000 }), "{:?}", flow[1]);
    assert_eq!(talk.desk.lock().unwrap().queued, 0);
}

#[test]
fn clear_throws_away_what_waits_and_tells_what_was_played() {
    let mut talk = talk(Behaviour::default(), None);
    let end = || Wish::Mark("end".to_owned());
    talk.wish(ms(105), [audio(ms(4_000)), audio(ms(3_000)), end()]);
    talk.wish(ms(1_110), [Wish::Clear, audio(ms(100)), end()]);
    talk.rig.run_until(ms(3_000));
    let [(PlaybackState::Cleared(ClearReason::Asked), played, discarded), done] =
        talk.playbacks()[..]
    else {
        panic!("{:?}", talk.playbacks());
    };
    assert_eq!(played + discarded, 7_000);
    assert!((1_000..=1_020).contains(&played), "{played}");
    assert_eq!(done, (PlaybackState::Done, 100, 0));
    assert_eq!(talk.marks(), [("end".to_owned(), false), ("end".to_owned(), true)]);
    // Of what was cleared 4 ms fade out, so that what is new begins and ends within a frame.
    let heard = u64::try_from(talk.heard().as_millis()).unwrap();
    assert!((played + 80..=played + 120).contains(&heard), "{heard} of {played} + 100");
}

#[test]
fn speech_over_the_bot_clears_it_within_a_frame_and_what_comes_late_of_it_is_not_played() {
    let mut talk = barge_in(BargeIn::AutoClear, Speaks { from: ms(500), to: ms(900) });
    talk.wish(ms(105), [audio(ms(2_000)), Wish::Mark("a".to_owned())]);
    // The rest of an answer that the bot had not sent when the caller spoke.
    talk.wish(ms(700), [audio(ms(1_000)), Wish::Mark("b".to_owned())]);
    talk.wish(ms(1_000), [audio(ms(100)), Wish::Mark("c".to_owned())]);
    talk.rig.run_until(ms(3_000));
    let started = talk.rig.events().find(|(_, e)| matches!(e, EventKind::SpeechStarted { .. }));
    let started = started.expect("speech").0;
    let full = |from: Duration, to: Duration| {
        talk.levels().iter().filter(|(at, l)| *at > from && *at <= to && *l == LEVEL).count()
    };
    assert_eq!(full(started + ms(20), ms(1_000)), 0, "nothing but a frame that fades");
    assert_eq!(full(ms(1_000), ms(3_000)), 5, "and then what is new");
    assert_eq!(talk.desk.lock().unwrap().discarded, RATE.length_of(ms(1_000)));
    let marks = [("a", false), ("b", false), ("c", true)];
    assert_eq!(talk.marks(), marks.map(|(name, played)| (name.to_owned(), played)));
    let (state, played, discarded) = talk.playbacks()[0];
    assert_eq!(state, PlaybackState::Cleared(ClearReason::BargeIn));
    assert_eq!(played + discarded, 2_000);
}

#[test]
fn a_bot_that_clears_by_itself_is_heard_again_while_the_caller_speaks() {
    let mut talk = barge_in(BargeIn::AutoClear, Speaks { from: ms(500), to: ms(2_000) });
    talk.wish(ms(105), [audio(ms(2_000))]);
    talk.wish(ms(700), [audio(ms(1_000)), Wish::Clear, audio(ms(100))]);
    talk.rig.run_until(ms(1_500));
    let late = talk.levels().iter().filter(|(at, l)| *at > ms(700) && *l == LEVEL).count();
    assert_eq!(late, 5);
}

#[test]
fn speech_while_the_bot_is_silent_clears_nothing() {
    let mut talk = barge_in(BargeIn::AutoClear, Speaks { from: ms(500), to: ms(900) });
    talk.wish(ms(105), [audio(ms(100))]);
    talk.wish(ms(600), [audio(ms(500))]);
    talk.rig.run_until(ms(2_000));
    assert_eq!(talk.heard(), ms(600));
    let states: Vec<_> = talk.playbacks().iter().map(|(state, ..)| *state).collect();
    assert_eq!(states, [PlaybackState::Done; 2]);
}

#[test]
fn a_false_alarm_only_lowers_what_is_played_and_speech_clears_it() {
    for (to, states) in [
        (600, &[PlaybackState::Held, PlaybackState::Resumed, PlaybackState::Done][..]),
        (900, &[PlaybackState::Held, PlaybackState::Cleared(ClearReason::BargeIn)]),
    ] {
        let mut talk = barge_in(BargeIn::Duck, Speaks { from: ms(500), to: ms(to) });
        talk.wish(ms(105), [audio(ms(2_000))]);
        talk.rig.run_until(ms(3_000));
        let told: Vec<_> = talk.playbacks().iter().map(|(state, ..)| *state).collect();
        assert_eq!(told, states);
        // 20 dB lower.
        let low = talk.levels().iter().filter(|(_, l)| (700..900).contains(l)).count();
        assert!(low >= 4, "{low} frames were lowered");
        if to == 600 {
            assert!(talk.heard() >= ms(2_000 - 160), "{:?}", talk.heard());
        }
    }
}

#[test]
fn a_false_alarm_goes_on_where_it_stopped_and_speech_clears_it() {
    for (to, whole) in [(600, true), (900, false)] {
        let mut talk = barge_in(BargeIn::Pause, Speaks { from: ms(500), to: ms(to) });
        talk.wish(ms(105), [audio(ms(2_000)), Wish::Mark("end".to_owned())]);
        talk.rig.run_until(ms(3_000));
        assert_eq!(talk.marks(), [("end".to_owned(), whole)]);
        let levels = talk.levels();
        let silent =
            levels.iter().filter(|(at, l)| (ms(540)..ms(600)).contains(at) && *l == 0).count();
        assert!(silent >= 2, "it stopped");
        let (state, played, discarded) = *talk.playbacks().last().unwrap();
        assert_eq!((state == PlaybackState::Done, played + discarded), (whole, 2_000));
    }
}

#[test]
fn notify_leaves_it_to_the_bot() {
    let mut talk = barge_in(BargeIn::Notify, Speaks { from: ms(500), to: ms(900) });
    talk.wish(ms(105), [audio(ms(2_000))]);
    talk.rig.run_until(ms(3_000));
    assert_eq!(talk.heard(), ms(2_000));
    let speech: Vec<_> = talk
        .notices()
        .into_iter()
        .filter(|(_, n)| matches!(n, Notice::SpeechStarted { .. } | Notice::SpeechEnded { .. }))
        .collect();
    assert_eq!(speech.len(), 2);
}

#[test]
fn a_bot_that_hangs_up_behind_its_last_words_is_heard_to_the_end() {
    for (wishes, heard) in [
        (vec![audio(ms(500)), Wish::Hangup { after_playout: true }], 500),
        (vec![audio(ms(500)), Wish::Hangup { after_playout: false }], 0),
        (vec![Wish::Hangup { after_playout: true }], 0),
    ] {
        let mut talk = talk(Behaviour::default(), None);
        talk.wish(ms(105), wishes);
        talk.rig.run_until(ms(2_000));
        assert_eq!(talk.rig.ended(), EndReason::Processor);
        assert_eq!(talk.heard(), ms(heard));
        let desk = talk.desk.lock().unwrap();
        assert!(desk.closed);
        let stop = Notice::Stop { reason: EndReason::Processor };
        assert!(matches!(desk.told.last(), Some(Told::Notice { notice, .. }) if *notice == stop));
    }
}

#[test]
fn a_bot_that_has_ended_the_talk_is_heard_to_the_end_and_then_the_call_ends() {
    let mut talk = talk(Behaviour::default(), None);
    talk.order(ms(105), [Order::Wish(audio(ms(500))), Order::Ended, Order::Wish(audio(ms(500)))]);
    talk.rig.run_until(ms(2_000));
    assert_eq!((talk.rig.ended(), talk.heard()), (EndReason::Processor, ms(500)));
}

#[test]
fn the_caller_is_kept_company_until_there_is_a_bot_and_again_when_it_is_lost() {
    let comfort = Some("tone:425/100,0/100".parse().unwrap());
    let behaviour = Behaviour { comfort, comfort_after: ms(300), ..Behaviour::default() };
    let mut talk = talk(behaviour, None);
    talk.order(ms(1_000), [Order::Connected]);
    talk.order(ms(2_000), [Order::Lost]);
    talk.rig.run_until(ms(3_000));
    let audible = |from, to| {
        talk.levels().iter().any(|(at, l)| (ms(from)..ms(to)).contains(at) && *l > 1_000)
    };
    let heard = [(0, 300), (320, 1_000), (1_120, 2_300), (2_320, 3_000)];
    assert_eq!(heard.map(|(from, to)| audible(from, to)), [false, true, false, true]);
    assert_eq!(talk.playbacks(), [], "that is none of the bot's");
}

#[test]
fn a_call_whose_bot_is_given_up_hears_the_fallback_and_ends() {
    let play = Some("tone:425/300".parse().unwrap());
    let fallback = Fallback { play, destination: None };
    let mut talk = talk(Behaviour { fallback, ..Behaviour::default() }, None);
    talk.wish(ms(100), [Wish::Pause]);
    talk.order(ms(1_000), [Order::GaveUp]);
    talk.rig.run_until(ms(3_000));
    let audible = talk.levels().iter().filter(|(_, l)| *l > 1_000).count();
    assert!((14..=16).contains(&audible), "{audible} frames");
    assert_eq!(talk.rig.ended(), EndReason::Processor);
}

#[test]
fn what_cannot_be_done_is_refused_and_the_call_goes_on() {
    let mut talk = talk(Behaviour::default(), None);
    let wishes = [
        Wish::Transfer(sidetone::call::Destination::default()),
        Wish::SendDtmf("12".to_owned()),
        Wish::Processor { name: "recorder".to_owned(), on: false },
        Wish::Play { source: "tone:x".to_owned(), looped: false },
    ];
    talk.wish(ms(105), wishes);
    talk.rig.run_until(ms(500));
    let refused: Vec<_> = talk
        .notices()
        .into_iter()
        .filter_map(|(_, notice)| match notice {
            Notice::Refused { wish, .. } => Some(wish),
            _ => None,
        })
        .collect();
    assert_eq!(refused, ["transfer", "send_dtmf", "processor", "play"]);
    assert_eq!(talk.rig.events().count(), 1, "the call began, and nothing else");
}
