use std::fmt;

use super::Detector;
use super::lowest::Lowest;
use crate::audio::SampleRate;

/// Samples of a frame: 16 ms.
const FRAME: usize = 256;

/// Frames of a stretch for which the lowest odds are remembered: 1.5 s.
const STRETCH: u32 = 94;

/// How much of the smoothed odds are those of the latest frame.
const LATEST: f32 = 0.3;

/// Logarithm of the odds above the lowest ones of the last seconds that speech must have at least.
const MARGIN: f32 = 1.0;

/// Scores nearer to 0 or 1 than this say no more.
const SURE: f32 = 1e-5;

/// The crate `earshot`, a small neural network at 16 kHz, with a threshold that follows the noise.
///
/// In loud noise its score is above one half all the time, but higher in speech. So what is told is
/// by how much the odds are above the lowest ones of the last seconds, or above even ones where
/// these are lower.
pub struct Earshot {
    network: Box<earshot::Detector>,
    smoothed: f32,
    lowest: Lowest,
}

impl Earshot {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            network: earshot::Detector::default_boxed(),
            smoothed: log_odds(0.0),
            lowest: Lowest::new(STRETCH),
        }
    }
}

impl Default for Earshot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Earshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Earshot").field("lowest", &self.lowest).finish_non_exhaustive()
    }
}

impl Detector for Earshot {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_16000
    }

    fn frame_samples(&self) -> usize {
        FRAME
    }

    fn detect(&mut self, frame: &[i16]) -> f32 {
        assert_eq!(frame.len(), FRAME, "a frame has its one length");
        let odds = log_odds(self.network.predict_i16(frame));
        self.smoothed += LATEST * (odds - self.smoothed);
        let even = (self.lowest.push(self.smoothed) + MARGIN).max(0.0);
        1.0 / (1.0 + (even - odds).exp())
    }

    fn reset(&mut self) {
        self.network.reset();
        self.smoothed = log_odds(0.0);
        self.lowest = Lowest::new(STRETCH);
    }
}

/// Logarithm of the odds of a probability.
fn log_odds(probability: f32) -> f32 {
    let probability = probability.clamp(SURE, 1.0 - SURE);
    (probability / (1.0 - probability)).ln()
}
