//! What is said to a bot, and when; what it says in return.

#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::waiting::Waiting;
use super::{Conversation, Facts, Notice, Order, SessionSettings, Told, Wish};
use crate::audio::SampleRate;
use crate::dsp::resample::{Quality, Resampler};
use crate::event::{EventKind, whole_millis};
use crate::processor::{Message, Piece};

/// How long the bot may take for what it has not read yet once the call is over.
const FINISH: Duration = Duration::from_secs(1);

/// A bot that has sent no audio for so long, and of which nothing waits any more after that, has
/// paused: the end of what it said comes out of the resampler.
const PAUSES: Duration = Duration::from_millis(40);

/// A call's side of the talk with its bot, over any number of connections.
///
/// Without I/O: the driver hands it what has come, with the time of now, then drains
/// [`Session::poll_output`].
#[derive(Debug)]
pub struct Session {
    settings: SessionSettings,
    bot: Arc<str>,
    facts: Facts,
    call_rate: SampleRate,
    began: Instant,
    waiting: Waiting,
    conversation: Option<Conversation>,
    /// What is to be sent next, on the connection that there is.
    outbox: VecDeque<Message>,
    scratch: Vec<Message>,
    /// Pieces that were said, to be filled again.
    spent: Vec<Piece>,
    orders: VecDeque<Order>,
    /// From the bot's rate to the call's.
    resampler: Resampler,
    /// When what is left in it comes out, if no more audio comes.
    flush_at: Option<Instant>,
    /// Until when the bot's audio that has come will play, as far as it is known here.
    plays_until: Instant,
    /// Since when there is no connection.
    absent_since: Option<Instant>,
    stats_at: Option<Instant>,
    counts: Counts,
    /// What the bot is told of itself; of this connection.
    talk: Talk,
    /// What is wrong has been told, and is not over.
    faulty: bool,
    /// That audio is dropped has been told, and is not over.
    dropping: bool,
    /// When to give up what is left to say; set by the end of the call.
    deadline: Option<Instant>,
    is_over: bool,
}

/// Audio that went over one connection, in samples.
#[derive(Clone, Copy, Debug, Default)]
struct Talk {
    sent: u64,
    dropped: u64,
    received: u64,
    /// At the call's rate.
    queued: u64,
}

/// What a session wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this; only where the driver said that it can.
    Send(Message),
    /// Hand this to the call.
    Order(Order),
    /// Nothing until then, or until something comes.
    Wait(Option<Instant>),
    /// The talk is over: close the connection, if there is one.
    Done,
}

/// What a session counted since this was last asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Samples of the caller that were sent.
    pub sent_samples: u64,
    /// Samples of the caller that were dropped and never sent.
    pub dropped_samples: u64,
    /// Samples of the bot, at its rate.
    pub received_samples: u64,
    /// Messages of the bot that could not be read.
    pub unreadable: u64,
    /// Fallbacks.
    pub fallbacks: u64,
}

impl Session {
    /// A session for the call that `facts` tell of, which began at `now` and has audio of
    /// `call_rate`, with the bot of this name.
    #[must_use]
    pub fn new(
        settings: SessionSettings,
        bot: Arc<str>,
        facts: Facts,
        call_rate: SampleRate,
        now: Instant,
    ) -> Self {
        Self {
            waiting: Waiting::new(facts.rate.length_of(settings.buffer)),
            resampler: Resampler::new(facts.rate, call_rate, Quality::Voice),
            settings,
            bot,
            facts,
            call_rate,
            began: now,
            conversation: None,
            outbox: VecDeque::new(),
            scratch: Vec::new(),
            spent: Vec::new(),
            orders: VecDeque::new(),
            flush_at: None,
            plays_until: now,
            absent_since: Some(now),
            stats_at: None,
            counts: Counts::default(),
            talk: Talk::default(),
            faulty: false,
            dropping: false,
            deadline: None,
            is_over: false,
        }
    }

    /// The call tells something.
    pub fn told(&mut self, told: Told) {
        if self.conversation.is_none() && !told.outlives_connection() {
            return;
        }
        let dropped = self.waiting.push(told);
        if dropped > 0 {
            self.drop_samples(dropped);
        }
    }

    /// Audio was dropped that the bot will never hear: here, or before it came here.
    pub fn drop_samples(&mut self, samples: u64) {
        self.counts.dropped_samples += samples;
        self.talk.dropped += samples;
        if !std::mem::replace(&mut self.dropping, true) {
            let detail = "the bot is too slow, or there is none: the oldest audio is dropped";
            self.degrade("dropped", detail.to_owned());
        }
    }

    /// So many samples of the bot, at the call's rate, wait to be played.
    pub fn set_queued(&mut self, samples: u64) {
        self.talk.queued = samples;
    }

    /// There is a connection, a new one.
    pub fn connected(&mut self, now: Instant) {
        let mut conversation = Conversation::new(self.settings.dialect, &self.facts);
        self.facts.connection += 1;
        let begins = self.waiting.begins().map(|begins| self.facts.rate.duration_of(begins.0));
        let media_ms = begins.unwrap_or_else(|| now.saturating_duration_since(self.began));
        conversation.greet(whole_millis(media_ms), &mut self.scratch);
        self.outbox.clear();
        self.outbox.extend(self.scratch.drain(..));
        self.conversation = Some(conversation);
        self.talk = Talk { queued: self.talk.queued, ..Talk::default() };
        self.absent_since = None;
        self.stats_at = self.next_stats(now);
        self.orders.push_back(Order::Connected);
        let bot = Arc::clone(&self.bot);
        self.orders.push_back(Order::Tell(EventKind::BotConnected { bot }));
    }

    /// There is no connection, for this reason; or none could be made.
    pub fn disconnected(&mut self, now: Instant, reason: &'static str, detail: String) {
        if self.hang_up_line() {
            self.orders.push_back(Order::Lost);
        }
        self.absent_since.get_or_insert(now);
        self.fault(reason, detail);
    }

    /// The bot has closed the connection in good order: it has nothing to say any more.
    pub fn ended(&mut self) {
        self.hang_up_line();
        self.is_over = true;
        if self.deadline.is_none() {
            let bot = Arc::clone(&self.bot);
            self.orders.extend([Order::Tell(EventKind::BotEnded { bot }), Order::Ended]);
        }
    }

    /// Forgets the connection; false where there was none.
    fn hang_up_line(&mut self) -> bool {
        self.outbox.clear();
        self.waiting.forget_connection();
        self.stats_at = None;
        self.flush();
        self.resampler.reset();
        self.conversation.take().is_some()
    }

    /// The bot says something.
    pub fn heard(&mut self, now: Instant, message: &Message) {
        let Some(conversation) = &mut self.conversation else { return };
        match conversation.hear(message) {
            Ok(wish) => {
                self.faulty = false;
                match wish {
                    Some(Wish::Audio(samples)) => self.heard_audio(now, &samples),
                    Some(wish) => self.heard_wish(now, wish),
                    None => {}
                }
            }
            Err(error) => {
                self.counts.unreadable += 1;
                if !self.faulty {
                    let media_ms = whole_millis(now.saturating_duration_since(self.began));
                    let (wish, reason) = ("message", error.to_string());
                    let notice = Notice::Refused { wish, reason };
                    self.told(Told::Notice { media_ms, notice });
                }
                self.fault("unreadable", error.to_string());
            }
        }
    }

    fn heard_audio(&mut self, now: Instant, samples: &[i16]) {
        self.counts.received_samples += samples.len() as u64;
        self.talk.received += samples.len() as u64;
        let mut audio = Vec::new();
        self.resampler.process(samples, &mut audio);
        let length = self.facts.rate.duration_of(samples.len() as u64);
        self.plays_until = self.plays_until.max(now) + length;
        let pauses = self.plays_until.checked_sub(PAUSES).map_or(now, |at| at.max(now + PAUSES));
        self.flush_at = (self.resampler.output_delay() > 0).then_some(pauses);
        if !audio.is_empty() {
            self.orders.push_back(Order::Wish(Wish::Audio(audio)));
        }
    }

    fn heard_wish(&mut self, now: Instant, wish: Wish) {
        if wish == Wish::Clear {
            // What is in the resampler belongs to what is thrown away.
            self.resampler.reset();
            self.flush_at = None;
            self.plays_until = now;
        }
        self.orders.push_back(Order::Wish(wish));
    }

    /// The call is over: what is left is said.
    pub fn finish(&mut self, now: Instant) {
        self.deadline.get_or_insert(now + FINISH);
    }

    /// A piece that was said, to be filled again.
    pub fn spent(&mut self) -> Option<Piece> {
        self.spent.pop()
    }

    /// What was counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// What is to be done next. Call it until it answers [`Output::Wait`] or [`Output::Done`].
    pub fn poll_output(&mut self, now: Instant, can_send: bool) -> Output {
        self.run_timers(now);
        if let Some(order) = self.orders.pop_front() {
            return Output::Order(order);
        }
        if self.is_over || self.has_finished(now, can_send) {
            return Output::Done;
        }
        if can_send && let Some(message) = self.next_message() {
            return Output::Send(message);
        }
        Output::Wait(self.wake())
    }

    fn run_timers(&mut self, now: Instant) {
        if self.flush_at.is_some_and(|at| now >= at) {
            self.flush();
        }
        if self.stats_at.is_some_and(|at| now >= at) {
            self.stats_at = self.next_stats(now);
            self.tell_stats(now);
        }
        if self.gives_up_at().is_some_and(|at| now >= at) && !self.is_over {
            self.is_over = true;
            self.counts.fallbacks += 1;
            let bot = Arc::clone(&self.bot);
            self.orders.extend([Order::Tell(EventKind::BotGaveUp { bot }), Order::GaveUp]);
        }
    }

    fn next_message(&mut self) -> Option<Message> {
        let conversation = self.conversation.as_mut()?;
        while self.outbox.is_empty() {
            let told = self.waiting.pop()?;
            conversation.say(&told, &mut self.scratch);
            if let Told::Audio(piece) = told {
                let samples = piece.samples.len() as u64;
                self.counts.sent_samples += samples;
                self.talk.sent += samples;
                self.spent.push(piece);
            }
            self.dropping &= !self.waiting.is_empty();
            self.outbox.extend(self.scratch.drain(..));
        }
        self.outbox.pop_front()
    }

    fn has_finished(&self, now: Instant, can_send: bool) -> bool {
        // As long as nothing can be sent, what was handed out last is still on its way.
        let nothing_left = can_send && self.outbox.is_empty() && self.waiting.is_empty();
        self.deadline
            .is_some_and(|deadline| now >= deadline || self.conversation.is_none() || nothing_left)
    }

    fn gives_up_at(&self) -> Option<Instant> {
        let since = self.absent_since.filter(|_| self.deadline.is_none())?;
        Some(since + self.settings.give_up)
    }

    fn wake(&self) -> Option<Instant> {
        [self.flush_at, self.stats_at, self.gives_up_at(), self.deadline]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets out what the resampler has of the last words: it needs something behind them.
    fn flush(&mut self) {
        if self.flush_at.take().is_none() {
            return;
        }
        // As much input as makes for the delay of its output.
        let delay = self.call_rate.duration_of(self.resampler.output_delay() as u64);
        let silence = vec![0; self.facts.rate.length_of(delay) + 1];
        let mut audio = Vec::new();
        self.resampler.process(&silence, &mut audio);
        self.resampler.reset();
        self.orders.push_back(Order::Wish(Wish::Audio(audio)));
    }

    fn next_stats(&self, now: Instant) -> Option<Instant> {
        let every = self.settings.stats_every;
        (!every.is_zero()).then(|| now + every)
    }

    fn tell_stats(&mut self, now: Instant) {
        let Talk { sent, dropped, received, queued } = self.talk;
        let ms = |samples, rate: SampleRate| whole_millis(rate.duration_of(samples));
        let rate = self.facts.rate;
        let notice = Notice::Stats {
            sent_ms: ms(sent, rate),
            dropped_ms: ms(dropped, rate),
            received_ms: ms(received, rate),
            queued_ms: ms(queued, self.call_rate),
        };
        let media_ms = whole_millis(now.saturating_duration_since(self.began));
        self.told(Told::Notice { media_ms, notice });
    }

    /// Tells what is wrong, once until it is over.
    fn fault(&mut self, reason: &'static str, detail: String) {
        if !std::mem::replace(&mut self.faulty, true) {
            self.degrade(reason, detail);
        }
    }

    fn degrade(&mut self, reason: &'static str, detail: String) {
        let bot = Arc::clone(&self.bot);
        self.orders.push_back(Order::Tell(EventKind::BotDegraded { bot, reason, detail }));
    }
}
