//! Tones.

use std::f64::consts::TAU;

use crate::audio::SampleRate;

/// Turns of the phase accumulator in one period.
const TURN: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// A sine that goes on from one slice to the next without a jump.
///
/// The phase is a fraction of a turn in 64 bits, so that it never loses precision however long
/// the tone lasts.
#[derive(Clone, Debug)]
pub struct Sine {
    phase: u64,
    step: u64,
    amplitude: f64,
}

impl Sine {
    /// A sine of `frequency_hz` (0 up to half of `rate`) and `amplitude` (0 to 1, the peak as a
    /// fraction of full scale), which starts at its zero, going up. Values outside of these ranges
    /// are put right to the nearer end.
    #[must_use]
    pub fn new(frequency_hz: f64, rate: SampleRate, amplitude: f64) -> Self {
        let turns = (frequency_hz / f64::from(rate.hz())).clamp(0.0, 0.5);
        Self { phase: 0, step: (turns * TURN) as u64, amplitude: amplitude.clamp(0.0, 1.0) }
    }

    /// Fills `samples` with the next piece of the tone.
    pub fn fill(&mut self, samples: &mut [i16]) {
        let peak = self.amplitude * f64::from(i16::MAX);
        for sample in samples {
            *sample = (peak * (self.phase as f64 / TURN * TAU).sin()).round() as i16;
            self.phase = self.phase.wrapping_add(self.step);
        }
    }
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
        sine.phase = sine.phase.wrapping_add(sine.step.wrapping_mul(86_400 * 8000));
        let mut later = [0; 8];
        sine.fill(&mut later);
        assert_eq!(later, start);
    }

    #[test]
    fn foreign_values_are_put_right() {
        let mut samples = [1; 4];
        Sine::new(-5.0, SampleRate::HZ_8000, 1.0).fill(&mut samples);
        assert_eq!(samples, [0; 4]);
        Sine::new(4000.0, SampleRate::HZ_8000, 9.0).fill(&mut samples);
        assert!(samples.iter().all(|sample| sample.unsigned_abs() <= 1), "sin of half turns");
    }
}
