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
    prefetch_at((&raw const *value).cast::<u8>(), size_of_val(value));
}

/// The same for `count` values from `first` on, whether there are any or not.
#[inline]
pub fn prefetch_at<T>(first: *const T, count: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // From the beginning of its line, else the last one may be left out.
        let into_line = first.addr() % LINE_BYTES;
        let first = first.cast::<i8>().wrapping_sub(into_line);
        for offset in (0..into_line + count * size_of::<T>()).step_by(LINE_BYTES) {
            // SAFETY: a prefetch reads nothing that the program could see, and may have any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, count);
}
