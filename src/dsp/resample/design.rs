//! Design of the resampler's low-pass filters: a sinc under a Kaiser window, cut into phases.

use std::f64::consts::PI;

use super::Quality;
use super::kernel::LANES;
use crate::audio::SampleRate;

/// A low-pass filter for one pair of rates, cut into the phases of a polyphase resampler.
///
/// Thought of at the lowest common multiple of both rates, where `up` ticks are one input sample
/// and `down` ticks one output sample.
#[derive(Debug)]
pub(super) struct Bank {
    /// Ticks of one input sample: the number of phases.
    pub(super) up: usize,
    /// Ticks of one output sample.
    pub(super) down: usize,
    /// Coefficients of one phase; a multiple of [`LANES`].
    pub(super) taps: usize,
    /// Output samples from an impulse to its peak.
    pub(super) output_delay: usize,
    /// Phase after phase; in each, the coefficient of the oldest input sample first.
    coefficients: Box<[f32]>,
}

/// What a filter shall do, in fractions of the lower of the two rates.
struct Specification {
    /// Periods of the lower rate from the middle of the impulse response to its ends.
    reach: usize,
    /// Where the response has fallen to one half.
    cutoff: f64,
    /// Attenuation of the stop band in dB, from which the window's shape follows.
    stop_db: f64,
}

impl Quality {
    const fn specification(self) -> Specification {
        match self {
            Self::Voice => Specification { reach: 26, cutoff: 0.4585, stop_db: 66.0 },
            Self::High => Specification { reach: 112, cutoff: 0.4853, stop_db: 100.0 },
        }
    }
}

impl Bank {
    /// The filter from `from` to `to`, two different rates.
    pub(super) fn new(from: SampleRate, to: SampleRate, quality: Quality) -> Self {
        let divisor = greatest_common_divisor(from.hz(), to.hz());
        let up = (to.hz() / divisor) as usize;
        let down = (from.hz() / divisor) as usize;
        let Specification { reach, cutoff, stop_db } = quality.specification();
        let ticks = up.max(down);

        // Symmetric about a tick that is a whole number of output samples.
        let output_delay = reach * ticks / down;
        let prototype = prototype(output_delay * down, cutoff / ticks as f64, stop_db);

        let taps = prototype.len().div_ceil(up).next_multiple_of(LANES);
        let mut coefficients = vec![0.0; up * taps].into_boxed_slice();
        for (phase, coefficients) in coefficients.chunks_exact_mut(taps).enumerate() {
            let of_phase = || prototype.iter().skip(phase).step_by(up);
            // Each phase passes a constant as it is.
            let sum: f64 = of_phase().sum();
            for (coefficient, tap) in coefficients.iter_mut().rev().zip(of_phase()) {
                *coefficient = (tap / sum) as f32;
            }
        }
        Self { up, down, taps, output_delay, coefficients }
    }

    /// The coefficients of one phase.
    #[inline(always)]
    pub(super) fn phase(&self, phase: usize) -> &[f32] {
        &self.coefficients[phase * self.taps..][..self.taps]
    }
}

/// The ideal low-pass filter's impulse response under a Kaiser window (Oppenheim and Schafer,
/// Discrete-Time Signal Processing, section 7.5.3), as far as `reach` ticks to either side of its
/// middle, with its cut-off at `cutoff` periods per tick. Not scaled.
fn prototype(reach: usize, cutoff: f64, stop_db: f64) -> Vec<f64> {
    let beta = kaiser_beta(stop_db);
    let tap = |distance: usize| {
        let angle = 2.0 * PI * cutoff * distance as f64;
        let ideal = if distance == 0 { 1.0 } else { angle.sin() / angle };
        let edge = distance as f64 / (reach + 1) as f64;
        ideal * bessel_i0(beta * (1.0 - edge * edge).sqrt())
    };
    let half: Vec<f64> = (0..=reach).map(tap).collect();
    half.iter().rev().chain(&half[1..]).copied().collect()
}

/// Kaiser's formula for the shape of a window with more than 50 dB of attenuation.
fn kaiser_beta(stop_db: f64) -> f64 {
    0.1102 * (stop_db - 8.7)
}

/// Modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1.. {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    sum
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Response of the whole filter at `frequency`, a fraction of the lower rate, in dB.
    fn response_db(bank: &Bank, frequency: f64) -> f64 {
        let per_tick = 2.0 * PI * frequency / bank.up.max(bank.down) as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for phase in 0..bank.up {
            for (k, &tap) in bank.phase(phase).iter().rev().enumerate() {
                let (sin, cos) = (per_tick * (phase + k * bank.up) as f64).sin_cos();
                re += f64::from(tap) * cos;
                im += f64::from(tap) * sin;
            }
        }
        20.0 * (re.hypot(im) / bank.up as f64).log10()
    }

    fn grid(from: f64, to: f64, points: u32) -> impl Iterator<Item = f64> {
        (0..=points).map(move |n| from + (to - from) * f64::from(n) / f64::from(points))
    }

    fn check(from: SampleRate, to: SampleRate) {
        for (quality, pass, ripple_db, stops) in [
            (Quality::Voice, 0.425, 0.1, &[(0.5, -60.0), (0.575, -70.0)][..]),
            (Quality::High, 0.47, 0.01, &[(0.5, -95.0)][..]),
        ] {
            let bank = Bank::new(from, to, quality);
            let ticks = bank.up.max(bank.down);
            // As many points as the longest filters allow.
            let points = (3_000_000 / (bank.up * bank.taps)).clamp(25, 400) as u32;
            for frequency in grid(0.0, pass, points / 4) {
                let gain = response_db(&bank, frequency);
                assert!(gain.abs() <= ripple_db, "{from} to {to}: {gain:.3} dB at {frequency}");
            }
            for &(start, limit) in stops {
                // The lobes fall with the distance: the first of them all, then here and there.
                let near = grid(start, start + 0.1, points);
                let far = grid(start + 0.1, ticks as f64 / 2.0, points);
                for frequency in near.chain(far) {
                    let gain = response_db(&bank, frequency);
                    assert!(gain <= limit, "{from} to {to}: {gain:.1} dB at {frequency}");
                }
            }
        }
    }

    #[test]
    fn the_filters_do_what_their_documentation_says() {
        let rates = SampleRate::ALL.into_iter().filter(|rate| rate.hz() <= 48_000);
        for from in rates.clone() {
            for to in rates.clone().filter(|&to| to != from) {
                check(from, to);
            }
        }
    }

    #[test]
    fn the_bessel_function_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 9.8.
        for (x, expected) in [(0.0, 1.0), (1.0, 1.266_065_878), (5.0, 27.239_871_82)] {
            assert!((bessel_i0(x) / expected - 1.0).abs() < 1e-9, "{x}");
        }
    }
}
