//! The protocols of bots, one file each.

use std::time::Duration;

use thiserror::Error;

use super::{Told, Wish};
use crate::audio::SampleRate;
use crate::call::CallInfo;
use crate::processor::Message;

/// The protocol of a bot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dialect {
    /// Our own: binary audio and JSON messages.
    #[default]
    Sidetone,
    /// Twilio Media Streams, bidirectional.
    Twilio,
}

/// What a conversation must know of its call and of its connection.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The call.
    pub call: CallInfo,
    /// Rate of the audio, both ways.
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
}

/// One connection's talk in a dialect: what has been said, as far as what is said next depends on it.
#[derive(Debug)]
pub struct Conversation {}

impl Conversation {
    /// A conversation that has just begun.
    #[must_use]
    pub fn new(dialect: Dialect, facts: &Facts) -> Self {
        let _ = (dialect, facts);
        Self {}
    }

    /// Adds to `out` what opens the conversation.
    pub fn greet(&mut self, media_ms: u64, out: &mut Vec<Message>) {
        let _ = (media_ms, out);
    }

    /// Adds to `out` how this is said; what the dialect has no words for is left out.
    pub fn say(&mut self, told: &Told, out: &mut Vec<Message>) {
        let _ = (told, out);
    }

    /// What the bot wants.
    ///
    /// # Errors
    /// [`Unreadable`]: the conversation goes on all the same.
    pub fn hear(&mut self, message: &Message) -> Result<Option<Wish>, Unreadable> {
        let _ = message;
        Ok(None)
    }
}
