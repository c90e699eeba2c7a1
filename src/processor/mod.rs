//! What happens to a call's audio: the [`Processor`] trait, the [`Chain`], and the processors.
//!
//! Processors run on the shard's thread, in the order of the pipeline, synchronously. They may
//! neither block nor allocate per frame once warm; what needs a file or a socket keeps its other
//! half in `runtime/`, behind a bounded queue, and is woken by that half through its [`Waker`].

pub mod bot;
mod chain;
mod context;
mod cutter;
mod dtmf;
mod echo;
mod live_feed;
mod message;
mod piece;
mod pipeline;
pub mod player;
pub mod recorder;
mod refused;
mod resampled;
mod setup;
pub mod stt;
pub mod vad;
mod waker;

use std::time::Duration;

pub use chain::Chain;
pub use context::Context;
pub(crate) use context::{Reach, Request};
pub(crate) use cutter::Cutter;
pub use cutter::PieceLine;
pub use dtmf::DtmfFactory;
pub use echo::{EchoFactory, EchoSettings};
pub use live_feed::LiveFeed;
pub use message::Message;
pub use piece::{MAX_CHUNK, MIN_CHUNK, Piece, Speech};
pub use pipeline::{Pipeline, PipelineError, ProcessorFactory, Registry};
pub use refused::{NoSuchProcessor, NotControlled, SendDtmfError};
pub use setup::Setup;
pub use waker::Waker;

use crate::audio::{AudioFrame, SampleRate};
use crate::call::{CallInfo, EndReason};
use crate::event::EventKind;
use crate::media::CallStats;

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

    /// It was switched on or off ([`Context::set_processor`]).
    ///
    /// While it is off it gets no frames; what happens, wakes and the end of the call still come.
    /// Frames that come once it is on again, but lie before that moment, it does not get either.
    fn switched(&mut self, on: bool, cx: &mut Context<'_>) {
        let _ = (on, cx);
    }

    /// The call is over; the last call that a processor gets.
    fn finish(&mut self, call: &CallInfo, end: &End<'_>) {
        let _ = (call, end);
    }
}

/// What a processor learns at the end of its call.
#[derive(Debug)]
pub struct End<'a> {
    /// Why the call ended.
    pub reason: EndReason,
    /// Length of the call.
    pub duration: Duration,
    /// What was counted.
    pub stats: &'a CallStats,
}
