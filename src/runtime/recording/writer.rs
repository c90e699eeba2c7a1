use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::RecordingError;
use super::active::{Active, Turn};
use crate::runtime::clock::Clock;

/// How often queues are emptied while a recording is open.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Least time between two warnings.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// What the handle tells the thread.
pub(super) enum Message {
    /// A recording begins.
    Open(Box<Active>),
    /// Close all and end.
    Shutdown,
}

/// The thread that writes all recordings.
pub(super) struct Writer {
    clock: Clock,
    active: Vec<Active>,
    failures: u64,
    warned: Option<Instant>,
}

impl Writer {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, active: Vec::new(), failures: 0, warned: None }
    }

    /// Serves until told to stop, or until no handle is left. Asleep while nothing is recorded.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut next = self.clock.now();
        loop {
            let message = if self.active.is_empty() {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                messages.recv_timeout(next.saturating_duration_since(self.clock.now()))
            };
            match message {
                Ok(Message::Open(recording)) => self.active.push(*recording),
                Ok(Message::Shutdown) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.clock.now();
            if now >= next {
                self.turn(now);
                next = now + TICK;
            }
        }
        // Calls that ended just now are complete; what is still open is told by being dropped.
        let now = self.clock.now();
        self.turn(now);
    }

    /// Writes out what has come for every recording, and forgets those that are over.
    fn turn(&mut self, now: Instant) {
        let Self { active, failures, .. } = self;
        let mut last = None;
        active.retain_mut(|recording| match recording.turn(now) {
            Turn::Open => true,
            Turn::Done => false,
            Turn::Failed(error) => {
                *failures += 1;
                last = Some(error);
                false
            }
        });
        if let Some(error) = last {
            self.warn(now, &error);
        }
    }

    /// One line for many: a full disk fails every recording there is.
    fn warn(&mut self, now: Instant, error: &RecordingError) {
        if self.warned.is_none_or(|last| now >= last + WARN_EVERY) {
            tracing::warn!(recordings = self.failures, %error, "recordings failed");
            self.failures = 0;
            self.warned = Some(now);
        }
    }
}
