//! Who has a core first where several threads want it, by their nice values (sched(7)).
//!
//! On Linux each thread has a nice value of its own. It may be raised by anybody; lowering it needs
//! `CAP_SYS_NICE`, or an `RLIMIT_NICE` of at least 20 less the value.

use std::io;

use rustix::process::{getpid, getpriority_process, setpriority_process};
use tracing::{debug, info, warn};

/// How much higher the nice value is of a thread that carries no media. Beside one that does, it has
/// a tenth of the core while both want it.
const BEHIND: i32 = 10;

/// The highest there is.
const HIGHEST: i32 = 19;

/// Lets the calling thread, which carries no media, stand back behind those that do: its nice value
/// becomes higher by 10 than that of the process, which is its first thread's.
///
/// For the threads of the tokio runtime that a server is started in (`on_thread_start`). The thread
/// that starts it must not stand back: those that carry media begin with its nice value.
pub fn stand_back() {
    if let Err(error) = raise_nice() {
        debug!(%error, "a thread cannot stand back behind media");
    }
}

fn raise_nice() -> io::Result<()> {
    let wanted = (getpriority_process(Some(getpid()))? + BEHIND).min(HIGHEST);
    // Threads begin with the nice value of the one that starts them, which may stand back already.
    if wanted > getpriority_process(None)? {
        setpriority_process(None, wanted)?;
    }
    Ok(())
}

/// Gives the calling thread, which carries media, this nice value, where it has a higher one.
///
/// # Errors
/// What the kernel says; then it is left as it was.
pub(super) fn go_first(shard_nice: i32) -> io::Result<()> {
    if shard_nice < getpriority_process(None)? {
        setpriority_process(None, shard_nice)?;
    }
    Ok(())
}

/// Logs what has become of the threads for which [`go_first`] was called, and what to do where it
/// failed.
pub(super) fn tell(shard_nice: i32, result: io::Result<()>) {
    match result {
        Ok(()) if shard_nice < 0 => info!(nice = shard_nice, "threads that carry media go first"),
        Ok(()) => {}
        Err(error) => warn!(
            key = "server.shard_nice",
            asked = shard_nice,
            %error,
            "the kernel refuses this nice value to the threads that carry media: allow it \
             (CAP_SYS_NICE, or RLIMIT_NICE: LimitNICE= of systemd, --ulimit nice= of Docker), or \
             set this key to 0"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::*;

    /// What a thread's nice value has become by `change`.
    fn after(change: impl FnOnce() + Send + 'static) -> i32 {
        let thread = thread::spawn(|| {
            change();
            getpriority_process(None).expect("a nice value")
        });
        thread.join().expect("it does not panic")
    }

    #[test]
    fn a_thread_stands_back_by_itself() {
        let own = getpriority_process(None).expect("a nice value");
        let twice = || {
            stand_back();
            stand_back();
        };
        assert_eq!(after(twice), (own + BEHIND).min(HIGHEST));
        assert_eq!(getpriority_process(None).expect("a nice value"), own);
    }

    #[test]
    fn a_lower_nice_value_needs_a_permission() {
        let maximum = getrlimit(Resource::Nice).maximum;
        setrlimit(Resource::Nice, Rlimit { current: Some(0), maximum }).expect("it is lowered");
        let own = getpriority_process(None).expect("a nice value");
        let asked_without = || {
            let mut sets = capabilities(None).expect("those of this thread");
            sets.effective.remove(CapabilitySet::SYS_NICE);
            set_capabilities(None, sets).expect("they may be given up");
            let refused = go_first(-20).expect_err("it is not permitted");
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        };
        assert_eq!(after(asked_without), own);
    }

    #[test]
    fn a_nice_value_is_never_raised_for_media() {
        let own = getpriority_process(None).expect("a nice value");
        assert_eq!(after(|| go_first(HIGHEST).expect("nothing is asked for")), own);
    }
}
