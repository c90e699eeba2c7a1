//! Tells when the caller begins to speak and when the caller stops.
//!
//! A detector ([`crate::dsp::vad`]) says of each piece of the caller's audio how likely it is
//! speech; [`Segmenter`] makes beginnings and ends of that, each with its place in the call, and is
//! stricter while the bot is heard.

mod cells;
mod echo_path;
mod hysteresis;
mod playing;
mod processor;
mod segmenter;
mod settings;

pub use processor::VadFactory;
pub use segmenter::{Edge, Segmenter};
pub use settings::VadSettings;
