//! The zeros of a predictor with SSE2, which every x86-64 processor has: one register of
//! coefficients and one of differences.
//!
//! What the compiler makes of [`super::zeros`] takes about one and a half times as long for a whole
//! decoder. No pointer is read here.

use std::arch::x86_64::{
    __m128i, _mm_add_epi16, _mm_add_epi32, _mm_and_si128, _mm_cvtsi128_si64, _mm_extract_epi16,
    _mm_insert_epi16, _mm_madd_epi16, _mm_max_epi16, _mm_mulhi_epi16, _mm_mullo_epi16,
    _mm_or_si128, _mm_set1_epi16, _mm_setr_epi16, _mm_setzero_si128, _mm_slli_epi16,
    _mm_slli_si128, _mm_srai_epi16, _mm_srli_epi16, _mm_srli_si128, _mm_sub_epi16,
    _mm_unpackhi_epi32, _mm_unpacklo_epi32, _mm_xor_si128,
};

use super::zeros::{STEPS, limited_sum};

/// As `Zeros` of [`super::zeros`].
#[derive(Clone, Debug)]
pub(super) struct Zeros {
    coefficients: __m128i,
    differences: __m128i,
}

impl Default for Zeros {
    fn default() -> Self {
        // SAFETY: SSE2 is part of x86-64.
        let zero = unsafe { _mm_setzero_si128() };
        Self { coefficients: zero, differences: zero }
    }
}

impl Zeros {
    /// As `update` there.
    #[inline(always)]
    pub(super) fn update(&mut self, difference: i16) -> i32 {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { self.adapt_and_filter(difference) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn adapt_and_filter(&mut self, difference: i16) -> i32 {
        self.adapt(difference);
        let older = _mm_slli_si128::<2>(self.differences);
        self.differences = _mm_insert_epi16::<0>(older, i32::from(difference));
        sum(self.terms())
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn adapt(&mut self, difference: i16) {
        let [a, b, c, d, e, f, g, h] = STEPS;
        let moves = _mm_set1_epi16(-i16::from(difference != 0));
        let step = _mm_and_si128(_mm_setr_epi16(a, b, c, d, e, f, g, h), moves);
        let signs = _mm_xor_si128(self.differences, _mm_set1_epi16(difference));
        let opposite = _mm_srai_epi16::<15>(signs);
        let step = _mm_sub_epi16(_mm_xor_si128(step, opposite), opposite);

        let b = self.coefficients;
        let byte = _mm_set1_epi16(255);
        let up = _mm_srli_epi16::<8>(_mm_add_epi16(_mm_and_si128(b, byte), byte));
        let leak = _mm_add_epi16(_mm_srai_epi16::<8>(b), up);
        self.coefficients = _mm_add_epi16(_mm_sub_epi16(b, leak), step);
    }

    /// Bits 14 to 29 of each product.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn terms(&self) -> __m128i {
        let high = _mm_mulhi_epi16(self.coefficients, self.differences);
        let low = _mm_mullo_epi16(self.coefficients, self.differences);
        _mm_or_si128(_mm_slli_epi16::<2>(high), _mm_srli_epi16::<14>(low))
    }
}

/// The sum with the standard's limits, which make a chain of six additions. Where the magnitudes
/// together are within the limit, no partial sum is beyond it: then all are added at once.
#[inline]
#[target_feature(enable = "sse2")]
fn sum(terms: __m128i) -> i32 {
    let magnitudes = _mm_max_epi16(terms, _mm_sub_epi16(_mm_setzero_si128(), terms));
    let ones = _mm_set1_epi16(1);
    let (terms_by_4, magnitudes_by_4) =
        (_mm_madd_epi16(terms, ones), _mm_madd_epi16(magnitudes, ones));
    let halves = _mm_add_epi32(
        _mm_unpacklo_epi32(terms_by_4, magnitudes_by_4),
        _mm_unpackhi_epi32(terms_by_4, magnitudes_by_4),
    );
    let sums = _mm_cvtsi128_si64(_mm_add_epi32(halves, _mm_srli_si128::<8>(halves)));
    if sums >> 32 <= i64::from(i16::MAX) { sums as i32 } else { one_by_one(terms) }
}

#[cold]
#[inline(never)]
#[target_feature(enable = "sse2")]
fn one_by_one(terms: __m128i) -> i32 {
    limited_sum([
        _mm_extract_epi16::<0>(terms) as i16,
        _mm_extract_epi16::<1>(terms) as i16,
        _mm_extract_epi16::<2>(terms) as i16,
        _mm_extract_epi16::<3>(terms) as i16,
        _mm_extract_epi16::<4>(terms) as i16,
        _mm_extract_epi16::<5>(terms) as i16,
        _mm_extract_epi16::<6>(terms) as i16,
        _mm_extract_epi16::<7>(terms) as i16,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::g722::zeros;

    #[test]
    fn every_update_is_that_of_the_portable_zeros() {
        let (mut ours, mut portable) = (Zeros::default(), zeros::Zeros::default());
        let mut state = 3_u64;
        let mut limited = 0;
        for n in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Up to the largest difference of the lower band, of one sign for up to 255 samples.
            let magnitude = (state >> 33) as i16 % 10_229;
            let sign = if (n / (1 + (n >> 8) % 255)) % 2 == 0 { 1 } else { -1 };
            let difference = sign * magnitude.abs();
            let sum = portable.update(difference);
            assert_eq!(ours.update(difference), sum, "update {n}");
            limited += usize::from(sum == 32_767 || sum == -32_768);
        }
        assert!(limited > 100, "{limited} sums are at the limit");
    }
}
