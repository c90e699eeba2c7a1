//! Plays files and tones to the caller.
//!
//! [`PlaySource`] is what plays, for any processor; [`PlayerFactory`] makes the processor `player`,
//! which plays one thing at a call's start. Files are read elsewhere ([`LoadPrompt`]), never on the
//! shard's thread, and come as samples at the call's rate.

mod processor;
mod prompt;
mod settings;
mod source;
mod spec;

pub use processor::PlayerFactory;
pub use prompt::{LoadPrompt, Prompt, PromptError};
pub use settings::PlayerSettings;
pub use source::{Fed, Filled, PlaySource};
pub use spec::{PlaySpec, PlaySpecError};
