//! Silero's VAD, version 6, at 8 kHz: a small neural network, computed here by hand.
//!
//! The weights are those of the model that PyPI's `silero-vad` brings (MIT), 8 kHz half. What it
//! answers is what onnxruntime answers, to within 10^−5, at every [`Level`].

mod activation;
mod dense;
mod forward;
mod lanes;
mod model;
#[cfg(test)]
mod tests;

use self::forward::Forward;
use self::model::Model;
use super::Detector;
use crate::audio::SampleRate;
use crate::dsp::simd::Level;

/// Samples of a frame: 32 ms.
pub(super) const FRAME: usize = 256;
/// Samples before a frame that are looked at with it.
const CONTEXT: usize = 32;
/// Values in each half of the memory, and channels of the widest layers.
const WIDTH: usize = 128;
/// Channels of the narrower ones, and samples between windows of the Fourier transform.
const HALF: usize = 64;
/// Frequencies of that, and what registers are filled with them.
const BINS: usize = HALF + 1;
const PADDED_BINS: usize = 80;

/// Tells speech by a neural network with a memory of its own, about 1 KiB.
#[derive(Clone, Debug)]
pub struct Silero {
    model: &'static Model,
    level: Level,
    state: State,
}

/// What is remembered from frame to frame.
#[derive(Clone, Debug)]
struct State {
    hidden: [f32; WIDTH],
    cell: [f32; WIDTH],
    context: [i16; CONTEXT],
}

impl State {
    const EMPTY: Self = Self { hidden: [0.0; WIDTH], cell: [0.0; WIDTH], context: [0; CONTEXT] };
}

impl Silero {
    /// A detector that has heard nothing. The first one decodes the weights.
    #[must_use]
    pub fn new() -> Self {
        Self::with_level(Level::best())
    }

    /// A detector that uses no better than that instruction set.
    #[must_use]
    pub fn with_level(level: Level) -> Self {
        Self { model: Model::shared(), level, state: State::EMPTY }
    }
}

impl Default for Silero {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector for Silero {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_8000
    }

    fn frame_samples(&self) -> usize {
        FRAME
    }

    fn detect(&mut self, frame: &[i16]) -> f32 {
        let frame = frame.try_into().expect("a frame has its one length");
        self.level.run(Forward { model: self.model, state: &mut self.state, frame })
    }

    fn reset(&mut self) {
        self.state = State::EMPTY;
    }
}
