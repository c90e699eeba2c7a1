//! Values of audio: rates, packet times, positions, frames and media formats.
//!
//! Floor 0: nothing here knows of time, sockets or codecs' arithmetic.

mod format;
mod frame;
mod ptime;
mod rate;

pub use format::{FormatError, MediaFormat};
pub use frame::{AudioFrame, Direction, Origin, Position};
pub use ptime::{Ptime, PtimeError};
pub use rate::{ClockRate, RateError, SampleRate};
