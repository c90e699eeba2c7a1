//! Comfort noise after RFC 3389: noise of a given level and spectrum, in place of the noise behind a
//! speaker who is silent.

use super::random::Random;
use super::tone::to_sample;

/// As many coefficients are used, the others left out, which the RFC lets a receiver do (section 3).
/// The example of ITU-T G.711 Appendix II has 10.
pub const MAX_ORDER: usize = 16;

/// Level from which on nothing is left of the noise.
const SILENCE: u8 = 127;

/// Samples over which a new level is reached: 16 ms at 8 kHz.
const RAMP: u32 = 128;

/// Amplitude of the overload point, 0 dBov.
const FULL_SCALE: f32 = 32_768.0;

/// Variance of the sum of four evenly distributed 16-bit numbers: 2^32 / 12 each.
const VARIANCE: f32 = 4_294_967_296.0 / 3.0;

/// Generates the noise of one stream. Silent until a level is set.
///
/// White noise runs through the all-pole lattice in its normalised form, a chain of rotations (A. H.
/// Gray and J. D. Markel, "A normalized digital filter structure", 1975). Rotations keep the power,
/// whatever the coefficients are: the noise has its level from the first sample on and through every
/// change of the coefficients, and none of them makes it unstable.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    random: Random,
    /// Reflection coefficients k with √(1 − k²): sine and cosine of each rotation.
    stages: [(f32, f32); MAX_ORDER],
    order: usize,
    /// What runs backwards through the lattice, each of variance 1.
    backward: [f32; MAX_ORDER],
    /// Root mean square in units of a sample: now, at the end of the ramp, and per sample.
    gain: f32,
    target: f32,
    step: f32,
    ramp: u32,
}

impl ComfortNoise {
    /// A generator; the same `seed` gives the same noise.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let backward = std::array::from_fn(|_| white(&mut random));
        Self {
            random,
            stages: [(0.0, 1.0); MAX_ORDER],
            order: 0,
            backward,
            gain: 0.0,
            target: 0.0,
            step: 0.0,
            ramp: 0,
        }
    }

    /// What the noise is like from now on: its level in −dBov (root mean square, 0 to 127; 127 and
    /// above are silence) and its quantised reflection coefficients (RFC 3389 section 3.2), of which
    /// the first [`MAX_ORDER`] count. Without any the noise is white. The reserved value 255 counts
    /// as 0. The level is reached within 128 samples.
    ///
    /// Noise above some −12 dBov is limited at full scale and so is fainter than asked for.
    pub fn set(&mut self, level_dbov: u8, reflection: &[u8]) {
        self.order = reflection.len().min(MAX_ORDER);
        for (stage, &index) in self.stages.iter_mut().zip(reflection) {
            *stage = rotation(index);
        }
        self.target = if level_dbov >= SILENCE {
            0.0
        } else {
            FULL_SCALE * 10_f32.powf(-f32::from(level_dbov) / 20.0)
        };
        self.ramp = RAMP;
        self.step = (self.target - self.gain) / RAMP as f32;
    }

    /// Fills `samples` with the next piece of the noise. Does not allocate.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            if self.ramp > 0 {
                self.ramp -= 1;
                self.gain = if self.ramp == 0 { self.target } else { self.gain + self.step };
            }
            *sample = to_sample(f64::from(self.gain * self.next()));
        }
    }

    /// The next value, of variance 1.
    fn next(&mut self) -> f32 {
        let mut forward = white(&mut self.random);
        for stage in (0..self.order).rev() {
            let (k, cosine) = self.stages[stage];
            let backward = self.backward[stage];
            let next = k * forward + cosine * backward;
            forward = cosine * forward - k * backward;
            // What leaves the last stage is not needed.
            if stage + 1 < MAX_ORDER {
                self.backward[stage + 1] = next;
            }
        }
        self.backward[0] = forward;
        forward
    }
}

/// k = 258 (N − 127) / 32,768 of an index N, and √(1 − k²).
fn rotation(index: u8) -> (f32, f32) {
    let index = if index == u8::MAX { 127 } else { index };
    let k = 258.0 * (f64::from(index) - 127.0) / 32_768.0;
    (k as f32, (1.0 - k * k).sqrt() as f32)
}

/// A random number of mean 0 and variance 1, nearly normal: the sum of the four quarters of 64 bits.
fn white(random: &mut Random) -> f32 {
    let bits = random.bits();
    let sum: u32 = (0..4).map(|quarter| (bits >> (16 * quarter)) as u32 & 0xffff).sum();
    (sum as f32 - 131_070.0) * (1.0 / VARIANCE.sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dsp::level::{peak_dbov, rms_dbov};

    /// Order 10, as a sender might measure them: a low hum with some colour above it.
    const COLOUR: [u8; 10] = [20, 190, 100, 140, 110, 150, 120, 130, 127, 125];

    fn noise(level: u8, reflection: &[u8], samples: usize) -> Vec<i16> {
        let mut generator = ComfortNoise::new(1);
        generator.set(level, reflection);
        generator.fill(&mut [0; RAMP as usize]);
        let mut noise = vec![0; samples];
        generator.fill(&mut noise);
        noise
    }

    /// Autocorrelation of a signal at `lag`, as a part of its power.
    fn likeness(signal: &[f64], lag: usize) -> f64 {
        let product =
            |lag: usize| -> f64 { signal[lag..].iter().zip(signal).map(|(a, b)| a * b).sum() };
        product(lag) / product(0)
    }

    #[test]
    fn a_second_of_noise_has_its_level_whatever_its_colour_is() {
        // 8000 values of white noise tell their power to √(2/8000), 0.07 dB. Noise with a pole at
        // 0.9 counts as some 800 of them: 0.2 dB. Rounding adds 0.01 dB at −75 dBov.
        for level in [15, 30, 45, 60, 75] {
            for reflection in [&[][..], &[13], &[240], &COLOUR] {
                let actual = rms_dbov(&noise(level, reflection, 8_000));
                assert!((actual + f64::from(level)).abs() < 0.5, "{actual} dBov, not −{level}");
            }
        }
    }

    #[test]
    fn noise_of_one_pole_has_the_spectrum_of_one_pole() {
        // 1 / (1 + k z⁻¹): what is alike after n samples is (−k)^n. The error of an autocorrelation
        // of 80,000 samples is about 1/√80,000 · √((1 + k²) / (1 − k²)) = 0.011 for k = 0.9.
        for index in [13_u8, 70, 127, 200, 240] {
            let k = 258.0 * (f64::from(index) - 127.0) / 32_768.0;
            let signal: Vec<f64> = noise(30, &[index], 80_000).into_iter().map(f64::from).collect();
            for lag in 1..=4 {
                let (actual, expected) = (likeness(&signal, lag), (-k).powf(lag as f64));
                assert!((actual - expected).abs() < 0.03, "{k}, {lag}: {actual}, not {expected}");
            }
        }
    }

    #[test]
    fn the_inverse_of_the_model_makes_the_noise_white_again() {
        let signal: Vec<f64> = noise(20, &COLOUR, 80_000).into_iter().map(f64::from).collect();
        assert!(likeness(&signal, 1) > 0.5);
        // The predictor's polynomial, one order after the other (Levinson's recursion).
        let mut polynomial = vec![1.0];
        for index in COLOUR {
            let k = 258.0 * (f64::from(index) - 127.0) / 32_768.0;
            polynomial.push(0.0);
            let reversed: Vec<f64> = polynomial.iter().rev().copied().collect();
            polynomial.iter_mut().zip(reversed).for_each(|(a, b)| *a += k * b);
        }
        let taps = polynomial.len();
        let residual: Vec<f64> = signal
            .windows(taps)
            .map(|past| past.iter().rev().zip(&polynomial).map(|(x, a)| x * a).sum())
            .collect();
        for lag in 1..=20 {
            // Five standard deviations of 1/√80,000.
            assert!(likeness(&residual, lag).abs() < 0.018, "{lag}: {}", likeness(&residual, lag));
        }
    }

    #[test]
    fn the_faintest_level_is_silence_and_so_is_no_level() {
        assert_eq!(noise(127, &COLOUR, 1_000), vec![0; 1_000]);
        assert_eq!(noise(255, &[], 1_000), vec![0; 1_000]);
        let mut samples = [1; 100];
        ComfortNoise::new(3).fill(&mut samples);
        assert_eq!(samples, [0; 100]);
        assert!(noise(90, &[], 1_000).iter().any(|&sample| sample != 0));
    }

    #[test]
    fn a_new_level_is_reached_evenly() {
        // Over the 128 samples of the ramp from −60 to −20 dBov the gain is a straight line: pieces
        // of 32 samples have 1/8, 3/8, 5/8 and 7/8 of the new level. Many generators together tell
        // a piece's level to 0.1 dB.
        let mut sums = [0.0; 5];
        for seed in 0..200 {
            let mut generator = ComfortNoise::new(seed);
            generator.set(60, &[]);
            generator.fill(&mut [0; 200]);
            generator.set(20, &[]);
            for sum in &mut sums {
                let mut piece = [0; 32];
                generator.fill(&mut piece);
                *sum += piece.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
            }
        }
        let full = 3_276.8_f64;
        for (n, sum) in sums.into_iter().enumerate() {
            let actual = (sum / (200.0 * 32.0)).sqrt() / full;
            let expected = ((2 * n + 1) as f64 / 8.0).min(1.0);
            assert!((actual - expected).abs() < 0.04, "{n}: {actual}, not {expected}");
        }
    }

    #[test]
    fn a_new_colour_does_not_change_the_level() {
        let mut generator = ComfortNoise::new(9);
        generator.set(30, &[]);
        generator.fill(&mut [0; 400]);
        let mut all = Vec::new();
        for turn in 0..400 {
            generator.set(30, [&[][..], &[13], &COLOUR, &[254; 16], &[0, 254, 0]][turn % 5]);
            let mut frame = [0; 160];
            generator.fill(&mut frame);
            // Nearly normal noise stays within ±3.5 standard deviations of each of its parts.
            assert!(peak_dbov(&frame) < -30.0 + 16.0, "{}", peak_dbov(&frame));
            all.extend(frame);
        }
        // Two of five colours change so slowly that a frame of them counts as few values.
        assert!((rms_dbov(&all) + 30.0).abs() < 1.0, "{} dBov", rms_dbov(&all));
    }

    #[test]
    fn pieces_join_to_the_same_noise() {
        let mut whole = [0; 500];
        let mut generator = ComfortNoise::new(4);
        generator.set(25, &COLOUR);
        let mut other = generator.clone();
        generator.fill(&mut whole);
        let mut pieces = Vec::new();
        for length in [1, 127, 0, 3, 369] {
            let mut piece = vec![0; length];
            other.fill(&mut piece);
            pieces.extend(piece);
        }
        assert_eq!(pieces, whole);
    }

    proptest! {
        #[test]
        fn any_bytes_make_noise_that_is_not_louder_than_they_say(
            seed: u64,
            sets in prop::collection::vec((40_u8.., prop::collection::vec(any::<u8>(), 0..40)), 1..8),
        ) {
            let mut generator = ComfortNoise::new(seed);
            let loudest = sets.iter().map(|&(level, _)| level).min().unwrap_or_default();
            for (level, reflection) in sets {
                generator.set(level, &reflection);
                let mut samples = [0; 400];
                generator.fill(&mut samples);
                // A value is a combination of 17 of at most √12 each, weights squared add up to 1.
                let peak = (12.0_f64 * 17.0).log10() * 10.0 - f64::from(loudest);
                prop_assert!(peak_dbov(&samples) < peak.max(-90.0) + 0.1);
            }
        }
    }
}
