//! Samples: companding, byte order, level, tones, and where one signal lies in another.
//!
//! Floor 0: nothing here knows of time, sockets or calls. Samples are mono `i16`. Functions that
//! convert write into the caller's buffer, do as many samples as both slices hold, answer how many
//! that were, and do not allocate.

pub mod correlation;
mod fft;
pub mod g711;
mod halfband;
pub mod l16;
pub mod level;
pub mod tone;

pub use correlation::{Match, find_offset};
pub use halfband::HalfBand;
