//! Samples: codecs, byte order, rates, level, tones, and where one signal lies in another.
//!
//! Floor 0: nothing here knows of time, sockets or calls. Samples are mono `i16`. Functions that
//! convert write into the caller's buffer, do as many samples as both slices hold, answer how many
//! that were, and do not allocate.

pub mod cadence;
pub mod codec;
pub mod comfort_noise;
pub mod conceal;
pub mod correlation;
pub mod distance;
pub mod dtmf;
mod fft;
pub mod g711;
pub mod g722;
pub mod l16;
pub mod level;
pub mod opus;
pub mod prefetch;
pub mod random;
pub mod resample;
pub mod silence;
pub mod simd;
pub mod spectrum;
pub mod stretch;
pub mod tone;
pub mod vad;

pub use correlation::{Match, find_offset};
