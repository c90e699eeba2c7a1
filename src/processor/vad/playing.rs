//! Whether the bot is heard, and how loud.

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
}

impl Playing {
    /// An echo may come for `tail` samples.
    pub(super) fn new(tail: u64) -> Self {
        Self { power: 0.0, until: 0, tail }
    }

    /// Takes a frame that is sent to the caller, whose end lies at `end`.
    pub(super) fn push(&mut self, samples: &[i16], end: u64) {
        let power = energy(samples) as f32 / samples.len().max(1) as f32;
        self.power = power.max(KEPT * self.power);
        if power > AUDIBLE {
            self.until = end + self.tail;
        }
    }

    /// The highest power of late, where an echo of it may lie at `position`.
    pub(super) fn echo_at(&self, position: u64) -> Option<f32> {
        (position < self.until).then_some(self.power)
    }
}
