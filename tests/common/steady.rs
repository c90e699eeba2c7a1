//! Tests in real time, on machines that sometimes stand still.
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "measures whether the machine stands still")]

use std::panic::{UnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How late a thread may be woken before the machine counts as having stood still.
const STALL: Duration = Duration::from_millis(150);

const LOOK_EVERY: Duration = Duration::from_millis(10);

const ATTEMPTS: u32 = 3;

/// Runs a test that depends on real time. Where it fails *and* the machine stood still meanwhile,
/// as virtual ones do, the failure says nothing: it is run again, three times at most. A failure
/// on a machine that ran steadily is one at once.
pub fn steady(test: impl Fn() + UnwindSafe + std::panic::RefUnwindSafe) {
    for attempt in 1..=ATTEMPTS {
        let done = Arc::new(AtomicBool::new(false));
        let watch = thread::spawn({
            let done = Arc::clone(&done);
            move || longest_stall(&done)
        });
        let outcome = catch_unwind(&test);
        done.store(true, Ordering::Relaxed);
        let stall = watch.join().expect("the watch does not panic");
        match outcome {
            Ok(()) => return,
            Err(_) if stall > STALL && attempt < ATTEMPTS => {
                eprintln!("*** the machine stood still for {stall:?}: the test is run again");
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

fn longest_stall(done: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let before = Instant::now();
        thread::sleep(LOOK_EVERY);
        longest = longest.max(before.elapsed().saturating_sub(LOOK_EVERY));
    }
    longest
}
