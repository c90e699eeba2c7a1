use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use crate::audio::SampleRate;
use crate::event::EventKind;
use crate::processor::stt::AudioLine;
use crate::processor::{Piece, PieceLine, Waker};
use crate::runtime::lane::Lane;
use crate::runtime::line_state::{LineState, State};

/// Pieces that lie ready to be filled: the task empties the lane as soon as one is in it.
const SPARE_PIECES: usize = 8;

/// Most pieces of one call that wait, whatever the configuration says.
const MOST_PIECES: usize = 4_096;

/// Events that wait for the call to take them.
const MOST_EVENTS: usize = 64;

/// What a transcriber and its task share. Neither ever waits for the other.
pub(super) struct Line {
    rate: SampleRate,
    pieces: Lane<Piece>,
    events: ArrayQueue<EventKind>,
    /// Something has come for the task.
    pub(super) ready: Notify,
    waker: Waker,
    dropped_samples: AtomicU64,
    state: LineState,
}

impl Line {
    /// A line that holds so many pieces of audio of `rate`.
    pub(super) fn new(rate: SampleRate, pieces: usize, waker: Waker) -> Self {
        Self {
            rate,
            pieces: Lane::new(pieces.clamp(4, MOST_PIECES), SPARE_PIECES),
            events: ArrayQueue::new(MOST_EVENTS),
            ready: Notify::new(),
            waker,
            dropped_samples: AtomicU64::new(0),
            state: LineState::open(),
        }
    }

    /// Whether the call goes on. Looked at before the pieces: once it is over, the line holds the
    /// last of them.
    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    /// The oldest piece that waits.
    pub(super) fn pop(&self) -> Option<Piece> {
        self.pieces.pop()
    }

    /// Gives a piece back to be filled again.
    pub(super) fn recycle(&self, piece: Piece) {
        self.pieces.recycle(piece);
    }

    /// Samples that were dropped since this was last asked for, because the task did not run.
    pub(super) fn take_dropped_samples(&self) -> u64 {
        self.dropped_samples.swap(0, Ordering::Relaxed)
    }

    /// Tells the call something; true where an event that it had not taken had to go for that.
    pub(super) fn tell(&self, event: EventKind) -> bool {
        let displaced = self.events.force_push(event).is_some();
        self.waker.wake();
        displaced
    }

    /// What a call that is over has not taken.
    pub(super) fn pop_event(&self) -> Option<EventKind> {
        self.events.pop()
    }
}

/// A transcriber's end of a [`Line`].
pub(super) struct LineEnd(pub(super) Arc<Line>);

impl PieceLine for LineEnd {
    fn piece(&mut self) -> Piece {
        self.0.pieces.spare().unwrap_or_else(|| Piece::new(self.0.rate))
    }

    fn push(&mut self, piece: Piece) {
        if let Some(oldest) = self.0.pieces.push(piece) {
            self.0.dropped_samples.fetch_add(oldest.samples.len() as u64, Ordering::Relaxed);
            self.0.recycle(oldest);
        }
        self.0.ready.notify_one();
    }
}

impl AudioLine for LineEnd {
    fn poll(&mut self) -> Option<EventKind> {
        self.0.pop_event()
    }

    fn close(self: Box<Self>) {
        self.0.state.close();
        self.0.ready.notify_one();
    }
}

impl Drop for LineEnd {
    fn drop(&mut self) {
        self.0.state.abandon();
        self.0.ready.notify_one();
    }
}
