use std::sync::atomic::{AtomicU8, Ordering};

/// Whether the call behind a line goes on: said once by the processor's end, looked at by the task.
#[derive(Debug)]
pub(super) struct LineState(AtomicU8);

/// What a [`LineState`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Open,
    /// The call is over, and all that it had to say is in the line.
    Closed,
    /// The call is gone without an end.
    Abandoned,
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const ABANDONED: u8 = 2;

impl LineState {
    /// The call goes on.
    pub(super) fn open() -> Self {
        Self(AtomicU8::new(OPEN))
    }

    /// What was said. To be looked at before what the line holds: once it is over, that is the last.
    pub(super) fn get(&self) -> State {
        match self.0.load(Ordering::Acquire) {
            OPEN => State::Open,
            CLOSED => State::Closed,
            _ => State::Abandoned,
        }
    }

    /// The call is over.
    pub(super) fn close(&self) {
        self.end(CLOSED);
    }

    /// The call is gone, if it has not been said to be over.
    pub(super) fn abandon(&self) {
        self.end(ABANDONED);
    }

    fn end(&self, state: u8) {
        // The first end counts: dropping comes behind closing.
        let _ = self.0.compare_exchange(OPEN, state, Ordering::Release, Ordering::Relaxed);
    }
}
