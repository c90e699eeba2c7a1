//! The protocols of services: what is said to them and what their answers mean, one file each.

mod deepgram;
mod raw;
mod vosk;

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::Encoding;
use crate::audio::SampleRate;

/// The protocol of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// A Vosk server.
    Vosk,
    /// Deepgram, live.
    Deepgram,
    /// Binary audio out, JSON in: for a service of one's own.
    Raw,
}

/// An answer that makes no sense.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It is not JSON, or lacks what the dialect promises.
    #[error("not what the dialect promises: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON and no object.
    #[error("no JSON object")]
    NoObject,
}

/// What an answer says.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Answer {
    /// Something was heard, or nothing was in this stretch of audio.
    Heard(Heard),
    /// A message that is passed on as it is.
    Message(Value),
    /// Nothing of interest.
    Nothing,
}

/// A result, in seconds of the service's clock.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) is_final: bool,
    pub(super) start: Option<f64>,
    pub(super) end: Option<f64>,
    /// Audio up to here is done with; `None`: all of what was answered.
    pub(super) done_until: Option<f64>,
    pub(super) words: Vec<HeardWord>,
    pub(super) confidence: Option<f64>,
}

/// A word of a result.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct HeardWord {
    pub(super) word: String,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) confidence: Option<f64>,
}

/// How a service is told that an utterance is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finalize {
    /// By this message.
    Message(&'static str),
    /// By this message, upon which the service answers once more and closes the connection.
    Close(&'static str),
}

impl Dialect {
    /// Every dialect with its name.
    pub const WORDS: [(&'static str, Self); 3] =
        [("vosk", Self::Vosk), ("deepgram", Self::Deepgram), ("raw", Self::Raw)];

    /// The dialect's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vosk => "vosk",
            Self::Deepgram => "deepgram",
            Self::Raw => "raw",
        }
    }

    /// How its services may want samples.
    #[must_use]
    pub const fn encodings(self) -> &'static [Encoding] {
        match self {
            // A server is not told, and knows this one only.
            Self::Vosk => &[Encoding::Linear16],
            Self::Deepgram | Self::Raw => {
                &[Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw, Encoding::Opus]
            }
        }
    }

    /// The URL to connect to, where the configuration has `base`: with what the service must know
    /// and `base` does not say.
    #[must_use]
    pub fn url(self, base: &str, rate: SampleRate, encoding: Encoding) -> String {
        match self {
            Self::Vosk | Self::Raw => base.to_owned(),
            Self::Deepgram => deepgram::url(base, rate, encoding),
        }
    }

    /// The value of the header `Authorization` for a token.
    #[must_use]
    pub fn authorization(self, token: &str) -> String {
        match self {
            Self::Deepgram => format!("Token {token}"),
            Self::Vosk | Self::Raw => format!("Bearer {token}"),
        }
    }

    /// The first message of a connection.
    pub(super) fn greeting(self, rate: SampleRate, encoding: Encoding) -> Option<String> {
        match self {
            Self::Vosk => Some(vosk::greeting(rate)),
            Self::Deepgram => None,
            Self::Raw => Some(raw::greeting(rate, encoding)),
        }
    }

    /// What is said at the end of an utterance.
    pub(super) const fn finalize(self) -> Finalize {
        match self {
            Self::Vosk => Finalize::Close(vosk::EOF),
            Self::Deepgram => Finalize::Message(deepgram::FINALIZE),
            Self::Raw => Finalize::Message(raw::FINALIZE),
        }
    }

    /// What is said at the end of the call, upon which the service closes the connection.
    pub(super) const fn farewell(self) -> &'static str {
        match self {
            Self::Vosk => vosk::EOF,
            Self::Deepgram => deepgram::CLOSE,
            Self::Raw => raw::STOP,
        }
    }

    /// What is said how often while there is no audio.
    pub(super) const fn keep_alive(self) -> Option<(Duration, &'static str)> {
        match self {
            Self::Deepgram => Some((deepgram::KEEP_ALIVE_EVERY, deepgram::KEEP_ALIVE)),
            Self::Vosk | Self::Raw => None,
        }
    }

    /// Whether each message of audio, and the end, has one answer.
    pub(super) const fn answers_each(self) -> bool {
        matches!(self, Self::Vosk)
    }

    /// Reads an answer.
    pub(super) fn read(self, text: &str) -> Result<Answer, Unreadable> {
        match self {
            Self::Vosk => vosk::read(text),
            Self::Deepgram => deepgram::read(text),
            Self::Raw => raw::read(text),
        }
    }
}
