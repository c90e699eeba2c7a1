//! One call.

use std::fmt;
use std::time::Duration;

use crate::asterisk::Asterisk;
use crate::speech::{self, AUDIBLE};
use crate::telephone::{FRAME, Frame, Line, PTIME, Telephone, duration, last_heard};

/// How long the caller listens before he speaks: longer than it takes to measure that no echo comes.
const LISTENS: Duration = Duration::from_millis(1_500);

/// Packets that he listens to beyond that, the most but one: after so many a packet of 20 ms lies
/// again where it did in a detector's frame of 32 ms.
const SHIFTS: u32 = 8;

/// By how much later he begins to send than in the trial before, modulo a packet: over all that can
/// lie between his packets and the server's.
const DELAY: Duration = Duration::from_millis(7);

/// How long a bot may take to be heard.
const ANSWERS: Duration = Duration::from_secs(5);

/// How long a caller waits for silence from when he speaks.
const PATIENCE: Duration = Duration::from_secs(3);

/// Silence after which the bot is taken to have stopped.
const SILENCE: Duration = Duration::from_millis(400);

/// By how much a packet of the caller's may be late before a trial says nothing.
const LATE: Duration = Duration::from_millis(5);

/// How often a trial is repeated that says nothing.
const REPEATS: u32 = 5;

/// How Asterisk and the server exchange the call's audio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leg {
    Rtp,
    AudioSocket,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) leg: Leg,
    pub(crate) number: u32,
    /// Where in a packet the first sample of the speech lies.
    pub(crate) phase: usize,
    /// By how many packets later it comes.
    pub(crate) shift: u32,
    /// By how much later the caller begins to send.
    pub(crate) delay: Duration,
    pub(crate) outcome: Outcome,
    /// How often it was repeated.
    pub(crate) repeats: u32,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// From the caller's first sample to the last of the bot's that he hears.
    Silent(Duration),
    /// The bot was never heard.
    Mute,
    /// It did not stop.
    Endless,
    /// The caller was late himself.
    Spoilt,
}

impl Leg {
    pub(crate) const ALL: [Self; 2] = [Self::Rtp, Self::AudioSocket];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rtp => "RTP ulaw",
            Self::AudioSocket => "AudioSocket slin",
        }
    }

    const fn arguments(self) -> &'static str {
        match self {
            Self::Rtp => "robot,media=rtp,format=ulaw",
            Self::AudioSocket => "robot,media=audiosocket,format=slin",
        }
    }
}

impl Trial {
    /// The `number`th of `count`, over which everything is spread that may lie here or there.
    pub(crate) fn new(leg: Leg, number: u32, count: u32) -> Self {
        Self {
            leg,
            number,
            phase: number as usize * FRAME / count as usize,
            shift: number % SHIFTS,
            delay: Duration::from_nanos(
                (DELAY * number).as_nanos() as u64 % PTIME.as_nanos() as u64,
            ),
            outcome: Outcome::Mute,
            repeats: 0,
        }
    }

    /// Calls, and again where that says nothing.
    pub(crate) fn run(self, asterisk: &Asterisk) -> Self {
        let phrases = speech::phrases();
        let phrase = &phrases[self.number as usize % phrases.len()];
        let mut repeats = 0;
        loop {
            let outcome = self.call(asterisk, phrase);
            if outcome != Outcome::Spoilt || repeats == REPEATS {
                return Self { outcome, repeats, ..self };
            }
            repeats += 1;
        }
    }

    fn call(&self, asterisk: &Asterisk, phrase: &[i16]) -> Outcome {
        let phone = Telephone::dial_late(asterisk, self.leg.arguments(), self.delay);
        let listens = |heard: &[Frame]| {
            let tone = heard.iter().filter(|frame| is_audible(frame)).count();
            duration(tone * FRAME) >= LISTENS
        };
        if !phone.wait_until(ANSWERS, listens) {
            phone.hang_up(asterisk);
            return Outcome::Mute;
        }
        let silence = vec![0; self.phase + self.shift as usize * FRAME];
        phone.say(&[&silence, phrase].concat());
        let is_silent = |heard: &[Frame]| {
            let now = heard.last().map(|frame| frame.at);
            now.zip(last_heard(heard, AUDIBLE))
                .is_some_and(|(now, last)| now.saturating_duration_since(last) > SILENCE)
        };
        let stopped = phone.wait_until(PATIENCE, is_silent);
        let line = phone.hang_up(asterisk);
        if stopped { outcome(&line) } else { Outcome::Endless }
    }
}

/// What a call tells in which the bot has stopped.
pub(crate) fn outcome(line: &Line) -> Outcome {
    let (Some(spoken), Some(heard)) = (line.first_said(AUDIBLE), line.last_heard(AUDIBLE)) else {
        return Outcome::Mute;
    };
    // From the packet that held the first sample to those that could still have stopped the bot.
    let counts = |frame: &&Frame| frame.at + PTIME > spoken && frame.at < heard;
    if line.said.iter().filter(counts).any(|frame| frame.late > LATE) {
        return Outcome::Spoilt;
    }
    match heard.checked_duration_since(spoken) {
        Some(time) => Outcome::Silent(time),
        // It had stopped by itself.
        None => Outcome::Mute,
    }
}

fn is_audible(frame: &Frame) -> bool {
    frame.samples.iter().any(|sample| sample.unsigned_abs() >= AUDIBLE)
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase_ms = duration(self.phase).as_secs_f64() * 1e3;
        let (number, leg) = (self.number + 1, self.leg.name());
        write!(f, "{leg:<18}{number:>4}  phase {phase_ms:>5.2} ms  ")?;
        match self.outcome {
            Outcome::Silent(time) => write!(f, "{:>7.2} ms", time.as_secs_f64() * 1e3)?,
            Outcome::Mute => write!(f, "the bot was not heard")?,
            Outcome::Endless => write!(f, "the bot did not stop")?,
            Outcome::Spoilt => write!(f, "the caller was late himself")?,
        }
        if self.repeats > 0 { write!(f, "  repeated {} times", self.repeats) } else { Ok(()) }
    }
}
