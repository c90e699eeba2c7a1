//! The resampler's loops. Each output sample is one sum of products; what differs is which products
//! are taken side by side.

use super::design::Bank;
use crate::dsp::simd::Kernel;

/// Products of one sum that are taken side by side by [`Convolve`].
pub(super) const LANES: usize = 16;

/// Where the next output lies: input samples ahead of the line's first window, and the phase there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cursor {
    pub(super) input: usize,
    pub(super) phase: usize,
}

/// One output after the other, each from the window of input that its phase needs. Serves every
/// pair of rates; answers where the next output lies.
pub(super) struct Convolve<'a> {
    pub(super) bank: &'a Bank,
    /// The filter's memory, then the input.
    pub(super) line: &'a [f32],
    pub(super) cursor: Cursor,
    pub(super) output: &'a mut [f32],
}

impl Convolve<'_> {
    #[inline(always)]
    fn run_with(self, dot: impl Fn(&[f32], &[f32]) -> f32) -> Cursor {
        let Self { bank, line, mut cursor, output } = self;
        let (whole, part) = (bank.down / bank.up, bank.down % bank.up);
        for sample in output {
            *sample = dot(&line[cursor.input..][..bank.taps], bank.phase(cursor.phase));
            cursor.input += whole;
            cursor.phase += part;
            if cursor.phase >= bank.up {
                cursor.phase -= bank.up;
                cursor.input += 1;
            }
        }
        cursor
    }
}

impl Kernel for Convolve<'_> {
    type Output = Cursor;

    #[inline(always)]
    fn run(self) -> Cursor {
        self.run_with(dot)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn run_avx2(self) -> Cursor {
        // SAFETY: the caller has seen to it that the processor has AVX2.
        self.run_with(|a, b| unsafe { dot_avx2(a, b) })
    }
}

/// Sum of the products of two slices of the same length, a multiple of [`LANES`]: lane by lane,
/// then halves of the lanes onto each other.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// [`dot`] in the same order, by hand: compilers make registers of four lanes of it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
    use std::arch::x86_64::{
        _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_mul_ps,
        _mm256_setzero_ps,
    };
    let (mut low, mut high) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        // SAFETY: both arrays hold 16 floats, 8 from the start and 8 from the middle.
        let (a_low, a_high, b_low, b_high) = unsafe {
            (
                _mm256_loadu_ps(a.as_ptr()),
                _mm256_loadu_ps(a.as_ptr().add(LANES / 2)),
                _mm256_loadu_ps(b.as_ptr()),
                _mm256_loadu_ps(b.as_ptr().add(LANES / 2)),
            )
        };
        low = _mm256_add_ps(low, _mm256_mul_ps(a_low, b_low));
        high = _mm256_add_ps(high, _mm256_mul_ps(a_high, b_high));
    }
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// Input samples that [`Interpolate`] takes side by side: 20 ms at 8 kHz are four times as many.
const COLUMNS: usize = 40;

/// Several input samples side by side, for rates of which one is `UP` times the other: there each
/// input sample meets each of the `UP` phases once.
pub(super) struct Interpolate<'a, const UP: usize> {
    pub(super) bank: &'a Bank,
    /// The filter's memory, then the input.
    pub(super) line: &'a [f32],
    /// `UP` samples for each of the input.
    pub(super) output: &'a mut [f32],
}

impl<const UP: usize> Kernel for Interpolate<'_, UP> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rest = interpolate::<COLUMNS, UP>(self.bank, self.line, self.output);
        let (line, output) = (&self.line[rest..], &mut self.output[rest * UP..]);
        let last = interpolate::<8, UP>(self.bank, line, output);
        interpolate::<1, UP>(self.bank, &line[last..], &mut output[last * UP..]);
    }
}

/// Does whole groups of `WIDTH` input samples, and answers how many samples those were. Each sum is
/// taken from the oldest input sample on, whatever the width.
#[inline(always)]
fn interpolate<const WIDTH: usize, const UP: usize>(
    bank: &Bank,
    line: &[f32],
    output: &mut [f32],
) -> usize {
    let mut done = 0;
    for output in output.chunks_exact_mut(WIDTH * UP) {
        let line = &line[done..][..WIDTH + bank.taps - 1];
        let mut rows = [[0.0_f32; WIDTH]; UP];
        for (phase, row) in rows.iter_mut().enumerate() {
            let mut sums = [0.0_f32; WIDTH];
            for (window, &tap) in line.windows(WIDTH).zip(bank.phase(phase)) {
                for column in 0..WIDTH {
                    sums[column] += window[column] * tap;
                }
            }
            *row = sums;
        }
        for column in 0..WIDTH {
            for phase in 0..UP {
                output[column * UP + phase] = rows[phase][column];
            }
        }
        done += WIDTH;
    }
    done
}

/// A 16-bit sample as a float of the same value.
#[inline(always)]
pub(super) fn widen(sample: i16) -> f32 {
    f32::from(sample)
}

/// The nearest 16-bit sample, halves to the even one, limited to the range.
#[inline(always)]
pub(super) fn round(exact: f32) -> i16 {
    // From 2^23 on a float has no fraction: to add 1.5 · 2^23 rounds, and leaves the whole number in
    // the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    let limited = exact.clamp(f32::from(i16::MIN), f32::from(i16::MAX));
    ((limited + ROUNDER).to_bits() as u16).cast_signed()
}
