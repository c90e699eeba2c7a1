//! The model's forward pass: Fourier transform, four convolutions, an LSTM, one output.

use super::activation::{sigmoid, tanh};
use super::dense::add_products;
use super::lanes::{Lanes, Portable};
use super::model::Model;
use super::{BINS, CONTEXT, FRAME, HALF, PADDED_BINS, State, WIDTH};
use crate::dsp::simd::Kernel;

/// Windows of the Fourier transform in a frame; one begins at every half of its length.
const WINDOWS: usize = 4;

/// One frame through the model.
pub(super) struct Forward<'a> {
    pub(super) model: &'static Model,
    pub(super) state: &'a mut State,
    pub(super) frame: &'a [i16; FRAME],
}

impl Kernel for Forward<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        self.run_with::<Portable>()
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn run_avx2(self) -> f32 {
        if std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2, says the caller, and FMA.
            unsafe { self.run_fma() }
        } else {
            self.run()
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn run_avx512(self) -> f32 {
        self.run_with::<super::lanes::Avx512>()
    }
}

impl Forward<'_> {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn run_fma(self) -> f32 {
        self.run_with::<super::lanes::Fma>()
    }

    #[inline(always)]
    fn run_with<L: Lanes>(self) -> f32 {
        let Self { model, state, frame } = self;
        let features = features::<L>(model, &spectra::<L>(model, &samples(state, frame)));

        let input = [features, state.hidden];
        let mut gates = [[[0.0; WIDTH]]; 4];
        for (sums, gate) in gates.iter_mut().zip(&model.gates) {
            *sums = [gate.bias];
            add_products::<L, 1, WIDTH>(gate.matrix, [input.as_flattened()], sums);
        }
        let [[input], [forget], [cell], [output]] = &gates;
        for n in 0..WIDTH {
            state.cell[n] = sigmoid(forget[n]) * state.cell[n] + sigmoid(input[n]) * tanh(cell[n]);
            state.hidden[n] = sigmoid(output[n]) * tanh(state.cell[n]);
        }

        let mut sum = model.output_bias;
        for (hidden, weight) in state.hidden.iter().zip(&model.output) {
            sum += hidden.max(0.0) * weight;
        }
        sigmoid(sum)
    }
}

/// What came before the frame, the frame, and its end mirrored, so that the last window is full.
#[inline(always)]
fn samples(state: &mut State, frame: &[i16; FRAME]) -> [f32; CONTEXT + FRAME + CONTEXT] {
    let mut samples = [0.0; CONTEXT + FRAME + CONTEXT];
    let heard = state.context.iter().chain(frame);
    for (sample, &heard) in samples.iter_mut().zip(heard) {
        *sample = f32::from(heard) / 32_768.0;
    }
    let end = CONTEXT + FRAME;
    for n in 0..CONTEXT {
        samples[end + n] = samples[end - 2 - n];
    }
    state.context.copy_from_slice(&frame[FRAME - CONTEXT..]);
    samples
}

/// The magnitudes of each window's spectrum.
///
/// A window's cosines are those of its even part around the middle, its sines those of the odd one.
#[inline(always)]
fn spectra<L: Lanes>(model: &Model, samples: &[f32]) -> [[f32; BINS]; WINDOWS] {
    let (mut even, mut odd) = ([[0.0; HALF]; WINDOWS], [[0.0; HALF - 1]; WINDOWS]);
    for (n, (even, odd)) in even.iter_mut().zip(&mut odd).enumerate() {
        // The window function is zero at the first sample.
        let window = &samples[n * HALF..][1..2 * HALF];
        for k in 0..HALF - 1 {
            even[k] = window[k] + window[2 * HALF - 2 - k];
            odd[k] = window[k] - window[2 * HALF - 2 - k];
        }
        even[HALF - 1] = window[HALF - 1];
    }
    let (mut real, mut imaginary) = ([[0.0; PADDED_BINS]; WINDOWS], [[0.0; PADDED_BINS]; WINDOWS]);
    let even = even.each_ref().map(<[f32; HALF]>::as_slice);
    add_products::<L, WINDOWS, PADDED_BINS>(model.even, even, &mut real);
    let odd = odd.each_ref().map(<[f32; HALF - 1]>::as_slice);
    add_products::<L, WINDOWS, PADDED_BINS>(model.odd, odd, &mut imaginary);
    let mut magnitudes = [[0.0; BINS]; WINDOWS];
    for (magnitudes, (real, imaginary)) in magnitudes.iter_mut().zip(real.iter().zip(&imaginary)) {
        for (magnitude, (re, im)) in magnitudes.iter_mut().zip(real.iter().zip(imaginary)) {
            *magnitude = (re * re + im * im).sqrt();
        }
    }
    magnitudes
}

/// What four convolutions make of the spectra.
#[inline(always)]
fn features<L: Lanes>(model: &Model, spectra: &[[f32; BINS]; WINDOWS]) -> [f32; WIDTH] {
    let Model { first, second, third, fourth, .. } = model;

    // Each position sees itself and both neighbours; beyond the ends there are zeros.
    let [a, b, c, d] = spectra.each_ref().map(<[f32; BINS]>::as_slice);
    let [before, here, after] = first.taps();
    let mut wide = [first.bias; WINDOWS];
    add_products::<L, 4, WIDTH>(here, [a, b, c, d], &mut wide);
    add_products::<L, 3, WIDTH>(before, [a, b, c], &mut wide[1..]);
    add_products::<L, 3, WIDTH>(after, [b, c, d], &mut wide[..3]);
    rectify(wide.as_flattened_mut());

    // The same for every second position.
    let [a, b, c, d] = wide.each_ref().map(<[f32; WIDTH]>::as_slice);
    let [before, here, after] = second.taps();
    let mut narrow = [second.bias; 2];
    add_products::<L, 2, HALF>(here, [a, c], &mut narrow);
    add_products::<L, 2, HALF>(after, [b, d], &mut narrow);
    add_products::<L, 1, HALF>(before, [b], &mut narrow[1..]);
    rectify(narrow.as_flattened_mut());

    // Again: of both positions one is left; it sees them, one behind the other, then itself alone.
    let mut single = [third.bias];
    add_products::<L, 1, HALF>(third.matrix, [narrow.as_flattened()], &mut single);
    rectify(single.as_flattened_mut());
    let mut features = [fourth.bias];
    add_products::<L, 1, WIDTH>(fourth.matrix, [single.as_flattened()], &mut features);
    rectify(features.as_flattened_mut());
    let [features] = features;
    features
}

#[inline(always)]
fn rectify(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}
