//! Voice activity: how much a frame of audio looks like speech.

mod silero;

pub use silero::Silero;

use crate::audio::SampleRate;

/// Tells speech from everything else, for one call.
pub trait Detector: Send {
    /// The rate of the samples that it wants.
    fn rate(&self) -> SampleRate;

    /// How many of them make a frame.
    fn frame_samples(&self) -> usize;

    /// How likely the next frame of the call is speech, 0 to 1. Does not allocate.
    ///
    /// # Panics
    /// Where the frame has another length.
    fn detect(&mut self, frame: &[i16]) -> f32;

    /// Forgets what was heard.
    fn reset(&mut self);
}
