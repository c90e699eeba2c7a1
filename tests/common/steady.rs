//! Tests in real time, on machines that sometimes stand still.
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "measures whether the machine stands still")]

use std::io::Write;
use std::panic::{UnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// How late a thread may be woken before the machine counts as having stood still.
const STALL: Duration = Duration::from_millis(150);

const LOOK_EVERY: Duration = Duration::from_millis(10);

const ATTEMPTS: u32 = 5;

/// One test may have the machine to itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// What a test panics with where its own peers did not keep time, so that it tells nothing of us.
#[derive(Debug)]
struct Unsteady;

/// Ends a test that tells nothing because somebody else did not keep time; [`steady`] runs it again.
#[allow(dead_code, reason = "every test binary uses its own part")]
pub fn unsteady(why: &str) -> ! {
    eprintln!("unsteady: {why}");
    panic_any(Unsteady)
}

/// As [`steady`], with no other test of this binary at the same time.
#[allow(dead_code, reason = "every test binary uses its own part")]
pub fn steady_alone(test: impl Fn() + UnwindSafe + std::panic::RefUnwindSafe) {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    attempt(test);
}

/// Runs a test that depends on real time. Where it fails *and* the machine stood still meanwhile,
/// as virtual ones do, the failure says nothing: it is run again, five times at most. A failure
/// on a machine that ran steadily is one at once.
pub fn steady(test: impl Fn() + UnwindSafe + std::panic::RefUnwindSafe) {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    attempt(test);
}

fn attempt(test: impl Fn() + UnwindSafe + std::panic::RefUnwindSafe) {
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
            Err(panic) if attempt < ATTEMPTS && (stall > STALL || panic.is::<Unsteady>()) => {
                // Not `eprintln!`, which is shown of tests that fail only.
                let name = thread::current().name().unwrap_or_default().to_owned();
                let why = if panic.is::<Unsteady>() { "a peer did not keep time" } else { "stall" };
                let line = format!("*** RERUN {name}: {why}; the longest stall was {stall:?}\n");
                let _ = std::io::stderr().lock().write_all(line.as_bytes());
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
