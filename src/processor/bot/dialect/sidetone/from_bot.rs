//! What a bot may say.

use serde::Deserialize;

use crate::call::Destination;
use crate::processor::bot::Wish;

/// A message of the bot's. Unknown types and fields are refused.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FromBot {
    /// Throw away all audio that waits, and half a sample that the last message may have ended in.
    Clear {},
    /// Tell, by a message `mark`, when everything sent up to now has been played.
    Mark {
        /// What the mark is called.
        name: String,
    },
    /// Stop playing; keep what waits.
    Pause {},
    /// Go on playing.
    Resume {},
    /// Play a file or tones, behind all that waits.
    Play {
        /// A file's name below the folder of the player, or `tone:…`.
        source: String,
        /// Again and again, until a `clear`.
        #[serde(default, rename = "loop")]
        looped: bool,
    },
    /// Press keys towards the caller.
    SendDtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digits: String,
    },
    /// End the call.
    Hangup {
        /// When; at once, where it is absent.
        #[serde(default)]
        when: When,
    },
    /// Send the caller on in Asterisk's dialplan. What is absent stays as it was when the caller came
    /// to us.
    Transfer {
        /// The context.
        context: Option<String>,
        /// The extension.
        extension: Option<String>,
        /// The priority; 1 where an extension is given without one.
        priority: Option<u32>,
    },
    /// Switch a processor of the call's pipeline on or off.
    Processor {
        /// Its name in the pipeline.
        name: String,
        /// On, or off.
        on: bool,
    },
}

/// When a call is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    /// At once.
    #[default]
    Now,
    /// When all that waits has been played.
    Played,
}

impl From<FromBot> for Wish {
    fn from(message: FromBot) -> Self {
        match message {
            FromBot::Clear {} => Self::Clear,
            FromBot::Mark { name } => Self::Mark(name),
            FromBot::Pause {} => Self::Pause,
            FromBot::Resume {} => Self::Resume,
            FromBot::Play { source, looped } => Self::Play { source, looped },
            FromBot::SendDtmf { digits } => Self::SendDtmf(digits),
            FromBot::Hangup { when } => Self::Hangup { after_playout: when == When::Played },
            FromBot::Transfer { context, extension, priority } => {
                Self::Transfer(Destination { context, extension, priority })
            }
            FromBot::Processor { name, on } => Self::Processor { name, on },
        }
    }
}
