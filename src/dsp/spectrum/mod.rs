//! Measuring code: the spectrum of 16-bit audio, and what it tells of a rate converter. For tests,
//! benches and documentation; it allocates, so it is not for the media path.
//!
//! Levels are powers relative to a sine of full scale (amplitude 32,768), in dBFS. White noise of
//! rounding to 16 bits has −98.1 dBFS: 1/12 against 32,768² / 2.

mod converter;

use std::f64::consts::TAU;
use std::ops::RangeInclusive;

use super::fft::{Complex, Fft};
use crate::audio::SampleRate;

pub use converter::{Bands, Converter, Figures};

/// Amplitude of a sine of full scale.
const FULL_SCALE: f64 = 32_768.0;

/// Coefficients of the cosines of a seven-term window with side lobes below −180 dB (Albrecht, "A
/// family of cosine-sum windows for high-resolution measurements", ICASSP 2001).
const WINDOW: [f64; 7] = [
    0.271_051_400_693_42,
    0.433_297_939_234_48,
    0.218_122_999_543_11,
    0.065_925_446_388_03,
    0.010_811_742_098_37,
    0.000_776_584_825_22,
    0.000_013_887_217_35,
];

/// Bins on either side of a tone that its line reaches into: the main lobe of the window.
const LOBE: usize = WINDOW.len();

/// What is below this power is as good as nothing, and has a finite level: −200 dBFS.
const NOTHING: f64 = 1e-20;

/// A sine among those that make up a stimulus.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tone {
    /// In Hz.
    pub frequency_hz: f64,
    /// Peak, as a fraction of full scale.
    pub amplitude: f64,
    /// Where in its period it starts, in turns.
    pub phase: f64,
}

impl Tone {
    /// A tone that starts at its zero, going up, with the given level in dBFS.
    #[must_use]
    pub fn new(frequency_hz: f64, level_dbfs: f64) -> Self {
        Self { frequency_hz, amplitude: 10_f64.powf(level_dbfs / 20.0), phase: 0.0 }
    }

    /// Tones of one level at `frequencies`, as loud as they can be if their sum shall never pass
    /// `peak` (a fraction of full scale) within a second at `rate`. Phases that go with the square
    /// of a tone's number keep the sum's peak low (Schroeder, IEEE Trans. Inf. Theory, 1970).
    #[must_use]
    pub fn multitone(frequencies: &[f64], rate: SampleRate, peak: f64) -> Vec<Self> {
        let count = frequencies.len() as f64;
        let phase = |n: usize| (n * n) as f64 / (2.0 * count) % 1.0;
        let mut tones: Vec<Self> = frequencies
            .iter()
            .enumerate()
            .map(|(n, &frequency_hz)| Self { frequency_hz, amplitude: 1.0, phase: phase(n) })
            .collect();
        let highest = (0..rate.hz() as usize)
            .map(|n| tones.iter().map(|tone| tone.at(n, rate)).sum::<f64>().abs())
            .fold(f64::MIN_POSITIVE, f64::max);
        for tone in &mut tones {
            tone.amplitude = peak / highest;
        }
        tones
    }

    fn at(&self, sample: usize, rate: SampleRate) -> f64 {
        let turns = self.frequency_hz * sample as f64 / f64::from(rate.hz()) + self.phase;
        self.amplitude * (TAU * turns).sin()
    }

    /// Samples `first..` of the sum of `tones`, each rounded to the nearest 16-bit value.
    pub fn fill(tones: &[Self], rate: SampleRate, first: usize, samples: &mut [i16]) {
        for (n, sample) in samples.iter_mut().enumerate() {
            let sum: f64 = tones.iter().map(|tone| tone.at(first + n, rate)).sum();
            // Saturates.
            *sample = (sum * FULL_SCALE).round() as i16;
        }
    }
}

/// `count` frequencies, evenly spaced, from one end of `band` to the other: a stepped sweep, or the
/// places of a multitone.
#[must_use]
pub fn steps(band: &RangeInclusive<f64>, count: usize) -> Vec<f64> {
    let span = band.end() - band.start();
    let last = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|n| band.start() + span * n as f64 / last).collect()
}

/// Powers by frequency of a stretch of audio.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// One per bin from 0 Hz up to half of the rate; they add up to the power of the signal.
    powers: Vec<f64>,
    hz_per_bin: f64,
}

impl Spectrum {
    /// Samples that make a bin of 1 Hz or a little less: a power of two.
    #[must_use]
    pub const fn samples_at(rate: SampleRate) -> usize {
        (rate.hz() as usize).next_power_of_two()
    }

    /// The windowed spectrum of `samples`.
    ///
    /// # Panics
    /// Where the number of samples is not a power of two, or too small to hold a line.
    #[must_use]
    pub fn of(samples: &[i16], rate: SampleRate) -> Self {
        let length = samples.len();
        assert!(length > 8 * LOBE, "{length} samples are too few for a line");
        let mut data = vec![Complex::default(); length];
        let mut weights = 0.0;
        for (n, (value, &sample)) in data.iter_mut().zip(samples).enumerate() {
            let weight = window(n as f64 / length as f64);
            weights += weight * weight;
            value.re = weight * f64::from(sample) / FULL_SCALE;
        }
        Fft::new(length).forward(&mut data);
        // By Parseval's theorem, a sine of full scale adds up to length · weights / 4 in the bins
        // around its frequency, and to as much around the negative one.
        let scale = 4.0 / (length as f64 * weights);
        let bits = length.ilog2();
        let power = |bin: usize| {
            let value = data[bin.reverse_bits() >> (usize::BITS - bits)];
            scale * (value.re * value.re + value.im * value.im)
        };
        let powers = (0..length / 2).map(power).collect();
        Self { powers, hz_per_bin: f64::from(rate.hz()) / length as f64 }
    }

    /// Level of the line at `frequency_hz`, in dBFS, wherever it lies between bins. A second line
    /// closer than 7 bins counts in part; what else lies there, as noise, counts too.
    #[must_use]
    pub fn line_dbfs(&self, frequency_hz: f64) -> f64 {
        to_db(self.powers[self.lobe_at(frequency_hz)].iter().sum())
    }

    /// Distortion and noise: all but the tone at `frequency_hz` and what surrounds 0 Hz, in dB
    /// relative to that tone.
    #[must_use]
    pub fn thd_n_db(&self, frequency_hz: f64) -> f64 {
        let lobe = self.lobe_at(frequency_hz);
        let tone: f64 = self.powers[lobe.clone()].iter().sum();
        let outside = |&(bin, _): &(usize, &f64)| bin > LOBE && !lobe.contains(&bin);
        let rest: f64 = self.powers.iter().enumerate().filter(outside).map(|(_, p)| p).sum();
        to_db(rest) - to_db(tone)
    }

    /// The strongest line within `band`: its frequency in Hz, to the bin, and its level in dBFS.
    /// Lines around `except` and around 0 Hz do not count. `None` where nothing is left.
    #[must_use]
    pub fn strongest(&self, band: &RangeInclusive<f64>, except: &[f64]) -> Option<(f64, f64)> {
        let taken: Vec<usize> = except.iter().map(|&frequency| self.bin(frequency)).collect();
        let free = |bin: usize| {
            bin > 2 * LOBE && taken.iter().all(|&other| bin.abs_diff(other) > 2 * LOBE)
        };
        (self.bin(*band.start())..=self.bin(*band.end()))
            .filter(|&bin| free(bin))
            .max_by(|&a, &b| self.powers[a].total_cmp(&self.powers[b]))
            .map(|bin| bin as f64 * self.hz_per_bin)
            .map(|frequency| (frequency, self.line_dbfs(frequency)))
    }

    /// Half of the sample rate, in Hz.
    fn end_hz(&self) -> f64 {
        self.powers.len() as f64 * self.hz_per_bin
    }

    fn bin(&self, frequency_hz: f64) -> usize {
        ((frequency_hz / self.hz_per_bin).round() as usize).min(self.powers.len() - 1)
    }

    fn lobe_at(&self, frequency_hz: f64) -> std::ops::Range<usize> {
        let bin = self.bin(frequency_hz);
        bin.saturating_sub(LOBE)..(bin + LOBE + 1).min(self.powers.len())
    }
}

/// The window at `x`, 0 to 1.
fn window(x: f64) -> f64 {
    let terms = WINDOW.iter().enumerate();
    terms.map(|(k, a)| a * (TAU * k as f64 * (x - 0.5)).cos()).sum()
}

fn to_db(power: f64) -> f64 {
    10.0 * power.max(NOTHING).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate::HZ_16000;

    fn spectrum(tones: &[Tone]) -> Spectrum {
        let mut samples = vec![0; Spectrum::samples_at(RATE)];
        Tone::fill(tones, RATE, 0, &mut samples);
        Spectrum::of(&samples, RATE)
    }

    #[test]
    fn a_line_has_its_level_wherever_it_lies_between_bins() {
        for frequency in [300.0, 300.25, 300.5, 997.0, 3_400.75, 7_900.0] {
            let spectrum = spectrum(&[Tone::new(frequency, -1.0)]);
            let level = spectrum.line_dbfs(frequency);
            assert!((level + 1.0).abs() < 1e-3, "{frequency} Hz: {level} dBFS");
        }
    }

    #[test]
    fn a_faint_line_beside_a_loud_one_is_found_at_its_place_with_its_level() {
        for faint in [-40.0, -70.0, -95.0] {
            let both = [Tone::new(1_000.5, -1.0), Tone::new(5_432.1, faint)];
            let (frequency, level) =
                spectrum(&both).strongest(&(0.0..=8_000.0), &[1_000.5]).unwrap();
            assert!((frequency - 5_432.1).abs() < 1.0, "{frequency} Hz");
            // Noise of rounding within the 15 bins of a lobe: −98.1 dBFS · 15 / 8192 = −125.5.
            assert!((level - faint).abs() < 0.1, "{level} dBFS instead of {faint}");
        }
    }

    #[test]
    fn noise_of_rounding_is_where_theory_says() {
        // 1/12 against 32,768² / 2 is −98.09 dBFS; the tone is 1 dB below full scale.
        let figure = spectrum(&[Tone::new(997.0, -1.0)]).thd_n_db(997.0);
        assert!((figure + 97.09).abs() < 0.3, "{figure} dB");
    }

    #[test]
    fn distortion_of_a_known_degree_is_measured() {
        // Two harmonics of −60 and −66 dB: 10^−6 + 10^−6.6 of the power, −59.03 dB.
        let tones =
            [Tone::new(1_000.0, -6.0), Tone::new(2_000.0, -66.0), Tone::new(3_000.0, -72.0)];
        let figure = spectrum(&tones).thd_n_db(1_000.0);
        assert!((figure + 59.03).abs() < 0.02, "{figure} dB");
    }

    #[test]
    fn a_tone_leaks_nowhere() {
        // Without rounding nothing but the window limits what can be seen beside a tone.
        let length = 4096;
        let mut data: Vec<Complex> = (0..length)
            .map(|n| {
                let x = n as f64 / length as f64;
                Complex { re: window(x) * (TAU * 400.5 * x).sin(), im: 0.0 }
            })
            .collect();
        Fft::new(length).forward(&mut data);
        let power = |bin: usize| {
            let value = data[bin.reverse_bits() >> (usize::BITS - length.ilog2())];
            value.re * value.re + value.im * value.im
        };
        let beside = (0..length / 2).filter(|bin| bin.abs_diff(400) > LOBE).map(power);
        let leaked = to_db(beside.fold(0.0, f64::max) / power(400));
        assert!(leaked < -170.0, "{leaked} dB");
    }

    #[test]
    fn a_multitone_keeps_to_its_peak_and_its_tones_are_alike() {
        let frequencies = steps(&(300.0..=3_400.0), 48);
        let tones = Tone::multitone(&frequencies, RATE, 0.9);
        let mut samples = vec![0; RATE.hz() as usize];
        Tone::fill(&tones, RATE, 0, &mut samples);
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((29_488..=29_492).contains(&peak), "{peak}");
        let spectrum = spectrum(&tones);
        let expected = 20.0 * tones[0].amplitude.log10();
        for frequency in frequencies {
            let level = spectrum.line_dbfs(frequency);
            assert!((level - expected).abs() < 1e-3, "{frequency} Hz: {level}, not {expected}");
        }
        // 48 tones of random phases would have a crest of 12 dB or more and lie below −28 dBFS.
        assert!(expected > -25.0, "{expected} dBFS");
    }

    #[test]
    fn steps_reach_from_end_to_end() {
        assert_eq!(steps(&(300.0..=3_400.0), 3), [300.0, 1_850.0, 3_400.0]);
        assert_eq!(steps(&(300.0..=3_400.0), 1), [300.0]);
    }
}
