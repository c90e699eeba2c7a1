//! Voice activity: how much a frame of audio looks like speech.
//!
//! `docs/vad.md` has how well each detector tells speech in which noise, and what it costs.

mod earshot;
mod energy;
mod gated;
mod kind;
mod lowest;
mod noise_floor;
mod scorer;
mod silero;
#[cfg(test)]
mod tests;

pub use self::earshot::Earshot;
pub use energy::Energy;
pub use gated::Gated;
pub use kind::DetectorKind;
pub use noise_floor::NoiseFloor;
pub use scorer::{Score, Scorer};
pub use silero::Silero;

use crate::audio::SampleRate;

/// Tells speech from everything else, for one call.
pub trait Detector: Send {
    /// The rate of the samples that it wants.
    fn rate(&self) -> SampleRate;

    /// How many of them make a frame.
    fn frame_samples(&self) -> usize;

    /// How likely the next frame of the call is speech, 0 to 1; from one half on it is more likely
    /// than not. Does not allocate.
    ///
    /// # Panics
    /// Where the frame has another length.
    fn detect(&mut self, frame: &[i16]) -> f32;

    /// Forgets what was heard.
    fn reset(&mut self);
}
