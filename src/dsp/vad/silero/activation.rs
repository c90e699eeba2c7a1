//! Functions that bend sums, without a branch, so that a loop over them is done in registers.

use std::f32::consts::LOG2_E;

/// 1.5 · 2^23: a float to which this is added has no places behind the point left.
const ROUNDING: f32 = 12_582_912.0;

/// ln 2, in a part of few bits, whose products with small whole numbers are exact, and the rest.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// e^x, to within 3·10^−7 of itself; of what is beyond ±87 as if it were that.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * LOG2_E + ROUNDING;
    let whole = shifted - ROUNDING;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    // The series of e^x, for at most half of ln 2: the first term that is left out is 5·10^−9.
    let series = 1.0 / 720.0 + rest / 5_040.0;
    let series = 1.0 / 120.0 + rest * series;
    let series = 1.0 / 24.0 + rest * series;
    let series = 1.0 / 6.0 + rest * series;
    let series = 0.5 + rest * series;
    let series = 1.0 + rest * series;
    let series = 1.0 + rest * series;
    // The whole number stands in the lowest bits; moved up it is the exponent of 2.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    series * power
}

/// 1 / (1 + e^−x).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, to within 3·10^−7.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_exact_arithmetic_gives() {
        for n in -40_000..=40_000 {
            let x = n as f32 / 1_000.0;
            let exact = f64::from(x);
            assert!((f64::from(exp(x)) / exact.exp() - 1.0).abs() < 3e-7, "e^{x}");
            let expected = 1.0 / (1.0 + (-exact).exp());
            assert!((f64::from(sigmoid(x)) - expected).abs() < 2e-7, "{x}");
            assert!((f64::from(tanh(x)) - exact.tanh()).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn far_out_they_have_their_limits() {
        for far in [88.0, 1e9, f32::MAX, f32::INFINITY] {
            assert_eq!((sigmoid(far), tanh(far)), (1.0, 1.0));
            assert!(sigmoid(-far) < 1e-37);
            assert_eq!(tanh(-far), -1.0);
        }
    }
}
