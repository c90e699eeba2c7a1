use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ear::Ear;
use super::floor::{Floor, Move};
use super::voice::{Item, Voice};
use super::{
    BargeIn, Behaviour, BotLine, ClearReason, Fallback, Notice, OpenBot, Order, PlaybackState, Wish,
};
use crate::audio::{AudioFrame, Origin, Position, SampleRate};
use crate::call::CallInfo;
use crate::event::{EventKind, whole_millis};
use crate::media::QueueLevel;
use crate::processor::player::{Fed, LoadPrompt, PlaySource, PlaySpec};
use crate::processor::{Context, End, Processor, ProcessorFactory, Setup};

/// A bot that was heard within this time speaks, even if nothing waits: it may speak in real time.
const SPEAKS: Duration = Duration::from_millis(200);

/// Makes a processor per call that lets the caller talk with a bot.
#[derive(Clone)]
pub struct BotFactory {
    settings: Arc<Behaviour>,
    lines: Arc<dyn OpenBot>,
    prompts: Arc<dyn LoadPrompt>,
}

impl BotFactory {
    /// A factory whose processors speak with what `lines` opens, and play files by way of `prompts`.
    #[must_use]
    pub fn new(settings: Behaviour, lines: Arc<dyn OpenBot>, prompts: Arc<dyn LoadPrompt>) -> Self {
        Self { settings: Arc::new(settings), lines, prompts }
    }
}

impl fmt::Debug for BotFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotFactory").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ProcessorFactory for BotFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let rate = self.lines.rate(setup.rate);
        let line = self.lines.open(setup, rate);
        let chunk_samples = rate.length_of(self.lines.chunk()).max(1);
        let settings = Arc::clone(&self.settings);
        let confirm = setup.rate.samples_in(settings.confirm);
        Box::new(Bot {
            line: Some(line),
            ear: Ear::new(rate, chunk_samples),
            floor: Floor::new(settings.barge_in, confirm),
            settings,
            prompts: Arc::clone(&self.prompts),
            voice: Voice::default(),
            spoke: None,
            playing: false,
            clearing: None,
            held: false,
            paused: false,
            queued: 0,
            watching: false,
            absent_since: Some(Position::default()),
            comfort: None,
            is_over: false,
        })
    }
}

/// One call's talk with its bot, as far as it is on the shard.
struct Bot {
    settings: Arc<Behaviour>,
    prompts: Arc<dyn LoadPrompt>,
    /// Taken by the end of the call.
    line: Option<Box<dyn BotLine>>,
    ear: Ear,
    voice: Voice,
    floor: Floor,
    /// When a frame of what is played left last.
    spoke: Option<Position>,
    /// A playback of the bot's is under way, whose end it is told.
    playing: bool,
    /// What was thrown away, and is not told yet: why, and how much had not come to the queue.
    clearing: Option<(ClearReason, Duration)>,
    /// We have lowered or stopped what is played.
    held: bool,
    /// The bot has stopped it.
    paused: bool,
    /// What the line was told last.
    queued: usize,
    watching: bool,
    /// Since when there is no bot, while one is expected.
    absent_since: Option<Position>,
    comfort: Option<PlaySource>,
    /// The bot has ended the talk, or was given up.
    is_over: bool,
}

impl Bot {
    fn tell(&mut self, notice: Notice, cx: &Context<'_>) {
        let media_ms = whole_millis(cx.rate().duration_of(cx.now().0));
        if let Some(line) = &mut self.line {
            line.tell(media_ms, notice);
        }
    }

    fn refuse(&mut self, wish: &'static str, reason: String, cx: &Context<'_>) {
        self.tell(Notice::Refused { wish, reason }, cx);
    }

    fn obey(&mut self, order: Order, cx: &mut Context<'_>) {
        match order {
            Order::Wish(wish) => self.grant(wish, cx),
            Order::Tell(event) => cx.emit(event),
            Order::Connected => {
                self.absent_since = None;
                self.comfort = None;
            }
            Order::Lost => {
                self.absent_since = Some(cx.now());
            }
            Order::Ended => {
                self.leave();
                self.voice.push(Item::Hangup);
            }
            Order::GaveUp => {
                self.leave();
                self.fall_back(cx);
            }
        }
    }

    fn leave(&mut self) {
        self.is_over = true;
        self.absent_since = None;
        self.comfort = None;
    }

    fn fall_back(&mut self, cx: &mut Context<'_>) {
        let Fallback { play, destination } = self.settings.fallback.clone();
        // Nobody is there to go on with what was stopped.
        self.make(Move::Release, cx);
        cx.resume();
        if let Some(spec) = play {
            self.push_source(&spec, false, cx);
        }
        self.voice.push(destination.map_or(Item::Hangup, Item::Leave));
    }

    fn push_source(&mut self, spec: &PlaySpec, looped: bool, cx: &Context<'_>) {
        let source = PlaySource::new(spec, looped, cx.rate(), &*self.prompts);
        self.voice.push(Item::Source { name: spec.to_string(), source });
    }

    fn grant(&mut self, wish: Wish, cx: &mut Context<'_>) {
        let name = wish.name();
        match wish {
            Wish::Audio(samples) if self.floor.is_taken() => {
                if let Some(line) = &mut self.line {
                    line.discarded(samples.len());
                }
            }
            Wish::Mark(name) if self.floor.is_taken() => {
                self.tell(Notice::Mark { name, played: false }, cx);
            }
            Wish::Play { .. } | Wish::Hangup { after_playout: true } if self.floor.is_taken() => {
                let reason = "the caller speaks, and what was before it was thrown away";
                self.refuse(name, reason.to_owned(), cx);
            }
            Wish::Audio(samples) => {
                self.playing = true;
                self.voice.push(Item::Audio { samples, gone: 0 });
            }
            Wish::Mark(name) => self.voice.push(Item::Mark(name)),
            Wish::Play { source, looped } => match source.parse() {
                Ok(spec) => {
                    self.playing = true;
                    self.push_source(&spec, looped, cx);
                }
                Err(error) => self.refuse(name, error.to_string(), cx),
            },
            Wish::Hangup { after_playout: true } => self.voice.push(Item::Hangup),
            Wish::Hangup { after_playout: false } => cx.hangup(),
            Wish::Clear => {
                let release = self.floor.cleared();
                self.make(release, cx);
                self.clear(ClearReason::Asked, cx);
            }
            Wish::Pause => {
                self.paused = true;
                cx.pause();
            }
            Wish::Resume => {
                self.paused = false;
                // While the caller has the floor, it goes on when that is over.
                if !(self.held && self.settings.barge_in == BargeIn::Pause) {
                    cx.resume();
                }
            }
            Wish::SendDtmf(digits) => {
                if let Err(error) = cx.send_dtmf(&digits) {
                    self.refuse(name, error.to_string(), cx);
                }
            }
            Wish::Transfer(destination) => {
                if let Err(error) = cx.transfer(destination) {
                    self.refuse(name, error.to_string(), cx);
                }
            }
            Wish::Processor { name: processor, on } => {
                if let Err(error) = cx.set_processor(&processor, on) {
                    self.refuse(name, error.to_string(), cx);
                }
            }
        }
    }

    /// Does what the floor says.
    fn make(&mut self, next: Move, cx: &mut Context<'_>) {
        let state = match next {
            Move::Nothing => return,
            Move::Hold => {
                self.held = true;
                match self.settings.barge_in {
                    BargeIn::Pause => cx.pause(),
                    _ => cx.duck(-f32::from(self.settings.duck_db)),
                }
                PlaybackState::Held
            }
            Move::Release => {
                if !self.let_go(cx) {
                    return;
                }
                PlaybackState::Resumed
            }
            Move::Clear => {
                self.let_go(cx);
                return self.clear(ClearReason::BargeIn, cx);
            }
        };
        let played_ms = whole_millis(cx.played());
        self.tell(Notice::Playback { state, played_ms, discarded_ms: 0 }, cx);
    }

    /// Takes back what [`Move::Hold`] did; false where it did nothing.
    fn let_go(&mut self, cx: &mut Context<'_>) -> bool {
        if !std::mem::take(&mut self.held) {
            return false;
        }
        match self.settings.barge_in {
            BargeIn::Pause if self.paused => {}
            BargeIn::Pause => cx.resume(),
            _ => cx.unduck(),
        }
        true
    }

    fn clear(&mut self, reason: ClearReason, cx: &mut Context<'_>) {
        self.clearing = Some((reason, self.drop_waiting(cx)));
        cx.clear();
    }

    /// Throws away what has not come to the call's queue, and answers how much audio that was.
    fn drop_waiting(&mut self, cx: &Context<'_>) -> Duration {
        self.playing = false;
        let dropped = self.voice.clear();
        for name in dropped.marks {
            self.tell(Notice::Mark { name, played: false }, cx);
        }
        if dropped.end {
            let reason = "what was to be played before it was thrown away";
            self.refuse("hangup", reason.to_owned(), cx);
        }
        cx.rate().duration_of(dropped.samples as u64)
    }

    /// Keeps the caller company while there is no bot.
    fn comfort(&mut self, cx: &mut Context<'_>) {
        let Some(since) = self.absent_since else { return };
        let waited = cx.now().0.saturating_sub(since.0);
        if waited < cx.rate().samples_in(self.settings.comfort_after) || !self.voice.is_empty() {
            return;
        }
        let Some(spec) = &self.settings.comfort else { return };
        let prompts = &*self.prompts;
        let source =
            self.comfort.get_or_insert_with(|| PlaySource::new(spec, true, cx.rate(), prompts));
        match source.feed(cx) {
            Fed::More => {}
            Fed::Ended => self.absent_since = None,
            Fed::Failed(error) => {
                let (source, error) = (spec.to_string(), error.to_string());
                cx.emit(EventKind::PlaybackFailed { source, error });
                self.absent_since = None;
            }
        }
    }

    /// Hands on what there is room for, and tells how much waits.
    fn flow(&mut self, sent: bool, cx: &mut Context<'_>) {
        self.voice.flow(sent, cx);
        let queued = self.voice.samples() + cx.queued();
        if queued != self.queued
            && let Some(line) = &mut self.line
        {
            self.queued = queued;
            line.set_queued(queued);
        }
    }

    /// Whether the caller hears the bot now.
    fn is_speaking(&self, cx: &Context<'_>) -> bool {
        if self.paused {
            return false;
        }
        let lately = cx.rate().samples_in(SPEAKS);
        let spoke = self.spoke.is_some_and(|spoke| cx.now().0.saturating_sub(spoke.0) <= lately);
        spoke || cx.queued() > 0 || !self.voice.is_empty()
    }
}

impl Processor for Bot {
    fn wants(&self) -> Option<SampleRate> {
        Some(self.ear.rate())
    }

    fn uplink(&mut self, frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        if let Some(line) = &mut self.line {
            self.ear.hear(frame.position, frame.samples, &mut **line);
        }
    }

    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.watching, true) {
            cx.watch_queue(self.settings.xon, self.settings.xoff);
        }
        if let Some(line) = &mut self.line {
            self.ear.wait(cx, &mut **line);
        }
        if frame.origin == Origin::Real {
            self.spoke = Some(cx.now());
        }
        let next = self.floor.tick(cx.now());
        self.make(next, cx);
        self.comfort(cx);
        let sent = frame.origin == Origin::Silence && cx.queued() == 0;
        self.flow(sent, cx);
    }

    fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        match event {
            EventKind::SpeechStarted { at_ms } => {
                self.tell(Notice::SpeechStarted { at_ms: *at_ms }, cx);
                let next = self.floor.speech_started(cx.now(), self.is_speaking(cx));
                self.make(next, cx);
            }
            EventKind::SpeechEnded { at_ms } => {
                self.tell(Notice::SpeechEnded { at_ms: *at_ms }, cx);
                let next = self.floor.speech_ended();
                self.make(next, cx);
            }
            EventKind::Dtmf { digit, duration_ms, .. } => {
                self.tell(Notice::Dtmf { digit: *digit, duration_ms: *duration_ms }, cx);
            }
            EventKind::Transcript(transcript) => {
                self.tell(Notice::Transcript(transcript.clone()), cx);
            }
            EventKind::Mark { name, played } if self.voice.owns_mark(name) => {
                self.tell(Notice::Mark { name: name.clone(), played: *played }, cx);
            }
            EventKind::Cleared { played_ms, discarded_ms, .. } => {
                let cleared = self.clearing.take();
                let (reason, behind) =
                    cleared.unwrap_or_else(|| (ClearReason::Asked, self.drop_waiting(cx)));
                let state = PlaybackState::Cleared(reason);
                let (played_ms, discarded_ms) = (*played_ms, discarded_ms + whole_millis(behind));
                self.tell(Notice::Playback { state, played_ms, discarded_ms }, cx);
            }
            EventKind::PlaybackDone if self.playing && self.voice.is_empty() => {
                self.playing = false;
                let (state, played_ms) = (PlaybackState::Done, whole_millis(cx.played()));
                self.tell(Notice::Playback { state, played_ms, discarded_ms: 0 }, cx);
            }
            EventKind::PlaybackFailed { error, .. } => self.refuse("play", error.clone(), cx),
            EventKind::QueueLevel { level: QueueLevel::High, queued_ms } => {
                self.tell(Notice::Xoff { queued_ms: *queued_ms }, cx);
            }
            EventKind::QueueLevel { level: QueueLevel::Low, queued_ms } => {
                self.tell(Notice::Xon { queued_ms: *queued_ms }, cx);
            }
            _ => {}
        }
    }

    fn switched(&mut self, _on: bool, cx: &mut Context<'_>) {
        // What the caller says while it is off is not for the bot, and is no silence either.
        self.ear.skip(cx);
    }

    fn woken(&mut self, cx: &mut Context<'_>) {
        while let Some(order) = self.line.as_mut().and_then(|line| line.poll()) {
            if !self.is_over || matches!(order, Order::Tell(_)) {
                self.obey(order, cx);
                // At once, so that little stands in line.
                self.voice.flow(false, cx);
            }
        }
        self.flow(false, cx);
    }

    fn finish(&mut self, _call: &CallInfo, end: &End<'_>) {
        if let Some(mut line) = self.line.take() {
            self.ear.release(&mut *line);
            line.tell(whole_millis(end.duration), Notice::Stop { reason: end.reason });
            line.close();
        }
    }
}
