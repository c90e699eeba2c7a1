//! How long the threads of other processes wait for a processor.
#![allow(clippy::disallowed_methods, reason = "looks at foreign processes in real time")]

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the threads are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits of one thread that lie so close together count as one: who waits long and often, with a
/// few milliseconds between, gets behind as by one long wait.
const WINDOW: Duration = Duration::from_millis(200);

/// Watches processes, beside [`crate::steady`]: that one sees a processor that stands still, not a
/// thread that is ready and not run while the processor does something else.
pub(crate) struct Waits {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Waits {
    pub(crate) fn watch(pids: Vec<u32>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut looks = HashMap::<String, VecDeque<(Instant, Duration)>>::new();
            let mut longest = Duration::ZERO;
            while !is_done.load(Ordering::Relaxed) {
                for (thread, in_all) in pids.iter().flat_map(|pid| waits(*pid)) {
                    let now = Instant::now();
                    let looks = looks.entry(thread).or_default();
                    while looks.pop_front_if(|(at, _)| now - *at > WINDOW).is_some() {}
                    looks.push_back((now, in_all));
                    longest = longest.max(in_all.saturating_sub(looks[0].1));
                }
                thread::sleep(LOOK_EVERY);
            }
            longest
        });
        Self { done, thread }
    }

    /// The longest time for which any of their threads waited within a window.
    pub(crate) fn longest(self) -> Duration {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

/// How long each thread of a process has waited by now: the second figure of `schedstat`. Of one
/// that has ended, nothing.
fn waits(pid: u32) -> Vec<(String, Duration)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let waited = |entry: fs::DirEntry| {
        let path = entry.path().join("schedstat");
        let text = fs::read_to_string(&path).ok()?;
        let nanos = text.split_whitespace().nth(1)?.parse().ok()?;
        Some((path.display().to_string(), Duration::from_nanos(nanos)))
    };
    entries.filter_map(Result::ok).filter_map(waited).collect()
}
