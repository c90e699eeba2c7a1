use super::silero::{FRAME, Silero};
use super::{Detector, NoiseFloor};
use crate::audio::SampleRate;
use crate::dsp::level::energy;

/// Samples of a window of the gate: 8 ms.
const WINDOW: usize = 64;

/// How far above the noise it opens: 3 dB.
const OPENS_AT: f32 = 2.0;

/// Frames for which it stays open behind the last window that was so loud: 320 ms.
const HANG_FRAMES: u32 = 10;

/// Frames before it opened that are looked at after all, so that the network knows what was before.
const LOOK_BACK: usize = 2;

/// [`Silero`] where it is louder than the noise, and for a while after; 0 elsewhere. About 2 KiB.
#[derive(Clone, Debug)]
pub struct Gated {
    silero: Silero,
    floor: NoiseFloor,
    open_for: u32,
    /// The latest frames that were not looked at, the oldest first.
    missed: [[i16; FRAME]; LOOK_BACK],
    missed_count: usize,
}

impl Gated {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            silero: Silero::new(),
            floor: NoiseFloor::UNKNOWN,
            open_for: 0,
            missed: [[0; FRAME]; LOOK_BACK],
            missed_count: 0,
        }
    }
}

impl Default for Gated {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector for Gated {
    fn rate(&self) -> SampleRate {
        self.silero.rate()
    }

    fn frame_samples(&self) -> usize {
        FRAME
    }

    fn detect(&mut self, frame: &[i16]) -> f32 {
        assert_eq!(frame.len(), FRAME, "a frame has its one length");
        let mut excess = 0.0_f32;
        for window in frame.chunks_exact(WINDOW) {
            excess = excess.max(self.floor.excess(energy(window) as f32 / WINDOW as f32));
        }
        if excess > OPENS_AT {
            self.open_for = HANG_FRAMES;
        }
        if self.open_for == 0 {
            self.missed.rotate_left(1);
            self.missed[LOOK_BACK - 1].copy_from_slice(frame);
            self.missed_count = LOOK_BACK.min(self.missed_count + 1);
            return 0.0;
        }
        self.open_for -= 1;
        for missed in &self.missed[LOOK_BACK - self.missed_count..] {
            self.silero.detect(missed);
        }
        self.missed_count = 0;
        self.silero.detect(frame)
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}
