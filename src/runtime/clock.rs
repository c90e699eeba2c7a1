use std::time::{Duration, Instant, SystemTime};

use uuid::{NoContext, Timestamp, Uuid};

use crate::call::CallId;

/// The only clock of the program: every other room is told the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(());

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// Now, on the steady clock.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub fn now(self) -> Instant {
        Instant::now()
    }

    /// Now, as time since the Unix epoch; zero on a machine whose clock stands before it.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub fn wall(self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// Lets the thread sleep.
    #[allow(
        clippy::disallowed_methods,
        reason = "a shard waits for its next tick, which is a time"
    )]
    pub(super) fn sleep(self, span: Duration) {
        if !span.is_zero() {
            std::thread::sleep(span);
        }
    }

    /// A name for a call that begins now: a UUID of version 7, so that names sort by age.
    #[must_use]
    pub fn new_call_id(self) -> CallId {
        let now = self.wall();
        let timestamp = Timestamp::from_unix(NoContext, now.as_secs(), now.subsec_nanos());
        CallId::new(Uuid::new_v7(timestamp))
    }
}
