//! What happens to a call's audio: the [`Processor`] trait, the [`Chain`], and the processors.
//!
//! Processors run on the shard's thread, in the order of the pipeline, synchronously. They may
//! neither block nor allocate per frame once warm; what needs a file or a socket keeps its other
//! half in `runtime/`, behind a bounded queue, and is woken by that half through its [`Waker`].

pub mod bot;
mod chain;
mod cutter;
mod dtmf;
mod echo;
mod live_feed;
mod message;
mod piece;
mod pipeline;
pub mod player;
pub mod recorder;
mod resampled;
mod setup;
pub mod stt;
pub mod vad;
mod waker;

use std::time::Duration;

pub use chain::Chain;
pub(crate) use cutter::Cutter;
pub use cutter::PieceLine;
pub use dtmf::DtmfFactory;
pub use echo::{EchoFactory, EchoSettings};
pub use live_feed::LiveFeed;
pub use message::Message;
pub use piece::{MAX_CHUNK, MIN_CHUNK, Piece, Speech};
pub use pipeline::{Pipeline, PipelineError, ProcessorFactory, Registry};
pub use setup::Setup;
pub use waker::Waker;

use crate::audio::{AudioFrame, Position, SampleRate};
use crate::call::CallInfo;
use crate::event::{EventKind, whole_millis};
use crate::media::{CallStats, Cleared, Digit, Playout};

/// One stage of a call's chain.
///
/// Built by its [`ProcessorFactory`] when the call's sample rate is known, dropped after
/// [`Processor::finish`]. Every method has a default that does nothing.
pub trait Processor: Send {
    /// The rate at which [`Processor::uplink`] wants the caller's audio; `None`: the call's own.
    ///
    /// Asked once. Audio is resampled once per call and rate, as it is where the first processor
    /// that wants the rate stands, with positions counted at that rate. What such a processor
    /// changes in place is heard by those behind it that want the same rate, not by the others.
    /// [`Processor::late`] and [`Processor::downlink`] have the call's own rate in any case, and so
    /// has [`Context`].
    fn wants(&self) -> Option<SampleRate> {
        None
    }

    /// A frame of the caller's audio, in order of position, each position once.
    ///
    /// Samples may be changed in place for the processors that follow.
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let _ = (frame, cx);
    }

    /// A frame of the caller's audio that came after its place had been concealed.
    ///
    /// For archives only: [`Processor::uplink`] has had other samples for the same positions.
    fn late(&mut self, frame: &AudioFrame<'_>, cx: &mut Context<'_>) {
        let _ = (frame, cx);
    }

    /// A frame on its way to the caller, one per packet time, silence included.
    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let _ = (frame, cx);
    }

    /// Something happened in the call.
    fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        let _ = (event, cx);
    }

    /// Somebody has called [`Waker::wake`]: for this processor, or for another one of the call.
    fn woken(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The call is over; the last call that a processor gets.
    fn finish(&mut self, call: &CallInfo, end: &End<'_>) {
        let _ = (call, end);
    }
}

/// What a processor learns at the end of its call.
#[derive(Debug)]
pub struct End<'a> {
    /// Length of the call.
    pub duration: Duration,
    /// What was counted.
    pub stats: &'a CallStats,
}

/// What a processor may do while it handles a frame or an event.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) now: Position,
    pub(crate) playout: &'a mut Playout,
    pub(crate) requests: &'a mut Vec<Request>,
}

/// What processors asked of the engine; carried out after the chain has run.
#[derive(Debug)]
pub(crate) enum Request {
    Emit(EventKind),
    Digit(Digit),
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
}
