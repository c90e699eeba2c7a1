//! One source for every instruction set: a loop is written once, in plain Rust, and compiled for
//! each [`Level`]; the best that the processor has is taken when the program runs.
//!
//! A loop gives the same bits at every level, because no level changes an order of operations:
//! whole numbers wrap alike everywhere, and what is done with floats is done in the order that the
//! source states; a product and a sum are not fused into one rounding, even where there is an
//! instruction for it.

use std::sync::OnceLock;

/// An instruction set that the loops of `dsp` are compiled for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// What every processor of the target has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    /// x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL, and what these imply: AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Every level that this processor has, the best last.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wider = [
            (Self::Avx2, is_x86_feature_detected!("avx2")),
            (
                Self::Avx512,
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl"),
            ),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let wider: [(Self, bool); 0] = [];
        let wider = wider.into_iter().filter_map(|(level, present)| present.then_some(level));
        std::iter::once(Self::Baseline).chain(wider)
    }

    /// The best level that this processor has.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().unwrap_or(Self::Baseline))
    }

    /// Runs a loop as it was compiled for this level, or for the best that the processor has.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // A level has all that those below it have.
        match self.min(Self::best()) {
            Self::Baseline => kernel.run(),
            // SAFETY: the processor has the level.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { run_avx512(kernel) },
        }
    }
}

impl Level {
    /// Converts as many items as both slices hold, and answers how many. `convert` must be
    /// `#[inline(always)]`.
    #[inline]
    pub(super) fn map<A: Copy, B>(
        self,
        from: &[A],
        to: &mut [B],
        convert: impl Fn(A) -> B,
    ) -> usize {
        self.run(Map { from, to, convert })
    }
}

/// A loop with its arguments.
pub(super) trait Kernel {
    /// What the loop answers.
    type Output;

    /// The loop. Must be `#[inline(always)]`, and so must all that it calls: only what is inlined
    /// is compiled for the level.
    fn run(self) -> Self::Output;

    /// The loop for AVX2 and better, where it is written by hand.
    ///
    /// # Safety
    /// The processor must have AVX2.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn run_avx2(self) -> Self::Output
    where
        Self: Sized,
    {
        self.run()
    }

    /// The loop for AVX-512, where it is written by hand for that, too.
    ///
    /// # Safety
    /// The processor must have AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn run_avx512(self) -> Self::Output
    where
        Self: Sized,
    {
        // SAFETY: a processor has this level only where it has AVX2.
        unsafe { self.run_avx2() }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: only a processor with AVX2 gets here.
    unsafe { kernel.run_avx2() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: only a processor with AVX-512 gets here.
    unsafe { kernel.run_avx512() }
}

struct Map<'a, A, B, F> {
    from: &'a [A],
    to: &'a mut [B],
    convert: F,
}

impl<A: Copy, B, F: Fn(A) -> B> Kernel for Map<'_, A, B, F> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let Self { from, to, convert } = self;
        for (to, &from) in to.iter_mut().zip(from) {
            *to = convert(from);
        }
        from.len().min(to.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_of_this_processor_ascend_from_the_baseline_to_the_best() {
        let levels: Vec<Level> = Level::available().collect();
        assert_eq!(levels.first(), Some(&Level::Baseline));
        assert_eq!(levels.last(), Some(&Level::best()));
        assert!(levels.is_sorted());
    }

    #[test]
    fn the_shorter_slice_decides() {
        for level in Level::available() {
            let mut to = [0_u8; 3];
            assert_eq!(level.map(&[1_u8, 2], &mut to, |byte| byte + 1), 2);
            assert_eq!(to, [2, 3, 0]);
            assert_eq!(level.map(&[9_u8; 5], &mut to, |byte| byte), 3);
        }
    }
}
