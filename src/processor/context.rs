use std::time::Duration;

use super::{NoSuchProcessor, NotControlled, Pipeline, SendDtmfError};
use crate::audio::{Position, SampleRate};
use crate::call::Destination;
use crate::event::{EventKind, whole_millis};
use crate::media::{Cleared, Digit, DigitSource, Playout};

/// Digits that may be sent at once: 20 s.
const MAX_DIGITS: usize = 100;

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
    /// The processors themselves.
    pub(crate) pipeline: Pipeline,
}

/// What processors asked of the engine; carried out after the chain has run.
#[derive(Debug)]
pub(crate) enum Request {
    Emit(EventKind),
    Digit(Digit),
    Switch { name: String, on: bool },
    Transfer(Destination),
    Hangup,
    HangupWhenPlayed,
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

    /// Lets the caller hear silence, behind one frame that fades out; what is queued stays, and more
    /// may be queued.
    pub fn pause(&mut self) {
        self.playout.pause();
    }

    /// Goes on where [`Self::pause`] stopped, with a frame that fades in.
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
    ///
    /// So that nothing clicks, the 4 ms that would have come next fade out, where audio was played
    /// before them; they count as played.
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

    /// Switches a processor of the call's pipeline off, so that it gets no frames, or on again. `name`
    /// is the one that it has in the pipeline; `stt` stands for every `stt.NAME`. A processor may
    /// switch itself off: events and wakes still reach it.
    ///
    /// Told as [`EventKind::ProcessorSwitched`], also where nothing changes.
    ///
    /// # Errors
    /// [`NoSuchProcessor`] with the names there are.
    pub fn set_processor(&mut self, name: &str, on: bool) -> Result<(), NoSuchProcessor> {
        let pipeline = &self.reach.pipeline;
        if pipeline.stages(name).next().is_none() {
            let allowed = pipeline.processors().map(|name| String::from(&**name)).collect();
            return Err(NoSuchProcessor { actual: name.to_owned(), allowed });
        }
        self.requests.push(Request::Switch { name: name.to_owned(), on });
        Ok(())
    }

    /// Ends the call.
    pub fn hangup(&mut self) {
        self.requests.push(Request::Hangup);
    }

    /// Ends the call once nothing waits any more: when all that is queued now, and what comes on top
    /// before that, has been sent. That is at once where nothing waits; in a pause it is not before
    /// what waits is played or cleared.
    pub fn hangup_when_played(&mut self) {
        self.requests.push(Request::HangupWhenPlayed);
    }

    /// Presses keys towards the caller, behind those pressed before, each for 100 ms and as long apart;
    /// meanwhile the caller hears nothing else. Lower case letters count as capitals.
    ///
    /// Told as [`EventKind::SendDtmf`].
    ///
    /// # Errors
    /// [`SendDtmfError`] where no ARI controls the call, for what is on no keypad, and for no digits or
    /// more than 100 of them; then none is sent.
    pub fn send_dtmf(&mut self, digits: &str) -> Result<(), SendDtmfError> {
        self.reach.control()?;
        let key = |key| Digit::new(key, DigitSource::Ari, None).map(|digit| digit.key).ok_or(key);
        let keys: Result<String, char> = digits.chars().map(key).collect();
        let digits = keys.map_err(|actual| SendDtmfError::NoDigit { actual })?;
        if !(1..=MAX_DIGITS).contains(&digits.len()) {
            return Err(SendDtmfError::Count { actual: digits.len(), most: MAX_DIGITS });
        }
        self.emit(EventKind::SendDtmf { digits });
        Ok(())
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
