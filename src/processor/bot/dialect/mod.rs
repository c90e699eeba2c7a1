//! The protocols of bots: what they are told and what their messages mean, one file each.

mod sidetone;
mod twilio;

use std::time::Duration;

use thiserror::Error;

use self::sidetone::Sidetone;
use self::twilio::Twilio;
use super::{Told, Wish};
use crate::audio::SampleRate;
use crate::call::CallInfo;
use crate::processor::Message;

pub use twilio::{CallSid, NotACallSid};

/// The protocol of a bot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dialect {
    /// Our own: binary audio and JSON messages.
    #[default]
    Sidetone,
    /// Twilio Media Streams, bidirectional.
    Twilio,
}

impl Dialect {
    /// Every dialect with its name.
    pub const WORDS: [(&'static str, Self); 2] =
        [("sidetone", Self::Sidetone), ("twilio", Self::Twilio)];

    /// The only rate that the dialect has; `None`: any.
    #[must_use]
    pub const fn rate(self) -> Option<SampleRate> {
        match self {
            Self::Sidetone => None,
            Self::Twilio => Some(SampleRate::HZ_8000),
        }
    }
}

/// What a conversation must know of its call and of its connection.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The call.
    pub call: CallInfo,
    /// Rate of the audio, both ways: [`Dialect::rate`], where the dialect has only one.
    pub rate: SampleRate,
    /// Audio in one message to the bot.
    pub chunk: Duration,
    /// The account that a Twilio bot is told.
    pub account_sid: String,
    /// How many connections this call had before: each is a stream of its own.
    pub connection: u32,
}

/// A message of the bot's that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unreadable {
    /// It is no JSON, or not what the dialect promises.
    #[error("not what the dialect promises: {0}")]
    Json(String),
    /// It is binary, and the dialect has nothing binary.
    #[error("a binary message of {bytes} bytes: the dialect has text only")]
    Binary {
        /// Its length.
        bytes: usize,
    },
    /// Its audio is not base64.
    #[error("media.payload is not base64: {0}")]
    Payload(#[from] base64::DecodeError),
}

impl Unreadable {
    /// Longest reason that is kept: serde's quotes what the bot sent.
    const MAX_REASON_BYTES: usize = 400;
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        let mut reason = error.to_string();
        reason.truncate(reason.floor_char_boundary(Self::MAX_REASON_BYTES));
        Self::Json(reason)
    }
}

/// One connection's talk in a dialect: what has been said, as far as what is said next depends on it.
#[derive(Debug)]
pub struct Conversation {
    talk: Talk,
}

#[derive(Debug)]
enum Talk {
    Sidetone(Sidetone),
    Twilio(Twilio),
}

impl Conversation {
    /// A conversation that has just begun.
    #[must_use]
    pub fn new(dialect: Dialect, facts: &Facts) -> Self {
        let talk = match dialect {
            Dialect::Sidetone => Talk::Sidetone(Sidetone::new(facts)),
            Dialect::Twilio => Talk::Twilio(Twilio::new(facts)),
        };
        Self { talk }
    }

    /// Adds to `out` what opens the conversation, `media_ms` after the call's start.
    pub fn greet(&mut self, media_ms: u64, out: &mut Vec<Message>) {
        match &mut self.talk {
            Talk::Sidetone(talk) => talk.greet(media_ms, out),
            Talk::Twilio(talk) => talk.greet(media_ms, out),
        }
    }

    /// Adds to `out` how this is said; what the dialect has no words for is left out, and so is a
    /// piece without audio. Allocates the message.
    pub fn say(&mut self, told: &Told, out: &mut Vec<Message>) {
        match &mut self.talk {
            Talk::Sidetone(talk) => talk.say(told, out),
            Talk::Twilio(talk) => talk.say(told, out),
        }
    }

    /// What the bot wants; `None`: nothing. Allocates what is wished.
    ///
    /// # Errors
    /// [`Unreadable`]: the conversation goes on all the same.
    pub fn hear(&mut self, message: &Message) -> Result<Option<Wish>, Unreadable> {
        match &mut self.talk {
            Talk::Sidetone(talk) => talk.hear(message),
            Talk::Twilio(talk) => talk.hear(message),
        }
    }
}

#[cfg(test)]
mod tests;
