//! Where one signal lies in another: normalised cross-correlation, all lags at once by Fourier
//! transform. For tests and demonstrations; it allocates, so it is not for the media path.

use std::ops::RangeInclusive;

use super::fft::{Complex, Fft};

/// Where a reference fits a signal best.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Match {
    /// Samples by which the signal is later than the reference: reference sample `i` is signal
    /// sample `i + lag`.
    pub lag: isize,
    /// Pearson's correlation coefficient of the overlapping parts, −1 to 1. Independent of level
    /// and of a constant offset.
    pub coefficient: f64,
}

/// Finds the lag within `lags` at which `signal` resembles `reference` most.
///
/// Only lags are looked at where at least half of the shorter of the two overlaps: a few samples
/// resemble anything. Of lags that fit equally well, as those of a pure tone do, any may be the
/// answer. Where no lag remains, or one side is constant throughout, it is the first of `lags` with
/// a coefficient of 0.
///
/// The cost is that of three Fourier transforms over the span of the longer side, whatever the
/// number of lags; the coefficient is then computed from whole numbers.
#[must_use]
pub fn find_offset(reference: &[i16], signal: &[i16], lags: RangeInclusive<isize>) -> Match {
    let shortest_overlap = (reference.len().min(signal.len()) / 2).max(1).cast_signed();
    let none = Match { lag: *lags.start(), coefficient: 0.0 };
    // An overlap of n samples needs −(reference − n) <= lag <= signal − n.
    let first = (*lags.start()).max(shortest_overlap - reference.len().cast_signed());
    let last = (*lags.end()).min(signal.len().cast_signed() - shortest_overlap);
    if first > last {
        return none;
    }

    let products = products(reference, signal, first, last);
    let of_reference = RunningSums::new(reference);
    let of_signal = RunningSums::new(signal);
    let mut best = none;
    let mut found = false;
    for (lag, product) in (first..=last).zip(products) {
        let overlap = Overlap::at(lag, reference.len(), signal.len());
        let moments = overlap.moments(&of_reference, &of_signal);
        if let Some(coefficient) = moments.coefficient(product)
            && (!found || coefficient > best.coefficient)
        {
            found = true;
            best = Match { lag, coefficient };
        }
    }
    if found {
        let overlap = Overlap::at(best.lag, reference.len(), signal.len());
        let pairs = reference[overlap.reference()].iter().zip(&signal[overlap.signal()]);
        let exact: i64 = pairs.map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
        let moments = overlap.moments(&of_reference, &of_signal);
        best.coefficient = moments.coefficient(exact as f64).unwrap_or_default();
    }
    best
}

/// Sums of the products of overlapping samples, one per lag of `first..=last`.
fn products(
    reference: &[i16],
    signal: &[i16],
    first: isize,
    last: isize,
) -> impl Iterator<Item = f64> {
    // A lag is taken modulo the length. No sample of the reference may meet one of the signal the
    // wrong way round the circle, at either end of the lags.
    let behind = signal.len() + first.min(0).unsigned_abs();
    let ahead = reference.len() + last.max(0).unsigned_abs();
    let length = behind.max(ahead).next_power_of_two();

    let fft = Fft::new(length);
    let spectrum = |samples: &[i16]| {
        let mut data = vec![Complex::default(); length];
        for (value, &sample) in data.iter_mut().zip(samples) {
            value.re = f64::from(sample);
        }
        fft.forward(&mut data);
        data
    };
    let mut data = spectrum(signal);
    for (value, other) in data.iter_mut().zip(spectrum(reference)) {
        *value = *value * other.conj();
    }
    fft.inverse(&mut data);
    (first..=last).map(move |lag| {
        data[lag.rem_euclid(length.cast_signed()).cast_unsigned()].re / length as f64
    })
}

/// The parts of both sides that meet at one lag.
struct Overlap {
    reference_start: usize,
    signal_start: usize,
    samples: usize,
}

impl Overlap {
    fn at(lag: isize, reference: usize, signal: usize) -> Self {
        let reference_start = lag.min(0).unsigned_abs();
        let signal_start = lag.max(0).unsigned_abs();
        let samples = (reference - reference_start).min(signal - signal_start);
        Self { reference_start, signal_start, samples }
    }

    fn reference(&self) -> std::ops::Range<usize> {
        self.reference_start..self.reference_start + self.samples
    }

    fn signal(&self) -> std::ops::Range<usize> {
        self.signal_start..self.signal_start + self.samples
    }

    fn moments(&self, reference: &RunningSums, signal: &RunningSums) -> Moments {
        let (sum_a, squares_a) = reference.over(self.reference());
        let (sum_b, squares_b) = signal.over(self.signal());
        let count = self.samples as i128;
        let variance = |sum: i64, squares: i64| {
            (count * i128::from(squares) - i128::from(sum) * i128::from(sum)) as f64
        };
        Moments {
            count: self.samples as f64,
            product_of_sums: sum_a as f64 * sum_b as f64,
            scale: variance(sum_a, squares_a).sqrt() * variance(sum_b, squares_b).sqrt(),
        }
    }
}

/// What the coefficient needs beside the sum of products.
struct Moments {
    count: f64,
    product_of_sums: f64,
    /// Both standard deviations, times the count squared.
    scale: f64,
}

impl Moments {
    /// `None` where one side is constant.
    fn coefficient(&self, sum_of_products: f64) -> Option<f64> {
        let covariance = self.count * sum_of_products - self.product_of_sums;
        (self.scale > 0.0).then(|| (covariance / self.scale).clamp(-1.0, 1.0))
    }
}

/// Sums of samples and of their squares up to each place: 2^32 samples fit without overflow.
struct RunningSums(Vec<(i64, i64)>);

impl RunningSums {
    fn new(samples: &[i16]) -> Self {
        let mut sums = Vec::with_capacity(samples.len() + 1);
        let (mut sum, mut squares) = (0, 0);
        sums.push((0, 0));
        for &sample in samples {
            let sample = i64::from(sample);
            sum += sample;
            squares += sample * sample;
            sums.push((sum, squares));
        }
        Self(sums)
    }

    fn over(&self, range: std::ops::Range<usize>) -> (i64, i64) {
        let (start, end) = (self.0[range.start], self.0[range.end]);
        (end.0 - start.0, end.1 - start.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that swells and fades, so that no two places are alike.
    fn noise(samples: usize, seed: u64) -> Vec<i16> {
        let mut state = seed | 1;
        let value = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let white = (state >> 48) as f64 - 32_768.0;
            (white * 0.3 * (n as f64 / 700.0).sin()) as i16
        };
        (0..samples).map(value).collect()
    }

    /// The definition, lag by lag.
    fn naive(reference: &[i16], signal: &[i16], lag: isize) -> f64 {
        let pairs: Vec<(f64, f64)> = (0..reference.len())
            .filter_map(|i| {
                let j = usize::try_from(i.cast_signed() + lag).ok()?;
                Some((f64::from(reference[i]), f64::from(*signal.get(j)?)))
            })
            .collect();
        let count = pairs.len() as f64;
        let mean_a = pairs.iter().map(|pair| pair.0).sum::<f64>() / count;
        let mean_b = pairs.iter().map(|pair| pair.1).sum::<f64>() / count;
        let sum = |f: &dyn Fn(f64, f64) -> f64| {
            pairs.iter().map(|&(a, b)| f(a - mean_a, b - mean_b)).sum::<f64>()
        };
        sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
    }

    #[test]
    fn a_delayed_copy_is_found_to_the_sample_with_coefficient_one() {
        let reference = noise(4000, 3);
        for delay in [0_usize, 1, 160, 1999] {
            let mut signal = vec![0; delay];
            signal.extend_from_slice(&reference);
            let found = find_offset(&reference, &signal, -2000..=2000);
            assert_eq!(found.lag, delay.cast_signed());
            assert!(found.coefficient > 1.0 - 1e-12, "{found:?}");
            let mirrored = find_offset(&signal, &reference, -2000..=2000);
            assert_eq!(mirrored.lag, -delay.cast_signed());
        }
    }

    #[test]
    fn level_and_offset_do_not_matter_but_polarity_does() {
        let reference = noise(3000, 5);
        let changed: Vec<i16> = reference.iter().map(|&sample| sample / 2 * 2 / 2 + 999).collect();
        let found = find_offset(&reference, &changed, -100..=100);
        // Halving rounds by up to half a step: noise of 1/3 against a variance in the millions.
        assert!(found.lag == 0 && found.coefficient > 0.999_999, "{found:?}");
        let inverted: Vec<i16> = reference.iter().map(|&sample| -sample).collect();
        let only = find_offset(&reference, &inverted, 0..=0);
        assert!(only.coefficient < -0.999_999, "{only:?}");
    }

    #[test]
    fn every_lag_has_the_coefficient_of_the_definition() {
        let reference = noise(300, 7);
        let signal = noise(431, 11);
        let mut best: Option<Match> = None;
        for lag in -150..=281 {
            let found = find_offset(&reference, &signal, lag..=lag);
            let expected = naive(&reference, &signal, lag);
            assert_eq!(found.lag, lag);
            assert!((found.coefficient - expected).abs() < 1e-9, "{found:?} {expected}");
            if best.is_none_or(|best| found.coefficient > best.coefficient) {
                best = Some(found);
            }
        }
        assert_eq!(Some(find_offset(&reference, &signal, -999..=999)), best);
    }

    #[test]
    fn a_short_overlap_and_silence_match_nothing() {
        let reference = noise(400, 13);
        let none = Match { lag: 201, coefficient: 0.0 };
        assert_eq!(find_offset(&reference, &reference, 201..=300), none);
        let nothing = Match { lag: -5, coefficient: 0.0 };
        assert_eq!(find_offset(&reference, &[0; 400], -5..=5), nothing);
        assert_eq!(find_offset(&[], &reference, -5..=5), nothing);
        assert_eq!(find_offset(&reference, &[], -5..=5), nothing);
    }

    #[test]
    fn half_a_minute_of_wideband_audio_is_searched_over_two_seconds() {
        let reference = noise(30 * 48_000, 17);
        let mut signal = vec![0; 77_777];
        signal.extend_from_slice(&reference[..30 * 48_000 - 77_777]);
        let found = find_offset(&reference, &signal, -96_000..=96_000);
        assert_eq!(found.lag, 77_777);
        assert!(found.coefficient > 1.0 - 1e-12, "{found:?}");
    }
}
