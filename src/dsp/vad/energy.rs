use super::{Detector, NoiseFloor};
use crate::audio::SampleRate;
use crate::dsp::level::energy;

/// Decibels above the noise at which a frame is as likely speech as not.
const MIDDLE_DB: f32 = 7.0;

/// How many more make that e times as likely.
const STEP_DB: f32 = 2.0;

/// Tells speech by how far it is above the noise, which it follows: cheap, and good where the noise
/// is steady and faint. At the call's own rate, in frames of 10 ms.
#[derive(Clone, Debug)]
pub struct Energy {
    rate: SampleRate,
    floor: NoiseFloor,
}

impl Energy {
    /// A detector for audio of that rate.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        Self { rate, floor: NoiseFloor::UNKNOWN }
    }
}

impl Detector for Energy {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn frame_samples(&self) -> usize {
        self.rate.hz() as usize / 100
    }

    fn detect(&mut self, frame: &[i16]) -> f32 {
        assert_eq!(frame.len(), self.frame_samples(), "a frame has its one length");
        let excess = self.floor.excess(energy(frame) as f32 / frame.len() as f32);
        let above = 10.0 * excess.log10() - MIDDLE_DB;
        1.0 / (1.0 + (-above / STEP_DB).exp())
    }

    fn reset(&mut self) {
        self.floor = NoiseFloor::UNKNOWN;
    }
}
