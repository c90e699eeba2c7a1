//! What is said to a service, and when; what its answers mean for the call.

mod connection;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Item};
use super::dialect::{Answer, Finalize, Heard};
use super::{Mode, SessionSettings, Transcript, Word};
use crate::audio::{Position, SampleRate};
use crate::event::EventKind;
use crate::processor::{Message, Piece, Speech};
use connection::{Closing, Connection};

/// How much of what a detector needs to tell speech may lie before the beginning that it tells, on
/// top of the pre-roll.
const ONSET: Duration = Duration::from_secs(1);

/// A caller of whom nothing comes for so long has finished the sentence, whoever says so.
const QUIET: Duration = Duration::from_secs(2);

/// Most audio without an answer at a service that answers each message: what it is behind by more
/// than this is kept here, where the oldest can be dropped.
const MAX_UNANSWERED: Duration = Duration::from_secs(3);

/// A call's side of the talk with a service, over any number of connections.
///
/// Without I/O: the driver hands it what has come, with the time of now, then drains
/// [`Session::poll_output`].
#[derive(Debug)]
pub struct Session {
    settings: SessionSettings,
    service: Arc<str>,
    rate: SampleRate,
    backlog: Backlog,
    connection: Option<Connection>,
    /// The latest audio of a caller who does not speak.
    pre_roll: VecDeque<(Position, Vec<i16>)>,
    pre_roll_samples: usize,
    speaking: bool,
    /// When audio came last, while the utterance that it belongs to is open.
    last_audio: Option<Instant>,
    /// The latest result that was not final.
    partial: String,
    events: VecDeque<EventKind>,
    counts: Counts,
    /// What is wrong has been told, and is not over.
    faulty: bool,
    /// That audio is dropped has been told, and is not over.
    dropping: bool,
    /// When to give up waiting for the last words; set by the end of the call.
    deadline: Option<Instant>,
}

/// What a session wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this; only where the driver said that it can.
    Send(Message),
    /// Tell this.
    Tell(EventKind),
    /// Nothing until then, or until something comes.
    Wait(Option<Instant>),
    /// The call is over and so is the session: close the connection, if there is one.
    Done,
}

/// What a session counted since this was last asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Samples that were sent for the first time.
    pub sent_samples: u64,
    /// Samples that were sent again on another connection.
    pub replayed_samples: u64,
    /// Samples that were dropped and never sent.
    pub dropped_samples: u64,
    /// Final results with words in them.
    pub transcripts: u64,
    /// Answers that could not be read.
    pub unreadable: u64,
    /// Messages of bytes where text is due.
    pub binary: u64,
}

impl Session {
    /// A session for one call with the service of this name, which gets audio of `rate`.
    ///
    /// # Panics
    /// Where the settings' encoding does not have the rate:
    /// [`Encoding::rate_for`](super::Encoding::rate_for) is one that it has.
    #[must_use]
    pub fn new(settings: SessionSettings, service: Arc<str>, rate: SampleRate) -> Self {
        let encoding = settings.encoding;
        assert!(encoding.rates().contains(&rate), "{} at {rate}", encoding.name());
        let max_samples = rate.length_of(settings.buffer);
        let message_samples = encoding.message_samples(rate);
        Self {
            settings,
            service,
            rate,
            backlog: Backlog::new(max_samples, message_samples),
            connection: None,
            pre_roll: VecDeque::new(),
            pre_roll_samples: 0,
            speaking: false,
            last_audio: None,
            partial: String::new(),
            events: VecDeque::new(),
            counts: Counts::default(),
            faulty: false,
            dropping: false,
            deadline: None,
        }
    }

    /// The caller said something, or began or ended to.
    pub fn audio(&mut self, now: Instant, piece: &Piece) {
        let samples = piece.samples.clone();
        match (self.settings.mode, self.speaking, piece.speech) {
            (Mode::Stream, ..) => {
                if !samples.is_empty() {
                    self.last_audio = Some(now);
                }
                self.push(piece.position, samples);
            }
            (Mode::Speech, true, speech) => {
                self.last_audio = Some(now);
                self.push(piece.position, samples);
                if speech == Speech::Silent {
                    self.end_utterance();
                }
            }
            (Mode::Speech, false, Speech::Silent) => self.keep(piece.position, samples),
            (Mode::Speech, false, Speech::Since(start)) => {
                self.speaking = true;
                self.last_audio = Some(now);
                self.keep(piece.position, samples);
                self.begin_utterance(start);
            }
        }
    }

    /// There is a connection, a new one.
    pub fn connected(&mut self, now: Instant) {
        let (rate, encoding) = (self.rate, self.settings.encoding);
        let greeting = self.settings.dialect.greeting(rate, encoding);
        self.backlog.rewind();
        self.connection = Some(Connection::new(rate, encoding.encoder(rate), greeting, now));
    }

    /// There is no connection, for this reason; or none could be made.
    pub fn disconnected(&mut self, reason: &'static str, detail: String) {
        let expected = self.connection.take().is_some_and(|was| was.may_end());
        if expected {
            // It has said all that it will say.
            self.backlog.acknowledge(Position(u64::MAX));
        } else {
            self.fault(reason, detail);
        }
        self.backlog.rewind();
    }

    /// Whether the loss of the connection now is what was asked for.
    #[must_use]
    pub fn may_be_disconnected(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::may_end)
    }

    /// The service answers.
    pub fn text(&mut self, text: &str) {
        let Some(connection) = &mut self.connection else { return };
        let answered = connection.answered();
        match self.settings.dialect.read(text) {
            Ok(Answer::Heard(heard)) => self.heard(&heard, answered),
            Ok(Answer::Message(message)) => {
                self.faulty = false;
                let service = Arc::clone(&self.service);
                self.events.push_back(EventKind::SttMessage { service, message });
            }
            Ok(Answer::Nothing) => self.faulty = false,
            Err(error) => {
                self.counts.unreadable += 1;
                self.fault("unreadable", error.to_string());
            }
        }
    }

    /// The service sends bytes, which no dialect knows.
    pub fn binary(&mut self, bytes: usize) {
        self.counts.binary += 1;
        if let Some(connection) = &mut self.connection {
            // Nonsense, but an answer.
            connection.answered();
        }
        self.fault("binary", format!("a message of {bytes} bytes that is no text"));
    }

    /// The call is over: what is left is sent, the last words are waited for.
    pub fn finish(&mut self, now: Instant) {
        self.deadline.get_or_insert(now + self.settings.finish);
        self.last_audio = None;
        self.backlog.close();
    }

    /// What was counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// What is to be done next. Call it until it answers [`Output::Wait`] or [`Output::Done`].
    pub fn poll_output(&mut self, now: Instant, can_send: bool) -> Output {
        if let Some(event) = self.events.pop_front() {
            return Output::Tell(event);
        }
        if self.is_over(now) {
            return Output::Done;
        }
        if self.last_audio.is_some_and(|since| now >= since + QUIET) {
            self.end_utterance();
        }
        if can_send && let Some(message) = self.next_message(now) {
            return Output::Send(message);
        }
        Output::Wait(self.wake())
    }

    fn next_message(&mut self, now: Instant) -> Option<Message> {
        let Self { settings, connection, backlog, counts, deadline, rate, .. } = self;
        let connection = connection.as_mut()?;
        if let Some(greeting) = connection.greeting.take() {
            return Some(Message::Text(greeting));
        }
        if connection.closing != Closing::Open {
            return None;
        }
        let dialect = settings.dialect;
        if dialect.answers_each() && connection.unanswered() >= rate.samples_in(MAX_UNANSWERED) {
            return None;
        }
        let next = backlog.peek();
        let is_end = matches!(next, Some(Item::Finalize)) || (next.is_none() && deadline.is_some());
        if is_end && let Some(message) = connection.flush(now) {
            return Some(Message::Binary(message));
        }
        match next {
            Some(Item::Audio { position, samples }) => {
                let count = samples.len();
                let message = connection.send(now, *position, samples, dialect.answers_each());
                let counter = if backlog.advance() {
                    &mut counts.replayed_samples
                } else {
                    &mut counts.sent_samples
                };
                *counter += count as u64;
                self.dropping &= !backlog.is_sent();
                Some(Message::Binary(message))
            }
            Some(Item::Finalize) => {
                backlog.advance();
                let text = match dialect.finalize() {
                    Finalize::Message(text) => text,
                    // What follows goes to the next connection.
                    Finalize::Close(text) => {
                        connection.close(dialect.answers_each());
                        text
                    }
                };
                Some(Message::Text(text.to_owned()))
            }
            None if deadline.is_some() => {
                connection.close(dialect.answers_each());
                Some(Message::Text(dialect.farewell().to_owned()))
            }
            None => {
                let (every, text) = dialect.keep_alive()?;
                connection.is_idle(now, every).then(|| Message::Text(text.to_owned()))
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let nothing_left = self.backlog.is_sent() && !self.backlog.is_owed();
        now >= deadline || (self.connection.is_none() && nothing_left)
    }

    fn wake(&self) -> Option<Instant> {
        let quiet = self.last_audio.map(|since| since + QUIET);
        let keep_alive = self.settings.dialect.keep_alive();
        let alive = self
            .connection
            .as_ref()
            .zip(keep_alive)
            .and_then(|(connection, (every, _))| connection.idle_at(every));
        [quiet, alive, self.deadline].into_iter().flatten().min()
    }

    fn begin_utterance(&mut self, start: Position) {
        let lead = self.rate.samples_in(self.settings.pre_roll);
        let from = Position(start.0.saturating_sub(lead));
        self.pre_roll_samples = 0;
        for (position, mut samples) in std::mem::take(&mut self.pre_roll) {
            let early = usize::try_from(from.0.saturating_sub(position.0)).unwrap_or(usize::MAX);
            let early = early.min(samples.len());
            samples.drain(..early);
            self.push(position.plus(early), samples);
        }
    }

    fn end_utterance(&mut self) {
        self.speaking = false;
        self.last_audio = None;
        self.backlog.push_finalize();
    }

    /// Keeps audio of a caller who does not speak, in case this is how a word begins.
    fn keep(&mut self, position: Position, samples: Vec<i16>) {
        let room = self.rate.samples_in(self.settings.pre_roll + ONSET);
        self.pre_roll_samples += samples.len();
        self.pre_roll.push_back((position, samples));
        while let Some((_, oldest)) = self.pre_roll.front()
            && (self.pre_roll_samples - oldest.len()) as u64 >= room
        {
            self.pre_roll_samples -= oldest.len();
            self.pre_roll.pop_front();
        }
    }

    fn push(&mut self, position: Position, samples: Vec<i16>) {
        let dropped = self.backlog.push_audio(position, samples) as u64;
        if dropped > 0 {
            self.drop_samples(dropped);
        }
    }

    /// Audio was dropped that the service will never hear: here, or before it came here.
    pub fn drop_samples(&mut self, samples: u64) {
        self.counts.dropped_samples += samples;
        if !std::mem::replace(&mut self.dropping, true) {
            let detail = "the service is too slow, or there is none: the oldest audio is dropped";
            self.degrade("dropped", detail.to_owned());
        }
    }

    /// Takes a result; `answered` is where the audio ends that it answers, where that is known.
    fn heard(&mut self, heard: &Heard, answered: Option<Position>) {
        self.faulty = false;
        let Some(connection) = &self.connection else { return };
        let clock = &connection.clock;
        let done = heard.done_until.and_then(|seconds| clock.end(seconds)).or(answered);
        let done = done.unwrap_or(connection.sent_until);
        let end = heard.end.and_then(|seconds| clock.end(seconds)).unwrap_or(done);
        let start = heard.start.and_then(|seconds| clock.start(seconds));
        let start = start.or_else(|| self.backlog.begins()).unwrap_or(end).min(end);
        let is_news = heard.is_final || heard.text != self.partial;
        if is_news && !heard.text.is_empty() {
            let words = heard.words.iter().map(|word| Word {
                word: word.word.clone(),
                start_ms: self.ms(clock.start(word.start).unwrap_or(start)),
                end_ms: self.ms(clock.end(word.end).unwrap_or(end)),
                confidence: word.confidence,
            });
            let transcript = Transcript {
                service: Arc::clone(&self.service),
                text: heard.text.clone(),
                is_final: heard.is_final,
                start_ms: self.ms(start),
                end_ms: self.ms(end),
                words: words.collect(),
                confidence: heard.confidence,
            };
            self.events.push_back(EventKind::Transcript(Box::new(transcript)));
        }
        if heard.is_final {
            self.counts.transcripts += u64::from(!heard.text.is_empty());
            self.partial.clear();
            self.backlog.acknowledge(done);
        } else {
            self.partial.clone_from(&heard.text);
        }
    }

    fn ms(&self, position: Position) -> u64 {
        let span = self.rate.duration_of(position.0);
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells what is wrong, once until it is over.
    fn fault(&mut self, reason: &'static str, detail: String) {
        if !std::mem::replace(&mut self.faulty, true) {
            self.degrade(reason, detail);
        }
    }

    fn degrade(&mut self, reason: &'static str, detail: String) {
        let service = Arc::clone(&self.service);
        self.events.push_back(EventKind::SttDegraded { service, reason, detail });
    }
}
