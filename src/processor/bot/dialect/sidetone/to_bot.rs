//! What a bot is told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Facts;
use crate::call::{Caller, EndReason, Transport};
use crate::event::whole_millis;
use crate::processor::bot::{ClearReason, Notice, PlaybackState};
use crate::processor::stt::Transcript;

/// The version of the dialect.
const VERSION: u32 = 1;

/// A message to the bot. Later versions may add types and fields: ignore what you do not know.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ToBot<'a> {
    /// When it happened: milliseconds since the call's start.
    pub(super) media_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub(super) body: Body<'a>,
}

/// What happened.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Body<'a> {
    /// The first message of a connection.
    Start {
        /// The version of the dialect: 1.
        version: u32,
        /// The call.
        call: Call<'a>,
        /// Its audio, both ways.
        audio: Audio,
    },
    /// The caller began to speak.
    SpeechStarted {
        /// When: milliseconds since the call's start. It is certain a little later only.
        at_ms: u64,
    },
    /// The caller stopped.
    SpeechEnded {
        /// When: milliseconds since the call's start. It is certain a little later only.
        at_ms: u64,
    },
    /// The caller pressed a key.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long it was pressed; absent where that is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// A recogniser of the pipeline heard something.
    Transcript(&'a Transcript),
    /// A mark was reached, or will not be: each is told once.
    Mark {
        /// The name that the bot gave it.
        name: &'a str,
        /// All audio before it has been sent to the caller. False: it was thrown away.
        played: bool,
    },
    /// Something became of what the bot plays.
    Playback {
        /// What.
        state: State,
        /// Why it was thrown away; with the state `cleared` only.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        /// How much of the playback the caller has really been sent.
        played_ms: u64,
        /// How much was thrown away.
        discarded_ms: u64,
    },
    /// So much of the bot's audio waits that it is to wait, too.
    Xoff {
        /// How much.
        queued_ms: u64,
    },
    /// The bot may go on.
    Xon {
        /// How much of its audio waits.
        queued_ms: u64,
    },
    /// Figures of this connection, from time to time.
    Stats {
        /// Audio of the caller that was sent to the bot.
        sent_ms: u64,
        /// Audio of the caller that was thrown away, since the bot was too slow for it.
        dropped_ms: u64,
        /// Audio that came from the bot.
        received_ms: u64,
        /// Audio of the bot that waits.
        queued_ms: u64,
    },
    /// A wish of the bot's cannot be done. The conversation goes on.
    Error {
        /// The wish, by its type.
        wish: &'a str,
        /// Why not, in a sentence.
        reason: &'a str,
    },
    /// The call is over: the last message.
    Stop {
        /// Why.
        reason: EndReason,
    },
}

/// What is known of a call.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Call<'a> {
    /// The call's UUID: its recording is named by it, and the HTTP API knows it by it.
    id: String,
    /// How its audio travels between Asterisk and us.
    transport: Transport,
    /// Asterisk's name of the format in which it travels; `null` until that is known.
    format: Option<&'static str>,
    /// The pipeline that serves the call.
    pipeline: &'a str,
    /// The caller; `null` where Asterisk did not tell.
    caller: Option<&'a Caller>,
    /// What the dialplan gave the call along.
    parameters: &'a BTreeMap<String, String>,
}

/// How audio travels on this connection, both ways.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Audio {
    /// 16 bits, signed, little-endian.
    encoding: Encoding,
    /// Always 1.
    channels: u8,
    /// Samples a second.
    rate_hz: u32,
    /// Audio in one message to the bot, as a rule; the last one before a gap may have less.
    chunk_ms: u64,
}

/// How a sample is written.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Encoding {
    /// 16 bits, signed, little-endian.
    #[serde(rename = "pcm_s16le")]
    PcmS16Le,
}

/// What became of a playback.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// All of it was sent.
    Done,
    /// It was thrown away.
    Cleared,
    /// It was lowered or stopped, because the caller speaks.
    Held,
    /// It goes on as before: the caller said next to nothing.
    Resumed,
}

/// Who wanted a playback to be thrown away.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// The bot, or another processor.
    Asked,
    /// The caller spoke over it.
    BargeIn,
}

impl<'a> Body<'a> {
    /// What opens a connection.
    pub(super) fn start(facts: &'a Facts) -> Self {
        let Facts { call, rate, chunk, account_sid: _, connection: _ } = facts;
        Self::Start {
            version: VERSION,
            call: Call {
                id: call.id.to_string(),
                transport: call.transport,
                format: call.format.map(|format| format.asterisk_name()),
                pipeline: &call.pipeline,
                caller: call.caller.as_ref(),
                parameters: &call.parameters,
            },
            audio: Audio {
                encoding: Encoding::PcmS16Le,
                channels: 1,
                rate_hz: rate.hz(),
                chunk_ms: whole_millis(*chunk),
            },
        }
    }
}

impl<'a> From<&'a Notice> for Body<'a> {
    fn from(notice: &'a Notice) -> Self {
        match *notice {
            Notice::SpeechStarted { at_ms } => Self::SpeechStarted { at_ms },
            Notice::SpeechEnded { at_ms } => Self::SpeechEnded { at_ms },
            Notice::Dtmf { digit, duration_ms } => Self::Dtmf { digit, duration_ms },
            Notice::Transcript(ref transcript) => Self::Transcript(transcript),
            Notice::Mark { ref name, played } => Self::Mark { name, played },
            Notice::Playback { state, played_ms, discarded_ms } => {
                let (state, reason) = match state {
                    PlaybackState::Done => (State::Done, None),
                    PlaybackState::Cleared(reason) => (State::Cleared, Some(reason.into())),
                    PlaybackState::Held => (State::Held, None),
                    PlaybackState::Resumed => (State::Resumed, None),
                };
                Self::Playback { state, reason, played_ms, discarded_ms }
            }
            Notice::Xoff { queued_ms } => Self::Xoff { queued_ms },
            Notice::Xon { queued_ms } => Self::Xon { queued_ms },
            Notice::Stats { sent_ms, dropped_ms, received_ms, queued_ms } => {
                Self::Stats { sent_ms, dropped_ms, received_ms, queued_ms }
            }
            Notice::Refused { wish, ref reason } => Self::Error { wish, reason },
            Notice::Stop { reason } => Self::Stop { reason },
        }
    }
}

impl From<ClearReason> for Reason {
    fn from(reason: ClearReason) -> Self {
        match reason {
            ClearReason::Asked => Self::Asked,
            ClearReason::BargeIn => Self::BargeIn,
        }
    }
}
