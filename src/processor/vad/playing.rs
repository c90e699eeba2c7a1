//! Whether the bot is heard, and how loud an echo of it may be.

use super::echo_path::EchoPath;
use crate::dsp::level::energy;

/// What is played below this is not heard: −50 dBov.
const AUDIBLE: f32 = 10_737.0;

/// How much of the power is left a frame later: a fifth of a decibel less, so that an echo that comes
/// some hundred milliseconds later is still compared with what it is the echo of.
const KEPT: f32 = 0.95;

/// What is played to the caller, as an echo of it would come back.
#[derive(Clone, Debug)]
pub(super) struct Playing {
    /// Power of what is played, at its highest of late.
    power: f32,
    /// Up to where an echo of it may come, in samples of the call.
    until: u64,
    tail: u64,
    /// The part of the power that an echo has at most, whatever was measured.
    most: f32,
    path: EchoPath,
}

impl Playing {
    /// An echo may come for `tail` samples, and has the part `most` of the power at most.
    pub(super) fn new(tail: u64, most: f32) -> Self {
        Self { power: 0.0, until: 0, tail, most, path: EchoPath::new(tail) }
    }

    /// Takes a frame that is sent to the caller, whose end lies at `end`.
    pub(super) fn push(&mut self, samples: &[i16], end: u64) {
        let power = energy(samples) as f32 / samples.len().max(1) as f32;
        self.power = power.max(KEPT * self.power);
        if power > AUDIBLE {
            self.until = end + self.tail;
        }
        if end < self.until {
            self.path.play(samples.len() as u64, power);
        } else {
            self.path.stop();
        }
    }

    /// So many samples of that power are heard meanwhile, of a caller who is not known to speak.
    pub(super) fn hear(&mut self, samples: u64, power: f32) {
        self.path.hear(samples, power);
    }

    /// The highest power that an echo has which lies at `position`, where there may be one.
    pub(super) fn echo_at(&self, position: u64) -> Option<f32> {
        let part = self.path.part().map_or(self.most, |part| part.min(self.most));
        (position < self.until).then_some(self.power * part)
    }
}
