//! The adaptive predictor of a sub-band, two poles and six zeros: blocks 4L and 4H of ITU-T G.722.
//!
//! Results have the standard's sixteen bits and saturate as its arithmetic does. Where the values
//! cannot reach the limit, nothing is limited.

#[cfg(not(target_arch = "x86_64"))]
use super::zeros::Zeros;
#[cfg(target_arch = "x86_64")]
use super::zeros_sse2::Zeros;

/// `value` as a sixteen-bit result of the standard's arithmetic.
#[inline(always)]
pub(super) fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// A sub-band's predictor.
#[derive(Clone, Debug, Default)]
pub(super) struct Predictor {
    /// The prediction of the sample that comes: `SL`, `SH`.
    estimate: i32,
    /// The zeros' part of it: `SZL`, `SZH`.
    zeros_estimate: i32,
    /// Coefficients of the poles, times 2^14: `A1`, `A2`.
    poles: [i32; 2],
    zeros: Zeros,
    /// The latest reconstructed sample: `R1`.
    reconstructed: i32,
    /// Whether the latest two partially reconstructed samples were negative: the signs of `P1`, `P2`.
    partial: [bool; 2],
}

impl Predictor {
    /// The prediction of the sample that comes.
    #[inline(always)]
    pub(super) const fn estimate(&self) -> i32 {
        self.estimate
    }

    /// Learns the quantised difference of a sample and predicts the next one.
    #[inline(always)]
    pub(super) fn update(&mut self, difference: i16) {
        let partial = saturate(self.zeros_estimate + i32::from(difference)) < 0;
        self.adapt_poles(partial);

        let reconstructed = saturate(self.estimate + i32::from(difference));
        let poles_estimate = self.filter_poles(reconstructed);
        self.reconstructed = reconstructed;
        self.partial = [partial, self.partial[0]];

        self.zeros_estimate = self.zeros.update(difference);
        self.estimate = saturate(poles_estimate + self.zeros_estimate);
    }

    /// Sub-blocks UPPOL2 and UPPOL1. The first coefficient stays within ±27,648: no sum overflows.
    #[inline(always)]
    fn adapt_poles(&mut self, partial: bool) {
        let [a1, a2] = self.poles;
        let same = |other: bool, step: i32| if partial == other { step } else { -step };

        let gradient = saturate(same(self.partial[0], -saturate(4 * a1))) >> 7;
        let a2 = (gradient + same(self.partial[1], 128) + ((a2 * 127) >> 7)).clamp(-12_288, 12_288);
        let bound = 15_360 - a2;
        let a1 = (same(self.partial[0], 192) + ((a1 * 255) >> 8)).clamp(-bound, bound);
        self.poles = [a1, a2];
    }

    /// Sub-block FILTEP, for the sample that follows `reconstructed`.
    #[inline(always)]
    fn filter_poles(&self, reconstructed: i32) -> i32 {
        let [a1, a2] = self.poles;
        let newer = (a1 * saturate(2 * reconstructed)) >> 15;
        let older = (a2 * saturate(2 * self.reconstructed)) >> 15;
        saturate(newer + older)
    }
}
