//! Cache lines that are asked for before they are needed.

/// Bytes of a cache line, of the processors that this is for.
#[cfg(target_arch = "x86_64")]
const LINE_BYTES: usize = 64;

/// Asks the processor for the memory of `value`, without what it points to, and does not wait.
///
/// Worth it where the memory of many values is needed one after the other: it then comes in parallel.
/// Does nothing on processors for which it is not written.
#[inline]
pub fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = (&raw const *value).cast::<i8>();
        for offset in (0..size_of_val(value)).step_by(LINE_BYTES) {
            // SAFETY: a prefetch reads nothing that the program could see, and may have any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
