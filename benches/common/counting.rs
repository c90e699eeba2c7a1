//! Counts what a thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, which counts for the current thread while it is told to.
pub(crate) struct Counting;

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// What the threads that are watched have allocated.
static WATCHED: AtomicU64 = AtomicU64::new(0);

fn count_one() {
    // Where the thread is being torn down, nobody counts.
    let _ = COUNTED.try_with(|counted| counted.set(counted.get().map(|count| count + 1)));
    if IS_WATCHED.try_with(Cell::get).unwrap_or(false) {
        WATCHED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every method hands its arguments on to the system's allocator and answers what that
// answers; counting touches constant-initialised `Cell`s and an atomic only, which never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

/// What `work` allocates on this thread, reallocations included.
pub(crate) fn allocations(work: impl FnOnce()) -> u64 {
    COUNTED.set(Some(0));
    work();
    COUNTED.replace(None).expect("counting was on")
}

/// From now on this thread's allocations are in [`watched`], too, for others to look at.
#[allow(dead_code, reason = "every binary uses its own part")]
pub(crate) fn watch_this_thread() {
    IS_WATCHED.set(true);
}

/// What the threads that are watched have allocated by now.
#[allow(dead_code, reason = "every binary uses its own part")]
pub(crate) fn watched() -> u64 {
    WATCHED.load(Ordering::Relaxed)
}
