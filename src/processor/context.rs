use std::time::Duration;

use super::NotControlled;
use crate::audio::{Position, SampleRate};
use crate::call::Destination;
use crate::event::{EventKind, whole_millis};
use crate::media::{Cleared, Digit, Playout};

/// What a processor may do while it handles a frame or an event.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) now: Position,
    pub(crate) playout: &'a mut Playout,
    pub(crate) requests: &'a mut Vec<Request>,
    pub(crate) reach: &'a Reach,
}

/// What of a call, besides its audio, its processors can do something about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// Asterisk's ARI controls the caller's channel for us.
    pub(crate) controlled: bool,
}

/// What processors asked of the engine; carried out after the chain has run.
#[derive(Debug)]
pub(crate) enum Request {
    Emit(EventKind),
    Digit(Digit),
    Transfer(Destination),
    Hangup,
}

impl Context<'_> {
    /// The media time of now: samples since the call's start.
    #[must_use]
    pub fn now(&self) -> Position {
        self.now
    }

    /// The call's sample rate.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.playout.rate()
    }

    /// Queues samples for the caller and returns how many were taken.
    ///
    /// Fewer than given are taken when the queue is full; the rest stays with the processor.
    pub fn play(&mut self, samples: &[i16]) -> usize {
        self.playout.push(samples)
    }

    /// Samples queued and not sent yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.playout.queued()
    }

    /// Samples that [`Self::play`] would take now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.playout.room()
    }

    /// Whether the queue had too little for the latest frame, and got nothing since; so it is before
    /// the first.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.playout.is_dry()
    }

    /// How much of the present playback has really been sent, in a pause also. A playback begins
    /// when something is queued while nothing waits.
    #[must_use]
    pub fn played(&self) -> Duration {
        self.playout.played()
    }

    /// Asks for an [`EventKind::QueueLevel`] each time the queue has grown to `high`, and each time it
    /// has fallen to `low` after that. The last one to ask is heeded, for all of the call.
    pub fn watch_queue(&mut self, low: Duration, high: Duration) {
        self.playout.set_watermarks(low, high);
    }

    /// Lets the caller hear silence from the next frame on; what is queued stays, and more may be
    /// queued.
    pub fn pause(&mut self) {
        self.playout.pause();
    }

    /// Goes on where [`Self::pause`] stopped.
    pub fn resume(&mut self) {
        self.playout.resume();
    }

    /// Whether the queue is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.playout.is_paused()
    }

    /// Lowers what the caller hears by `gain_db` (0 or less) from the next frame on, until
    /// [`Self::unduck`]. It gets there over the course of that frame, so that nothing clicks.
    pub fn duck(&mut self, gain_db: f32) {
        self.playout.duck(gain_db);
    }

    /// Takes back [`Self::duck`], over the course of the next frame.
    pub fn unduck(&mut self) {
        self.playout.unduck();
    }

    /// Asks for an [`EventKind::Mark`] when everything queued up to now has been sent.
    pub fn mark(&mut self, name: &str) {
        self.playout.mark(name);
    }

    /// Throws away all that is queued, and tells it as [`EventKind::Cleared`]. Marks in it follow at
    /// once, as not played. A pause goes on.
    pub fn clear(&mut self) -> Cleared {
        let cleared = self.playout.clear();
        self.emit(EventKind::Cleared {
            played_ms: whole_millis(cleared.played),
            discarded_ms: whole_millis(cleared.discarded),
            marks: cleared.marks.clone(),
        });
        cleared
    }

    /// Adds an event to the call's events.
    pub fn emit(&mut self, event: EventKind) {
        self.requests.push(Request::Emit(event));
    }

    /// Tells a digit that the caller pressed, unless another source has told of the same press.
    pub fn digit(&mut self, digit: Digit) {
        self.requests.push(Request::Digit(digit));
    }

    /// Ends the call.
    pub fn hangup(&mut self) {
        self.requests.push(Request::Hangup);
    }
    /// Sends the caller on in Asterisk's dialplan, and ends the call; what waits is not played any
    /// more. What follows in the dialplan is not of this call, and does not depend on `on_end`.
    ///
    /// Told as [`EventKind::Transfer`]. A destination that Asterisk does not have is not gone to: the
    /// caller is hung up or goes on behind `Stasis()`, as `on_end` says.
    ///
    /// # Errors
    /// [`NotControlled`] where no ARI controls the call; then it goes on.
    pub fn transfer(&mut self, destination: Destination) -> Result<(), NotControlled> {
        self.reach.control()?;
        self.requests.push(Request::Transfer(destination));
        Ok(())
    }
}

impl Reach {
    fn control(&self) -> Result<(), NotControlled> {
        if self.controlled { Ok(()) } else { Err(NotControlled) }
    }
}
