//! Registers of whole numbers, and the one sum of products that the resampler needs of them.

/// So many sums of 32 bits side by side.
pub(super) trait Lanes: Copy {
    /// How many.
    const COUNT: usize;

    /// All zero.
    fn zero() -> Self;

    /// Pairs of 16-bit samples, one for each sum.
    ///
    /// # Safety
    /// `COUNT` pairs can be read there.
    unsafe fn load(from: *const [i16; 2]) -> Self;

    /// The same pair for each sum.
    fn splat(pair: [i16; 2]) -> Self;

    /// To each sum the products of two pairs: of their first samples, and of their second ones.
    fn plus_products(self, a: Self, b: Self) -> Self;

    /// To each sum what is left of the other one when it is shifted right.
    fn plus_shifted(self, other: Self, shift: u32) -> Self;

    /// Writes the sums down, as many as there are.
    fn store(self, to: &mut [i32]);

    /// Hands on each sum, with its number.
    #[inline(always)]
    fn each(self, mut hand_on: impl FnMut(usize, i32)) {
        let mut sums = [0; MAX_COUNT];
        self.store(&mut sums[..Self::COUNT]);
        sums[..Self::COUNT].iter().enumerate().for_each(|(n, &sum)| hand_on(n, sum));
    }

    /// All sums together.
    #[inline(always)]
    fn total(self) -> i32 {
        let mut total = 0;
        self.each(|_, sum| total += sum);
        total
    }
}

/// Most sums that there are side by side.
const MAX_COUNT: usize = 16;

/// Eight sums in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([i32; 8]);

impl Lanes for Portable {
    const COUNT: usize = 8;

    #[inline(always)]
    fn zero() -> Self {
        Self([0; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const [i16; 2]) -> Self {
        // SAFETY: the caller promises as much; a pair has the size of a sum.
        Self(unsafe { from.cast::<[i32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    fn splat(pair: [i16; 2]) -> Self {
        Self([both(pair); 8])
    }

    #[inline(always)]
    fn plus_products(self, a: Self, b: Self) -> Self {
        let mut sums = self.0;
        for (sum, (a, b)) in sums.iter_mut().zip(a.0.iter().zip(&b.0)) {
            // The halves of a register's 32 bits, in either order.
            *sum += i32::from(*a as i16) * i32::from(*b as i16) + (a >> 16) * (b >> 16);
        }
        Self(sums)
    }

    #[inline(always)]
    fn plus_shifted(self, other: Self, shift: u32) -> Self {
        let mut sums = self.0;
        for (sum, other) in sums.iter_mut().zip(other.0) {
            *sum += other >> shift;
        }
        Self(sums)
    }

    #[inline(always)]
    fn store(self, to: &mut [i32]) {
        to.copy_from_slice(&self.0);
    }
}

/// A pair in 32 bits, as it lies in memory.
#[inline(always)]
fn both(pair: [i16; 2]) -> i32 {
    let ([a, b], [c, d]) = (pair[0].to_ne_bytes(), pair[1].to_ne_bytes());
    i32::from_ne_bytes([a, b, c, d])
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_sra_epi32,
        _mm256_storeu_si256, _mm512_add_epi32, _mm512_loadu_si512, _mm512_madd_epi16,
        _mm512_set1_epi32, _mm512_setzero_si512, _mm512_sra_epi32, _mm512_storeu_si512,
    };

    use super::{Lanes, both};

    macro_rules! lanes {
        (
            $(#[$doc:meta])* $name:ident($register:ident) of $count:literal: $zero:ident, $load:ident,
            $splat:ident, $products:ident, $add:ident, $shift:ident, $store:ident
        ) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($register);

            // SAFETY, for every block: these types occur only in loops that are compiled for, and
            // run on, processors that have the instructions.
            #[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
            impl Lanes for $name {
                const COUNT: usize = $count;

                #[inline(always)]
                fn zero() -> Self {
                    Self(unsafe { $zero() })
                }

                #[inline(always)]
                unsafe fn load(from: *const [i16; 2]) -> Self {
                    Self(unsafe { $load(from.cast()) })
                }

                #[inline(always)]
                fn splat(pair: [i16; 2]) -> Self {
                    Self(unsafe { $splat(both(pair)) })
                }

                #[inline(always)]
                fn plus_products(self, a: Self, b: Self) -> Self {
                    Self(unsafe { $add(self.0, $products(a.0, b.0)) })
                }

                #[inline(always)]
                fn plus_shifted(self, other: Self, shift: u32) -> Self {
                    let shift = shift.cast_signed();
                    Self(unsafe { $add(self.0, $shift(other.0, _mm_cvtsi32_si128(shift))) })
                }

                #[inline(always)]
                fn store(self, to: &mut [i32]) {
                    assert_eq!(to.len(), $count, "room for each sum");
                    unsafe { $store(to.as_mut_ptr().cast(), self.0) };
                }
            }
        };
    }

    lanes! {
        /// Eight sums, by AVX2.
        Avx2(__m256i) of 8: _mm256_setzero_si256, _mm256_loadu_si256, _mm256_set1_epi32,
        _mm256_madd_epi16, _mm256_add_epi32, _mm256_sra_epi32, _mm256_storeu_si256
    }

    lanes! {
        /// Sixteen sums, by AVX-512.
        Avx512(__m512i) of 16: _mm512_setzero_si512, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_madd_epi16, _mm512_add_epi32, _mm512_sra_epi32, _mm512_storeu_si512
    }
}
