//! Tones.

use std::f64::consts::{PI, TAU};
use std::time::Duration;

use crate::audio::SampleRate;

/// Length of the rise and of the fall of a tone, each half a period of a cosine within it: an edge
/// without a click. A tone of less than twice this rises and falls faster.
pub const RAMP: Duration = Duration::from_millis(5);

/// Turns of the phase accumulator in one period.
const TURN: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// Samples between two sines that are computed from the phase.
const BLOCK: usize = 32;

/// A sine that goes on from one slice to the next without a jump.
///
/// The phase is a fraction of a turn in 64 bits, so that it never loses precision however long
/// the tone lasts. Once per block the sine of the phase is computed; within the block each sample is
/// that one turned further: sin(φ + kω) = sin φ cos kω + cos φ sin kω.
#[derive(Clone, Debug)]
pub struct Sine {
    /// Phase of the block's first sample.
    phase: u64,
    step: u64,
    /// Peak, in units of a sample.
    peak: f64,
    /// Samples of the block that are done.
    done: usize,
    /// Sine and cosine of the block's phase, times the peak.
    sin: f64,
    cos: f64,
    /// Sines and cosines of 0 to 31 steps.
    sines: [f64; BLOCK],
    cosines: [f64; BLOCK],
}

impl Sine {
    /// A sine of `frequency_hz` (0 up to half of `rate`) and `amplitude` (0 to 1, the peak as a
    /// fraction of full scale), which starts at its zero, going up. Values outside of these ranges
    /// are put right to the nearer end.
    #[must_use]
    pub fn new(frequency_hz: f64, rate: SampleRate, amplitude: f64) -> Self {
        let turns = (frequency_hz / f64::from(rate.hz())).clamp(0.0, 0.5);
        let step = (turns * TURN) as u64;
        let angle = |k: usize| radians(step.wrapping_mul(k as u64));
        // What is no number is no tone.
        let peak = if amplitude > 0.0 { amplitude.min(1.0) } else { 0.0 } * f64::from(i16::MAX);
        Self {
            phase: 0,
            step,
            peak,
            done: 0,
            sin: 0.0,
            cos: peak,
            sines: std::array::from_fn(|k| angle(k).sin()),
            cosines: std::array::from_fn(|k| angle(k).cos()),
        }
    }

    /// Fills `samples` with the next piece of the tone.
    pub fn fill(&mut self, samples: &mut [i16]) {
        self.write(samples, |sample, value| *sample = to_sample(value));
    }

    /// Adds the next piece of the tone to `values`, which are in units of a sample.
    pub(super) fn add_to(&mut self, values: &mut [f64]) {
        self.write(values, |sum, value| *sum += value);
    }

    #[inline]
    fn write<T>(&mut self, mut to: &mut [T], put: impl Fn(&mut T, f64)) {
        while !to.is_empty() {
            if self.done == BLOCK {
                self.turn_to(self.phase.wrapping_add(self.step.wrapping_mul(BLOCK as u64)));
            }
            let count = to.len().min(BLOCK - self.done);
            let (piece, rest) = to.split_at_mut(count);
            let turns = self.sines[self.done..].iter().zip(&self.cosines[self.done..]);
            for (to, (sin, cos)) in piece.iter_mut().zip(turns) {
                put(to, self.sin * cos + self.cos * sin);
            }
            self.done += count;
            to = rest;
        }
    }

    /// Begins a block at `phase`.
    fn turn_to(&mut self, phase: u64) {
        let (sin, cos) = radians(phase).sin_cos();
        self.phase = phase;
        self.sin = self.peak * sin;
        self.cos = self.peak * cos;
        self.done = 0;
    }
}

fn radians(phase: u64) -> f64 {
    phase as f64 / TURN * TAU
}

/// The level, 0 to 1, of sample `position` of a tone of so many samples that rises and falls within
/// `ramp` of them.
pub(super) fn edge_gain(position: usize, samples: usize, ramp: usize) -> f64 {
    let edge = position.min(samples - 1 - position);
    if edge >= ramp {
        return 1.0;
    }
    0.5 - 0.5 * (PI * (edge as f64 + 0.5) / ramp as f64).cos()
}

/// The nearest sample; what is beyond full scale is limited.
#[inline]
pub(super) fn to_sample(value: f64) -> i16 {
    // Above zero, cutting the fraction off rounds down: no call of a function that rounds.
    let above_zero = (value + 32_768.5).clamp(0.0, 65_535.0) as i32;
    (above_zero - 32_768) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;

    #[test]
    fn the_tone_has_its_frequency_and_its_level() {
        let mut samples = [0; 8000];
        Sine::new(440.0, SampleRate::HZ_8000, 1.0).fill(&mut samples);
        let rising = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert_eq!(rising, 439, "440 periods in a second, the first of which starts at zero");
        // A full-scale sine: 20 log10(1/√2) = −3.0103, less 0.0003 for 32,767 of 32,768.
        assert!((level::rms_dbov(&samples) + 3.0106).abs() < 1e-3);
    }

    #[test]
    fn every_sample_is_that_of_the_definition() {
        for (hz, rate) in [
            (50.0, SampleRate::HZ_8000),
            (697.0, SampleRate::HZ_8000),
            (1004.4, SampleRate::HZ_44100),
            (7_999.9, SampleRate::HZ_16000),
            (0.01, SampleRate::HZ_192000),
        ] {
            let mut sine = Sine::new(hz, rate, 0.9);
            let step = sine.step;
            let mut samples = vec![0; 200_000];
            sine.fill(&mut samples);
            for (n, &sample) in samples.iter().enumerate() {
                let phase = step.wrapping_mul(n as u64) as f64 / TURN * TAU;
                let exact = 0.9 * f64::from(i16::MAX) * phase.sin();
                // Half a step for the rounding; the phase's own rounding to 53 bits adds 1e-11.
                assert!((f64::from(sample) - exact).abs() < 0.5 + 1e-9, "{hz} Hz, sample {n}");
            }
        }
    }

    #[test]
    fn a_value_becomes_the_nearest_sample_and_stays_within_full_scale() {
        for (value, sample) in [
            (0.49, 0),
            (-0.49, 0),
            (0.51, 1),
            (-0.51, -1),
            (32_766.6, i16::MAX),
            (40_000.0, i16::MAX),
            (-32_767.6, i16::MIN),
            (-40_000.0, i16::MIN),
        ] {
            assert_eq!(to_sample(value), sample, "{value}");
        }
    }

    #[test]
    fn pieces_join_without_a_jump() {
        let mut whole = [0; 1000];
        Sine::new(1004.0, SampleRate::HZ_16000, 0.5).fill(&mut whole);
        let mut sine = Sine::new(1004.0, SampleRate::HZ_16000, 0.5);
        let mut pieces = Vec::new();
        for length in [1, 160, 7, 320, 512] {
            let mut piece = vec![0; length];
            sine.fill(&mut piece);
            pieces.extend(piece);
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn after_a_day_the_phase_is_still_right() {
        let mut sine = Sine::new(1000.0, SampleRate::HZ_8000, 1.0);
        let start = {
            let mut first = [0; 8];
            sine.clone().fill(&mut first);
            first
        };
        sine.turn_to(sine.step.wrapping_mul(86_400 * 8000));
        let mut later = [0; 8];
        sine.fill(&mut later);
        assert_eq!(later, start);
    }

    #[test]
    fn foreign_values_are_put_right() {
        let mut samples = [1; 4];
        Sine::new(-5.0, SampleRate::HZ_8000, 1.0).fill(&mut samples);
        assert_eq!(samples, [0; 4]);
        samples = [1; 4];
        Sine::new(1000.0, SampleRate::HZ_8000, f64::NAN).fill(&mut samples);
        assert_eq!(samples, [0; 4]);
        Sine::new(4000.0, SampleRate::HZ_8000, 9.0).fill(&mut samples);
        assert!(samples.iter().all(|sample| sample.unsigned_abs() <= 1), "sin of half turns");
    }
}
