use std::fmt;

use super::{Context, End, Processor};
use crate::audio::AudioFrame;
use crate::call::CallInfo;
use crate::dsp::prefetch::prefetch;
use crate::event::EventKind;

/// The processors of one call, in order. Both directions run through them first to last.
#[derive(Default)]
pub struct Chain {
    processors: Vec<Box<dyn Processor>>,
}

impl Chain {
    /// A chain of these processors.
    #[must_use]
    pub fn new(processors: Vec<Box<dyn Processor>>) -> Self {
        Self { processors }
    }

    /// Asks for the memory of the list of processors.
    pub(crate) fn prefetch(&self) {
        prefetch(&self.processors[..]);
    }

    /// Asks for the memory of the processors themselves.
    pub(crate) fn prefetch_behind(&self) {
        self.processors.iter().for_each(|processor| prefetch(&**processor));
    }

    /// Hands on a frame of the caller's audio.
    pub fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        for processor in &mut self.processors {
            processor.uplink(frame, cx);
        }
    }

    /// Hands on a frame that came after its place had been concealed.
    pub fn late(&mut self, frame: &AudioFrame<'_>, cx: &mut Context<'_>) {
        for processor in &mut self.processors {
            processor.late(frame, cx);
        }
    }

    /// Hands on a frame that is about to be sent.
    pub fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        for processor in &mut self.processors {
            processor.downlink(frame, cx);
        }
    }

    /// Hands on an event.
    pub fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        for processor in &mut self.processors {
            processor.event(event, cx);
        }
    }

    /// Tells every processor that the call is over.
    pub fn finish(&mut self, call: &CallInfo, end: &End<'_>) {
        for processor in &mut self.processors {
            processor.finish(call, end);
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("processors", &self.processors.len()).finish()
    }
}
