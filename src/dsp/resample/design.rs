//! Design of the resampler's low-pass filters: a sinc under a Kaiser window, cut into phases, in
//! whole numbers.

use std::f64::consts::PI;

use super::kernel::OVERRUN;
use super::{BLOCK, Quality};
use crate::audio::SampleRate;

/// Bits behind the point of the sums that [`Layer::shift`] leads to.
pub(super) const SUM_BITS: u32 = 13;

/// Banks of up to so many phases are worked on phase by phase, those of more output by output.
const MAX_ROWS: usize = 8;

/// Bits of a coefficient below the 16 of the first layer, in banks of many phases.
const MANY_PHASES_EXTRA_BITS: u32 = 8;

/// Most that the magnitudes of a segment's coefficients come to, so that the sum of their products
/// with 16-bit samples stays below 2^31.
const MAX_SEGMENT_SUM: f64 = 65_535.0;

/// Coefficients of one output that are multiplied at a time where outputs are made one by one.
pub(super) const DOT: usize = 32;

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
    /// Coefficients of one phase: even, and a multiple of [`DOT`] where outputs are made one by one.
    pub(super) taps: usize,
    /// Output samples from an impulse to its peak.
    pub(super) output_delay: usize,
    /// What adds up to the coefficients, the coarsest first.
    pub(super) layers: Vec<Layer>,
    /// Pairs of samples in one of the `down` planes that a line is dealt out to.
    pub(super) plane_len: usize,
    /// Of a window that begins at sample `r` of the line: where every other pair of its samples is,
    /// counted through all planes.
    pub(super) places: Vec<Box<[usize]>>,
}

/// 16 bits of each coefficient.
#[derive(Debug)]
pub(super) struct Layer {
    /// Phase after phase; in each, the coefficient of the oldest input sample first.
    coefficients: Box<[i16]>,
    /// Where in a phase the sum so far is shifted right by `shift` bits and added up elsewhere: so
    /// often that 32 bits are enough whatever the input is. Multiples of [`DOT`] where outputs are
    /// made one by one, else even; the last one is the end.
    pub(super) segments: Vec<usize>,
    /// See `segments`.
    pub(super) shift: u32,
    taps: usize,
}

/// What a filter shall do, in fractions of the lower of the two rates.
struct Specification {
    /// Periods of the lower rate from the middle of the impulse response to its ends.
    reach: usize,
    /// Where the response has fallen to one half.
    cutoff: f64,
    /// Attenuation of the stop band in dB, from which the window's shape follows.
    stop_db: f64,
    /// Bits of a coefficient below the 16 of the first layer, in banks of few phases.
    extra_bits: u32,
}

impl Quality {
    const fn specification(self) -> Specification {
        match self {
            Self::Voice => {
                Specification { reach: 26, cutoff: 0.4585, stop_db: 66.0, extra_bits: 0 }
            }
            Self::High => Specification { reach: 100, cutoff: 0.484, stop_db: 97.5, extra_bits: 8 },
        }
    }
}

impl Bank {
    /// The filter from `from` to `to`, two different rates.
    pub(super) fn new(from: SampleRate, to: SampleRate, quality: Quality) -> Self {
        let divisor = greatest_common_divisor(from.hz(), to.hz());
        let up = (to.hz() / divisor) as usize;
        let down = (from.hz() / divisor) as usize;
        let Specification { reach, cutoff, stop_db, extra_bits } = quality.specification();
        // The errors of many phases do not lie in a few images, but everywhere.
        let extra_bits = if up <= MAX_ROWS { extra_bits } else { MANY_PHASES_EXTRA_BITS };
        let ticks = up.max(down);

        // Symmetric about a tick that is a whole number of output samples.
        let output_delay = reach * ticks / down;
        let prototype = prototype(output_delay * down, cutoff / ticks as f64, stop_db);
        let step = if up <= MAX_ROWS { 2 } else { DOT };
        let taps = prototype.len().div_ceil(up).next_multiple_of(step);
        let phases: Vec<Vec<f64>> = (0..up).map(|phase| phase_of(&prototype, phase, up)).collect();

        let most = |of: &dyn Fn(&Vec<f64>) -> f64| phases.iter().map(of).fold(0.0, f64::max);
        let largest = most(&|phase| phase.iter().fold(0.0_f64, |most, tap| most.max(tap.abs())));
        let bits = if up <= MAX_ROWS {
            // As many as the largest coefficient allows.
            (f64::from(i16::MAX) / largest).log2()
        } else {
            // As many as one sum of all products allows.
            (MAX_SEGMENT_SUM / most(&|phase| phase.iter().map(|tap| tap.abs()).sum())).log2()
        };
        let bits = bits.floor() as u32;
        let mut whole: Vec<i32> = Vec::with_capacity(up * taps);
        for phase in &phases {
            let mut exact = round_to_sum(phase, bits + extra_bits);
            exact.resize(taps, 0);
            whole.extend(exact.iter().rev());
        }
        let mut layers = Vec::new();
        if extra_bits > 0 {
            let fine = |tap: &i32| (tap - (coarse(*tap, extra_bits) << extra_bits)) as i16;
            let shift = bits + extra_bits - SUM_BITS;
            layers.push(Layer::new(whole.iter().map(fine).collect(), taps, step, shift));
        }
        let top = |tap: &i32| coarse(*tap, extra_bits) as i16;
        let top = whole.iter().map(top).collect();
        layers.insert(0, Layer::new(top, taps, step, bits - SUM_BITS));
        let plane_len = BLOCK.div_ceil(down) + 2 * taps + 2 * OVERRUN;
        let place = |sample: usize| sample % down * plane_len + sample / down;
        let places_of = |first: usize| (first..first + taps).step_by(2).map(place).collect();
        let places = if up <= MAX_ROWS { (0..down).map(places_of).collect() } else { Vec::new() };
        Self { up, down, taps, output_delay, layers, plane_len, places }
    }

    /// Whether each phase has enough outputs to work on several of them side by side.
    pub(super) const fn has_rows(&self) -> bool {
        self.up <= MAX_ROWS
    }
}

impl Layer {
    fn new(coefficients: Box<[i16]>, taps: usize, step: usize, shift: u32) -> Self {
        let magnitude = |part: &[i16]| part.iter().map(|tap| f64::from(tap.unsigned_abs())).sum();
        let fits = |start: usize, end: usize| {
            let sums = coefficients.chunks(taps).map(|phase| magnitude(&phase[start..end]));
            sums.fold(0.0, f64::max) <= MAX_SEGMENT_SUM
        };
        let (mut segments, mut start) = (Vec::new(), 0);
        for end in (step..=taps).step_by(step) {
            if end == taps || !fits(start, end + step) {
                segments.push(end);
                start = end;
            }
        }
        Self { coefficients, segments, shift, taps }
    }

    /// The coefficients of one phase.
    #[inline(always)]
    pub(super) fn phase(&self, phase: usize) -> &[i16] {
        &self.coefficients[phase * self.taps..][..self.taps]
    }
}

/// A coefficient without its last bits, to the nearest.
const fn coarse(tap: i32, bits: u32) -> i32 {
    if bits == 0 { tap } else { (tap + (1 << (bits - 1))) >> bits }
}

/// One phase of the whole filter, scaled so that it passes a constant as it is.
fn phase_of(prototype: &[f64], phase: usize, up: usize) -> Vec<f64> {
    let taps: Vec<f64> = prototype.iter().skip(phase).step_by(up).copied().collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| tap / sum).collect()
}

/// Coefficients in units of 2^−`bits` whose sum is exactly 1: what rounding leaves over is given to
/// the largest of them.
fn round_to_sum(taps: &[f64], bits: u32) -> Vec<i32> {
    let one = f64::from(1_u32 << bits);
    let mut rounded: Vec<i32> = taps.iter().map(|tap| (tap * one).round() as i32).collect();
    let mut by_size: Vec<usize> = (0..taps.len()).collect();
    by_size.sort_by(|&a, &b| taps[b].abs().total_cmp(&taps[a].abs()));
    let missing = (1 << bits) - rounded.iter().sum::<i32>();
    for &index in by_size.iter().cycle().take(missing.unsigned_abs() as usize) {
        rounded[index] += missing.signum();
    }
    rounded
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
        for layer in &bank.layers {
            let unit = f64::from(1_u32 << (SUM_BITS + layer.shift)).recip();
            for phase in 0..bank.up {
                for (k, &tap) in layer.phase(phase).iter().rev().enumerate() {
                    let (sin, cos) = (per_tick * (phase + k * bank.up) as f64).sin_cos();
                    re += f64::from(tap) * unit * cos;
                    im += f64::from(tap) * unit * sin;
                }
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
    fn no_sum_overflows_whatever_the_input_is() {
        for from in SampleRate::ALL {
            for to in SampleRate::ALL.into_iter().filter(|&to| to != from) {
                for quality in [Quality::Voice, Quality::High] {
                    let bank = Bank::new(from, to, quality);
                    for phase in 0..bank.up {
                        let mut whole = 0;
                        for layer in &bank.layers {
                            let mut start = 0;
                            for &end in &layer.segments {
                                let part = &layer.phase(phase)[start..end];
                                let most: i64 =
                                    part.iter().map(|&tap| i64::from(tap).abs() << 15).sum();
                                start = end;
                                assert!(most < 1 << 31, "{from} to {to}, {quality:?}");
                                whole += most >> layer.shift;
                            }
                            assert_eq!(start, bank.taps);
                        }
                        assert!(whole < 1 << 31, "{from} to {to}, {quality:?}");
                    }
                }
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
