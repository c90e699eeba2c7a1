//! Tests in real time, on machines that sometimes stand still.
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "measures whether the machine stands still")]

use std::io::Write;
use std::panic::{UnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// How late a thread may be woken before its processor counts as having stood still: more than two
/// frames, which is where Asterisk itself begins to lose audio between its channels.
const STALL: Duration = Duration::from_millis(50);

const LOOK_EVERY: Duration = Duration::from_millis(5);

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

/// Runs a test that depends on real time. Where it fails *and* a processor stood still meanwhile,
/// as virtual ones do, the failure says nothing: it is run again, five times at most. A failure
/// on a machine that ran steadily is one at once.
#[allow(dead_code, reason = "every test binary uses its own part")]
pub fn steady(test: impl Fn() + UnwindSafe + std::panic::RefUnwindSafe) {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    attempt(test);
}

fn attempt(test: impl Fn() + UnwindSafe + std::panic::RefUnwindSafe) {
    for attempt in 1..=ATTEMPTS {
        let watch = Watch::begin();
        let outcome = catch_unwind(&test);
        let stall = watch.longest_stall();
        let Err(panic) = outcome else { return };
        let why = match panic.is::<Unsteady>() {
            true => "a peer did not keep time",
            false => "stall",
        };
        if attempt == ATTEMPTS || (stall <= STALL && !panic.is::<Unsteady>()) {
            eprintln!("attempt {attempt} of {ATTEMPTS}; the longest stall was {stall:?}");
            resume_unwind(panic);
        }
        // Not `eprintln!`, which is shown of tests that fail only.
        let name = thread::current().name().unwrap_or_default().to_owned();
        let line = format!("*** RERUN {name}: {why}; the longest stall was {stall:?}\n");
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// One thread per processor, which asks to be woken again and again, and looks how late it is.
struct Watch {
    done: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Duration>>,
}

impl Watch {
    fn begin() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let threads = processors().into_iter().map(|processor| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                stay_on(processor);
                longest_stall(&done)
            })
        });
        Self { threads: threads.collect(), done }
    }

    fn longest_stall(self) -> Duration {
        self.done.store(true, Ordering::Relaxed);
        let stalls = self.threads.into_iter().map(|watch| watch.join().expect("it does not panic"));
        stalls.max().unwrap_or_default()
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

/// The processors that this process may use.
fn processors() -> Vec<usize> {
    // SAFETY: an all-zero set is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is as large as is said.
    let answer = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    assert_eq!(answer, 0, "which processors there are: {}", std::io::Error::last_os_error());
    // SAFETY: the number is below the size of the set.
    let may = |&n: &usize| unsafe { libc::CPU_ISSET(n, &set) };
    (0..8 * size_of_val(&set)).filter(may).collect()
}

/// Keeps this thread on one processor.
fn stay_on(processor: usize) {
    // SAFETY: an all-zero set is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number came from such a set.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: `set` is as large as is said; 0 is the thread that asks.
    let answer = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    assert_eq!(answer, 0, "to stay on a processor: {}", std::io::Error::last_os_error());
}
