use std::time::Duration;

use super::Dialect;
use crate::call::Destination;
use crate::processor::player::PlaySpec;

/// What becomes of what the bot plays when the caller speaks over it, as a detector in the pipeline
/// says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BargeIn {
    /// Nothing: the bot is told, and does as it likes.
    Notify,
    /// It is thrown away at once.
    #[default]
    AutoClear,
    /// It is lowered at once; thrown away once the caller has spoken for the confirm time, as loud as
    /// before where the caller stops before that.
    Duck,
    /// It stops at once; thrown away once the caller has spoken for the confirm time, goes on where
    /// it stopped where the caller stops before that.
    Pause,
}

impl BargeIn {
    /// Every behaviour with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("notify", Self::Notify),
        ("auto_clear", Self::AutoClear),
        ("duck", Self::Duck),
        ("pause", Self::Pause),
    ];
}

/// What is done with a caller whose bot cannot be had.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fallback {
    /// What is played to the caller first.
    pub play: Option<PlaySpec>,
    /// Where the caller goes on in Asterisk's dialplan; `None`: the call ends.
    pub destination: Option<Destination>,
}

/// What the processor does by itself, on the shard.
#[derive(Clone, PartialEq, Debug)]
pub struct Behaviour {
    /// What the caller's speech does to what is played.
    pub barge_in: BargeIn,
    /// How long the caller must speak, from when that is told, for [`BargeIn::Duck`] and
    /// [`BargeIn::Pause`] to throw away what is played.
    pub confirm: Duration,
    /// By how much [`BargeIn::Duck`] lowers, in dB.
    pub duck_db: u8,
    /// What plays, again and again, while there is no bot.
    pub comfort: Option<PlaySpec>,
    /// For how long there is none before that begins.
    pub comfort_after: Duration,
    /// What is done when there has been none for too long.
    pub fallback: Fallback,
    /// Audio that waits when the bot is told to wait, too.
    pub xoff: Duration,
    /// Audio that waits when the bot is told to go on.
    pub xon: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            barge_in: BargeIn::default(),
            confirm: Duration::from_millis(400),
            duck_db: 20,
            comfort: None,
            comfort_after: Duration::from_millis(500),
            fallback: Fallback::default(),
            xoff: Duration::from_secs(20),
            xon: Duration::from_secs(10),
        }
    }
}

/// How a session speaks with its bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSettings {
    /// The bot's protocol.
    pub dialect: Dialect,
    /// Audio in one message to the bot.
    pub chunk: Duration,
    /// Most of the caller's audio that waits for a bot that is slow, or not there yet.
    pub buffer: Duration,
    /// How long a call may be without a bot before the fallback.
    pub give_up: Duration,
    /// How often the bot is told figures; zero: never.
    pub stats_every: Duration,
    /// Audio of the bot that waits when nothing more is read from it.
    pub max_queued: Duration,
    /// The account that a Twilio bot is told.
    pub account_sid: String,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            chunk: Duration::from_millis(20),
            buffer: Duration::from_secs(10),
            give_up: Duration::from_secs(10),
            stats_every: Duration::ZERO,
            max_queued: Duration::from_secs(60),
            account_sid: format!("AC{:032}", 0),
        }
    }
}
