//! The discrete Fourier transform, radix 2, as far as a correlation needs it: out by decimation in
//! frequency, back by decimation in time, so that the spectrum may stay in bit-reversed order.

use std::f64::consts::TAU;
use std::ops::{Add, Mul, Sub};

/// A complex number.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    pub(super) const fn conj(self) -> Self {
        Self { re: self.re, im: -self.im }
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// A transform of one length.
pub(super) struct Fft {
    /// The roots of unity of the lower half circle, clockwise from 1.
    roots: Vec<Complex>,
}

impl Fft {
    /// A transform of `length` values.
    ///
    /// # Panics
    /// Where `length` is not a power of two.
    pub(super) fn new(length: usize) -> Self {
        assert!(length.is_power_of_two(), "{length} is not a power of two");
        let root = |k: usize| {
            let (sin, cos) = (TAU * k as f64 / length as f64).sin_cos();
            Complex { re: cos, im: -sin }
        };
        Self { roots: (0..length / 2).map(root).collect() }
    }

    /// Signal → spectrum, in place; the spectrum stands in bit-reversed order.
    pub(super) fn forward(&self, data: &mut [Complex]) {
        self.split(data, 1);
    }

    /// Bit-reversed spectrum → signal, in place, multiplied by the length.
    pub(super) fn inverse(&self, data: &mut [Complex]) {
        self.join(data, 1);
    }

    /// Halves first, recursively, because a half soon fits the cache and a pass over all does not.
    fn split(&self, data: &mut [Complex], stride: usize) {
        let half = data.len() / 2;
        let (low, high) = data.split_at_mut(half);
        for ((a, b), &root) in low.iter_mut().zip(&mut *high).zip(self.roots.iter().step_by(stride))
        {
            (*a, *b) = (*a + *b, (*a - *b) * root);
        }
        if half > 1 {
            self.split(low, 2 * stride);
            self.split(high, 2 * stride);
        }
    }

    fn join(&self, data: &mut [Complex], stride: usize) {
        let half = data.len() / 2;
        let (low, high) = data.split_at_mut(half);
        if half > 1 {
            self.join(low, 2 * stride);
            self.join(high, 2 * stride);
        }
        for ((a, b), &root) in low.iter_mut().zip(high).zip(self.roots.iter().step_by(stride)) {
            let turned = *b * root.conj();
            (*a, *b) = (*a + turned, *a - turned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(length: usize) -> Vec<Complex> {
        let value = |n: usize| (n * n * 7 + n * 3 + 1) % 23;
        (0..length).map(|n| Complex { re: value(n) as f64, im: value(n + 5) as f64 }).collect()
    }

    #[test]
    fn the_spectrum_is_what_the_definition_says() {
        for bits in 0..7 {
            let length = 1_usize << bits;
            let signal = signal(length);
            let mut spectrum = signal.clone();
            Fft::new(length).forward(&mut spectrum);
            for k in 0..length {
                let mut expected = Complex::default();
                for (n, &value) in signal.iter().enumerate() {
                    let (sin, cos) = (TAU * (k * n) as f64 / length as f64).sin_cos();
                    expected = expected + value * Complex { re: cos, im: -sin };
                }
                let reversed = if bits == 0 { 0 } else { k.reverse_bits() >> (usize::BITS - bits) };
                let error = spectrum[reversed] - expected;
                // Sums of up to 64 values below 32, each off by some 1e-16.
                assert!(error.re.abs() < 1e-9 && error.im.abs() < 1e-9, "{length} {k}");
            }
        }
    }

    #[test]
    fn there_and_back_is_the_signal_times_the_length() {
        let length = 1 << 14;
        let signal = signal(length);
        let mut data = signal.clone();
        let fft = Fft::new(length);
        fft.forward(&mut data);
        fft.inverse(&mut data);
        for (back, value) in data.iter().zip(&signal) {
            assert!((back.re / length as f64 - value.re).abs() < 1e-9);
            assert!((back.im / length as f64 - value.im).abs() < 1e-9);
        }
    }
}
