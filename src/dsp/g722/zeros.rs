//! The zeros of a predictor: sub-blocks UPZERO and FILTEZ of ITU-T G.722.

use super::predictor::saturate;

/// Zeros, in as many lanes as one register of 128 bits has for them: the last two stay at rest.
pub(super) const LANES: usize = 8;
/// Steps of the coefficients.
pub(super) const STEPS: [i16; LANES] = [128, 128, 128, 128, 128, 128, 0, 0];

/// Six coefficients and the differences that they weigh.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[derive(Clone, Debug, Default)]
pub(super) struct Zeros {
    /// Coefficients, times 2^14: `B1` to `B6`, then nothing.
    coefficients: [i16; LANES],
    /// The latest quantised differences, the newest first: `D1` to `D6`, then what is forgotten.
    differences: [i16; LANES],
}

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Zeros {
    /// Learns the quantised difference of a sample, below 2^14; answers the zeros' part of the next
    /// prediction.
    pub(super) fn update(&mut self, difference: i16) -> i32 {
        self.adapt(difference);
        self.differences.rotate_right(1);
        self.differences[0] = difference;
        let terms = self.terms();
        // Where the magnitudes together are within the limit, no partial sum is beyond it.
        let magnitudes: i32 = terms.iter().map(|&term| i32::from(term).abs()).sum();
        if magnitudes <= i32::from(i16::MAX) {
            terms.iter().map(|&term| i32::from(term)).sum()
        } else {
            limited_sum(terms)
        }
    }

    /// A leak of 1/256, rounded up, against steps of 128 keeps the coefficients within 16 bits.
    fn adapt(&mut self, difference: i16) {
        let moves = -i16::from(difference != 0);
        for ((b, past), step) in self.coefficients.iter_mut().zip(self.differences).zip(STEPS) {
            let opposite = (past ^ difference) >> 15;
            let leak = (*b >> 8) + (((*b & 255) + 255) >> 8);
            *b = *b - leak + ((step & moves ^ opposite) - opposite);
        }
    }

    /// Twice a difference needs no limit, and neither does its product with a fraction.
    fn terms(&self) -> [i16; LANES] {
        std::array::from_fn(|n| {
            let product = i32::from(self.coefficients[n]) * i32::from(self.differences[n]);
            (product >> 14) as i16
        })
    }
}

/// The oldest term first, limited after each addition.
#[cold]
#[inline(never)]
pub(super) fn limited_sum(terms: [i16; LANES]) -> i32 {
    terms.iter().rev().fold(0, |sum, &term| saturate(sum + i32::from(term)))
}
