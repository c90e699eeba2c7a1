//! The bot socket: the caller's audio to a bot, the bot's audio and wishes back to the call.
//!
//! The processor runs on the shard: it collects the caller's audio and what happens in the call as
//! [`Notice`]s, and does what the bot's [`Wish`]es say. The other half is a task in `runtime::bot`,
//! which drives one WebSocket and a [`Session`]; a [`Conversation`] puts notices into the words of
//! the bot's [`Dialect`] and reads the bot's wishes out of its messages. None of this does I/O.

mod dialect;
mod ear;
mod floor;
mod line;
mod notice;
mod processor;
mod session;
mod settings;
mod template;
mod voice;
mod wish;

pub use dialect::{CallSid, Conversation, Dialect, Facts, NotACallSid, Unreadable};
pub use line::{BotLine, OpenBot, Order};
pub use notice::{ClearReason, Notice, PlaybackState, Told};
pub use processor::BotFactory;
pub use session::{Counts, Output, Session};
pub use settings::{BargeIn, Behaviour, Fallback, SessionSettings};
pub use template::{Template, TemplateError};
pub use wish::Wish;
