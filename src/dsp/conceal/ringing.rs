//! How the resonances of a sound ring out.

use super::{dot, shift_to_small};

/// Order of the predictor.
const ORDER: usize = 16;

/// So many samples, at most, tell the resonances: 20 ms of 16 kHz.
const SPAN: usize = 320;

/// White noise below the sound, as a part of its power, that keeps the prediction well-conditioned.
const WHITE: f32 = 1e-4;

/// What is left of a signal when nothing excites it any more, by linear prediction from its own
/// past; faded out.
#[derive(Clone, Debug)]
pub(super) struct Ringing {
    predictor: [f32; ORDER],
    /// The last values, the newest first.
    past: [f32; ORDER],
    left: usize,
    length: usize,
}

impl Ringing {
    /// Nothing rings.
    pub(super) const fn new() -> Self {
        Self { predictor: [0.0; ORDER], past: [0.0; ORDER], left: 0, length: 1 }
    }

    /// Begins with the resonances of the end of `sound`, and with a signal whose last value was
    /// `past(0)`, the one before `past(1)`; ends after `length` samples, which are not none.
    pub(super) fn begin(&mut self, sound: &[i16], length: usize, past: impl Fn(usize) -> f32) {
        self.predictor = predictor(&sound[sound.len().saturating_sub(SPAN)..]);
        self.past = std::array::from_fn(past);
        self.left = length;
        self.length = length;
    }

    /// The next value; 0 where all has rung out.
    #[inline]
    pub(super) fn next(&mut self) -> f32 {
        if self.left == 0 {
            return 0.0;
        }
        let value: f32 = self.predictor.iter().zip(&self.past).map(|(a, x)| a * x).sum();
        self.past.copy_within(..ORDER - 1, 1);
        self.past[0] = value;
        let fade = self.left as f32 / self.length as f32;
        self.left -= 1;
        value * fade
    }
}

/// Coefficients that predict a sample of `sound` (at most [`SPAN`] samples) from those before it, by
/// the autocorrelation method with Durbin's recursion, which makes them stable.
fn predictor(sound: &[i16]) -> [f32; ORDER] {
    let mut windowed = [0; SPAN];
    let windowed = &mut windowed[..sound.len()];
    let shift = shift_to_small(sound);
    let step = 1.0 / (sound.len() + 1) as f32;
    for (n, (to, &from)) in windowed.iter_mut().zip(sound).enumerate() {
        // Rises over nine tenths and falls over the last one: the end says most.
        let place = (n + 1) as f32 * step;
        let line = (place / 0.9).min((1.0 - place) / 0.1);
        let weight = line * line * (3.0 - 2.0 * line);
        *to = (f32::from(from >> shift) * weight) as i16;
    }
    let mut alike = [0.0; ORDER + 1];
    for (lag, alike) in alike.iter_mut().enumerate() {
        *alike = dot(windowed.get(lag..).unwrap_or_default(), windowed) as f32;
    }
    // One more, so that silence can be divided by.
    let mut error = alike[0] * (1.0 + WHITE) + 1.0;
    let mut predictor = [0.0_f32; ORDER];
    for order in 0..ORDER {
        let known: f32 = (0..order).map(|j| predictor[j] * alike[order - j]).sum();
        let reflection = (alike[order + 1] - known) / error;
        let before = predictor;
        for (to, &mirrored) in predictor[..order].iter_mut().zip(before[..order].iter().rev()) {
            *to -= reflection * mirrored;
        }
        predictor[order] = reflection;
        error *= 1.0 - reflection * reflection;
    }
    predictor
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::dsp::random::Random;

    #[test]
    fn a_resonance_rings_on_at_its_frequency() {
        // One pole pair at 1 kHz of 8 kHz, struck every 8 ms, the last time 5 ms ago.
        let (radius, angle) = (0.97_f64, TAU / 8.0);
        let struck = |n: usize| if n % 64 == 56 { 8_000.0 } else { 0.0 };
        let (mut one, mut two) = (0.0, 0.0);
        let mut next = |n: usize| -> f64 {
            let value = struck(n) + 2.0 * radius * angle.cos() * one - radius * radius * two;
            (one, two) = (value, one);
            value
        };
        let all: Vec<f64> = (0..176).map(&mut next).collect();
        let sound: Vec<i16> = all[..160].iter().map(|&value| value as i16).collect();
        let mut ringing = Ringing::new();
        ringing.begin(&sound, 1_000, |n| f32::from(sound[159 - n]));
        for &expected in &all[160..] {
            let actual = f64::from(ringing.next());
            // The window blurs the resonance. At 40 samples from the strike 0.97^40 of it is left,
            // more than 2,400: a ringing that were silent, or off by a quarter of its period, would miss that.
            assert!((actual - expected).abs() < 700.0, "{actual}, not {expected}");
        }
    }

    #[test]
    fn it_ends_when_it_shall_and_never_grows_out_of_bounds() {
        let mut random = Random(2);
        for turn in 0..200_u32 {
            let sound: Vec<i16> = (0..160 + turn as usize)
                .map(|n| (random.bits() as i16 >> (turn % 16)) / [1, 2, 3][n % 3])
                .collect();
            let mut ringing = Ringing::new();
            ringing.begin(&sound, 40, |n| f32::from(sound[sound.len() - 1 - n]));
            for _ in 0..40 {
                assert!(ringing.next().abs() < 1e6);
            }
            assert_eq!(ringing.next(), 0.0);
        }
    }

    #[test]
    fn silence_does_not_ring() {
        let mut ringing = Ringing::new();
        ringing.begin(&[0; 160], 40, |_| 0.0);
        assert_eq!(ringing.next(), 0.0);
        ringing.begin(&[], 40, |_| 1_000.0);
        assert_eq!(ringing.next(), 0.0);
    }
}
