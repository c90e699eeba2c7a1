//! Registers of floats, and the sum of products that the forward pass is made of.

/// So many floats side by side.
pub(super) trait Lanes: Copy {
    /// How many.
    const COUNT: usize;

    /// The same value in each.
    fn splat(value: f32) -> Self;

    /// The first [`Self::COUNT`] of the values.
    ///
    /// # Panics
    /// Where there are fewer.
    fn load(from: &[f32]) -> Self;

    /// To each the product of two others. Whether it is rounded in between hangs on the instruction
    /// set.
    fn plus_product(self, a: Self, b: Self) -> Self;

    /// Writes them to the first [`Self::COUNT`] places.
    ///
    /// # Panics
    /// Where there are fewer.
    fn store(self, to: &mut [f32]);
}

/// Four floats in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

impl Lanes for Portable {
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let mut values = [0.0; 4];
        values.copy_from_slice(&from[..4]);
        Self(values)
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        let [p, q, r, s] = self.0;
        let ([a, b, c, d], [e, f, g, h]) = (a.0, b.0);
        Self([p + a * e, q + b * f, r + c * g, s + d * h])
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..4].copy_from_slice(&self.0);
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx512, Fma};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::Lanes;

    macro_rules! lanes {
        (
            $(#[$doc:meta])* $name:ident($register:ident) of $count:literal: $splat:ident,
            $load:ident, $fused:ident, $store:ident
        ) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($register);

            // SAFETY, for every block: these types occur only in loops that are compiled for, and
            // run on, processors that have the instructions; the slices are as long as is asserted.
            #[allow(clippy::undocumented_unsafe_blocks, reason = "documented once, above")]
            impl Lanes for $name {
                const COUNT: usize = $count;

                #[inline(always)]
                fn splat(value: f32) -> Self {
                    Self(unsafe { $splat(value) })
                }

                #[inline(always)]
                fn load(from: &[f32]) -> Self {
                    assert!(from.len() >= $count, "a value for each lane");
                    Self(unsafe { $load(from.as_ptr()) })
                }

                #[inline(always)]
                fn plus_product(self, a: Self, b: Self) -> Self {
                    Self(unsafe { $fused(a.0, b.0, self.0) })
                }

                #[inline(always)]
                fn store(self, to: &mut [f32]) {
                    assert!(to.len() >= $count, "room for each lane");
                    unsafe { $store(to.as_mut_ptr(), self.0) };
                }
            }
        };
    }

    lanes! {
        /// Eight floats, by AVX2 and FMA.
        Fma(__m256) of 8: _mm256_set1_ps, _mm256_loadu_ps, _mm256_fmadd_ps, _mm256_storeu_ps
    }

    lanes! {
        /// Sixteen floats, by AVX-512.
        Avx512(__m512) of 16: _mm512_set1_ps, _mm512_loadu_ps, _mm512_fmadd_ps, _mm512_storeu_ps
    }
}
