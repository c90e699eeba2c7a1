//! Finds digits by their two tones.
//!
//! Windows of 12.75 ms, which cannot resolve less than the rows are apart, overlap by half. In each,
//! Goertzel's algorithm takes the power at the eight frequencies; the window is a digit's where one
//! row and one column stand out of their groups, are about as loud as each other, and make up nearly
//! all that there is: speech has more than two tones. A digit is told when it is over, and was heard
//! for as long as ITU-T Q.24 has it.

use std::f64::consts::TAU;

use super::{KEYS, LOWER_HZ, UPPER_HZ};
use crate::audio::SampleRate;

/// Length of a window, of which one begins every half of that.
const WINDOW_US: u64 = 12_750;

/// Consecutive windows of a digit that are one: they span 32 ms. 40 ms of tones (the shortest that
/// Q.24 has accepted) fill five, of 20 ms at most three.
const HITS: u32 = 4;

/// Consecutive windows without it that end a digit. 10 ms without tones (the longest that Q.24 has
/// bridged) spoil three, 40 ms (the shortest pause that it has accepted) seven.
const MISSES: u32 = 5;

/// The least power of each tone, as a mean square of samples: −40 dBov. The weakest that Q.24 has
/// accepted is −25 dBm0, some 9 dB above that.
const LEAST_POWER: f64 = 1e-4 * 32_768.0 * 32_768.0;

/// By how much the column may be louder than the row, and the row louder than the column, as ratios
/// of power: 6 and 11 dB. Q.24 has 4 and 8 for North America; the rest is what a window makes of them.
const MOST_TWIST: f64 = 3.98;
const MOST_REVERSE_TWIST: f64 = 12.6;

/// By how much a tone must stand out of its group: 5 dB. More would lose columns 8 dB below their
/// row, which reaches over to them.
const STANDS_OUT: f64 = 3.16;

/// The least share that the two tones have in a window's power. Where both are 1.5 % beside their
/// frequencies, as Q.24 has accepted, a window finds three quarters of them.
const LEAST_SHARE: f64 = 0.70;

/// A digit that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// `0` to `9`, `*`, `#` or `A` to `D`.
    pub key: char,
    /// Where it began, in samples since the detector's start, to some milliseconds.
    pub start: u64,
    /// How many samples it lasted, likewise.
    pub samples: u64,
}

/// Finds digits in audio that comes in pieces of any length.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    /// 2 cos ω for each of the eight frequencies.
    coefficients: [f64; 8],
    window: Vec<f64>,
    window_samples: usize,
    hop: usize,
    /// Samples that lie before the window.
    passed: u64,
    /// What the windows before it held.
    run: Option<Run>,
}

/// Windows that hold the same digit.
#[derive(Clone, Copy, Debug)]
struct Run {
    key: char,
    start: u64,
    end: u64,
    hits: u32,
    misses: u32,
}

impl DtmfDetector {
    /// A detector for audio at `rate`.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        let hz = f64::from(rate.hz());
        let hop = (u64::from(rate.hz()) * WINDOW_US / 2_000_000) as usize;
        let frequency = |n: usize| if n < 4 { LOWER_HZ[n] } else { UPPER_HZ[n - 4] };
        Self {
            coefficients: std::array::from_fn(|n| 2.0 * (TAU * frequency(n) / hz).cos()),
            window: Vec::with_capacity(2 * hop),
            window_samples: 2 * hop,
            hop,
            passed: 0,
            run: None,
        }
    }

    /// Takes the next samples, and tells of each digit that ended in them. Does not allocate.
    pub fn feed(&mut self, mut samples: &[i16], mut tell: impl FnMut(Found)) {
        while !samples.is_empty() {
            let wanted = self.window_samples - self.window.len();
            let (piece, rest) = samples.split_at(wanted.min(samples.len()));
            self.window.extend(piece.iter().map(|sample| f64::from(*sample)));
            samples = rest;
            if self.window.len() == self.window_samples {
                let key = self.key();
                if let Some(found) = self.follow(key) {
                    tell(found);
                }
                self.window.drain(..self.hop);
                self.passed += self.hop as u64;
            }
        }
    }

    /// Follows the runs of windows; answers a digit that is over.
    fn follow(&mut self, key: Option<char>) -> Option<Found> {
        let end = self.passed + self.window_samples as u64;
        let begun = key.map(|key| Run { key, start: self.passed, end, hits: 1, misses: 0 });
        let Some(run) = &mut self.run else {
            self.run = begun;
            return None;
        };
        if key == Some(run.key) {
            run.end = end;
            run.hits += 1;
            run.misses = 0;
            return None;
        }
        run.misses += 1;
        let is_digit = run.hits >= HITS;
        if is_digit && run.misses < MISSES {
            return None;
        }
        let Run { key, start, end, .. } = *run;
        self.run = begun;
        is_digit.then_some(Found { key, start, samples: end - start })
    }

    /// The digit that the window holds.
    fn key(&self) -> Option<char> {
        let count = self.window_samples as f64;
        let mean_square = self.window.iter().map(|sample| sample * sample).sum::<f64>() / count;
        if mean_square < LEAST_POWER {
            return None;
        }
        let powers = self.powers();
        let (row, lower) = loudest(&powers[..4])?;
        let (column, upper) = loudest(&powers[4..])?;
        let is_level = upper <= lower * MOST_TWIST && lower <= upper * MOST_REVERSE_TWIST;
        let is_loud = lower >= LEAST_POWER && upper >= LEAST_POWER;
        let is_all = lower + upper >= LEAST_SHARE * mean_square;
        (is_loud && is_level && is_all).then_some(KEYS[row][column])
    }

    /// Power at each frequency, as the mean square of a sine: G. Goertzel, "An Algorithm for the
    /// Evaluation of Finite Trigonometric Series", 1958.
    fn powers(&self) -> [f64; 8] {
        let (mut latest, mut before) = ([0.0; 8], [0.0; 8]);
        for sample in &self.window {
            for n in 0..8 {
                let next = sample + self.coefficients[n] * latest[n] - before[n];
                before[n] = std::mem::replace(&mut latest[n], next);
            }
        }
        let scale = 2.0 / (self.window_samples as f64).powi(2);
        std::array::from_fn(|n| {
            let (latest, before) = (latest[n], before[n]);
            scale * (latest * latest + before * before - self.coefficients[n] * latest * before)
        })
    }
}

/// The loudest of four, where it stands out.
fn loudest(powers: &[f64]) -> Option<(usize, f64)> {
    let (place, most) =
        powers.iter().copied().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let stands_out = |(n, power): (usize, &f64)| n == place || *power * STANDS_OUT <= most;
    powers.iter().enumerate().all(stands_out).then_some((place, most))
}
