//! Time: virtual where a buffer would read the machine's clock, the thread's own where cost is
//! measured.
//!
//! The crate `neteq` asks [`std::time::Instant`] when a packet arrives. On Linux that calls the C
//! library's `clock_gettime`; the symbol of the same name in this executable takes precedence over
//! the shared library's, so that the steady clock stands still unless a trace moves it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds on the steady clock while a trace plays; [`REAL`] where it is the machine's.
static VIRTUAL_NS: AtomicU64 = AtomicU64::new(REAL);

const REAL: u64 = u64::MAX;

/// What the virtual clock shows at the beginning of a trace: later than any wait, so that nothing is
/// computed back beyond zero.
const ZERO: Duration = Duration::from_secs(100_000);

/// Holds the steady clock; it runs again when this is dropped.
pub(crate) struct Held(());

impl Held {
    /// Stops the steady clock at the beginning of a trace.
    pub(crate) fn new() -> Self {
        let held = Self(());
        held.set(Duration::ZERO);
        held
    }

    /// Moves it to so long after the beginning.
    pub(crate) fn set(&self, at: Duration) {
        let ns = u64::try_from((ZERO + at).as_nanos()).expect("a trace is short");
        VIRTUAL_NS.store(ns, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        VIRTUAL_NS.store(REAL, Ordering::Relaxed);
    }
}

/// The C library's function, as POSIX has it.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let virtual_ns = VIRTUAL_NS.load(Ordering::Relaxed);
    if clock == libc::CLOCK_MONOTONIC && virtual_ns != REAL {
        let at = Duration::from_nanos(virtual_ns);
        let seconds = libc::time_t::try_from(at.as_secs()).expect("a trace is short");
        let value = libc::timespec {
            tv_sec: seconds,
            tv_nsec: libc::c_long::from(at.subsec_nanos().cast_signed()),
        };
        // SAFETY: whoever calls `clock_gettime` hands it a place for the time.
        unsafe { time.write(value) };
        return 0;
    }
    // SAFETY: the system call takes what this function was given.
    let answer = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if answer == 0 { 0 } else { -1 }
}

/// Processor time of this thread.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let answer = clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
    assert_eq!(answer, 0, "Linux counts the time of threads");
    let part = |value: i64| u64::try_from(value).expect("time does not go back");
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}
