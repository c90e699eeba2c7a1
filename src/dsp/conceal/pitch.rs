//! The period of a sound.

use std::ops::RangeInclusive;

use super::{dot, shift_to_small};
use crate::audio::SampleRate;

/// Longest and shortest period, 66 and 200 Hz, as in G.711 Appendix I. Of a higher voice it is a
/// multiple of the period.
const LONGEST_US: usize = 15_000;
const SHORTEST_US: usize = 5_000;

/// How much of the sound's end is compared with what was before.
const WINDOW_US: usize = 7_000;

/// Rate of the grid of the first search; the real one is up to half of it higher.
const GRID_HZ: usize = 8_000;

/// Samples of the grid: 15 + 7 ms of 12 kHz, rounded up.
const GRID: usize = 270;

/// The longest period that is looked for, in samples.
pub(super) const fn longest(rate: SampleRate) -> usize {
    rate.hz() as usize * LONGEST_US / 1_000_000
}

/// The distance in samples, 5 to 15 ms, at which the end of `sound` resembles what was before it
/// most: by normalised cross-correlation, first on a grid, then to the sample. The longest where
/// nothing resembles. `sound` must hold 22 ms.
pub(super) fn period(sound: &[i16], rate: SampleRate) -> usize {
    let hz = rate.hz() as usize;
    let (shortest, longest) = (hz * SHORTEST_US / 1_000_000, longest(rate));
    let window = hz * WINDOW_US / 1_000_000;
    let step = hz / GRID_HZ;

    let mut grid = [0; GRID];
    let grid = &mut grid[..(window + longest) / step];
    reduce(sound, step, grid);
    let on_grid = |lag| compare(grid, window / step, lag, dot);
    let coarse = most_alike(shortest / step..=longest / step, on_grid);
    if step == 1 {
        return coarse;
    }
    // Within a step of the coarse one, by one sample in a quarter of a step.
    let around = (coarse * step - step).max(shortest)..=(coarse * step + step).min(longest);
    let stride = step.div_ceil(4);
    most_alike(around, |lag| compare(sound, window, lag, |a, b| sparse_dot(a, b, stride)))
}

/// The means of `step` samples each, up to the end of `sound`, made small.
fn reduce(sound: &[i16], step: usize, grid: &mut [i16]) {
    let used = &sound[sound.len() - grid.len() * step..];
    let shift = shift_to_small(used);
    let share = 1.0 / step as f32;
    for (mean, samples) in grid.iter_mut().zip(used.chunks_exact(step)) {
        let sum: i32 = samples.iter().map(|&sample| i32::from(sample)).sum();
        *mean = (sum as f32 * share) as i16 >> shift;
    }
}

/// The lag whose product, normalised by the energy, is the highest above 0; the last one where none
/// is.
fn most_alike(lags: RangeInclusive<usize>, compare: impl Fn(usize) -> (f32, f32)) -> usize {
    let (mut best, mut highest) = (*lags.end(), 0.0);
    for lag in lags {
        let (product, energy) = compare(lag);
        // The correlation's square, without the part that all lags have in common.
        if product > 0.0 && product * product > highest * energy {
            (best, highest) = (lag, product * product / energy);
        }
    }
    best
}

/// The sum of the products of the last `window` samples with those `lag` before them, and the energy
/// of the latter.
fn compare<T: Into<f64>>(
    sound: &[i16],
    window: usize,
    lag: usize,
    dot: impl Fn(&[i16], &[i16]) -> T,
) -> (f32, f32) {
    let start = sound.len() - window;
    let before = &sound[start - lag..start - lag + window];
    (dot(&sound[start..], before).into() as f32, dot(before, before).into() as f32)
}

/// Sum of the products of one pair in `stride`. Exact: less than 2^13 products of less than 2^31.
fn sparse_dot(a: &[i16], b: &[i16], stride: usize) -> f64 {
    let pairs = a.iter().zip(b).step_by(stride);
    pairs.map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum::<i64>() as f64
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::dsp::random::Random;

    /// 30 ms of a sound of `partials` harmonics, the highest below 3 kHz.
    fn harmonic(period: usize, rate: SampleRate, peak: f64) -> Vec<i16> {
        let partials = (3_000 * period / rate.hz() as usize).min(10);
        let value = |n: usize| -> f64 {
            let phase = TAU * (n % period) as f64 / period as f64;
            (1..=partials).map(|k| (k as f64 * phase + (k * k) as f64).sin()).sum()
        };
        let values = (0..2 * longest(rate)).map(value);
        values.map(|value| (peak * value / partials as f64) as i16).collect()
    }

    #[test]
    fn the_period_of_a_harmonic_sound_is_found_to_the_sample_at_every_rate() {
        for rate in SampleRate::ALL {
            let hz = rate.hz() as usize;
            // Above 7.5 ms two periods would do as well.
            for us in [7_600, 8_125, 9_375, 11_000, 12_345, 14_900] {
                let expected = hz * us / 1_000_000;
                for peak in [200.0, 30_000.0] {
                    let actual = period(&harmonic(expected, rate, peak), rate);
                    // Beyond 8 kHz some samples' shift is less than the rounding of the search.
                    let slack = hz / 40_000;
                    assert!(actual.abs_diff(expected) <= slack, "{rate} {us} µs: {actual}");
                }
            }
        }
    }

    #[test]
    fn of_a_high_voice_a_multiple_of_the_period_is_found() {
        let actual = period(&harmonic(24, SampleRate::HZ_8000, 9_000.0), SampleRate::HZ_8000);
        assert!(actual.is_multiple_of(24), "{actual}");
    }

    #[test]
    fn any_sound_has_a_period_within_the_range() {
        let mut random = Random(5);
        for rate in SampleRate::ALL {
            let hz = rate.hz() as usize;
            let noise: Vec<i16> = (0..2 * longest(rate)).map(|_| random.bits() as i16).collect();
            for sound in [&noise[..], &vec![0; noise.len()], &vec![i16::MIN; noise.len()]] {
                let period = period(sound, rate);
                assert!((hz * 5 / 1_000..=longest(rate)).contains(&period), "{rate}: {period}");
            }
        }
    }
}
