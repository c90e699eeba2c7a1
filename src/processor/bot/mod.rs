//! The bot socket: the caller's audio to a bot, the bot's audio and wishes back to the call.
//!
//! The processor runs on the shard: it collects the caller's audio and what happens in the call as
//! [`Notice`]s, and does what the bot's [`Wish`]es say. The other half is a task in `runtime::bot`,
//! which drives one WebSocket; a [`Conversation`] puts notices into the words of the bot's
//! [`Dialect`] and reads the bot's wishes out of its messages. None of this does I/O.

mod dialect;
mod notice;
mod wish;

pub use dialect::{Conversation, Dialect, Facts, Unreadable};
pub use notice::{ClearReason, Notice, PlaybackState, Told};
pub use wish::Wish;
