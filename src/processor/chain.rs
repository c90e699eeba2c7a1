#[cfg(test)]
mod tests;

use std::fmt;

use super::resampled::Resampled;
use super::{Context, End, Processor};
use crate::audio::{AudioFrame, Position, SampleRate};
use crate::call::CallInfo;
use crate::dsp::prefetch::prefetch;
use crate::event::EventKind;

/// The processors of one call, in order. Both directions run through them first to last.
#[derive(Default)]
pub struct Chain {
    stages: Vec<Stage>,
    /// The caller's audio at the rates other than the call's that processors want, one of each.
    resampled: Vec<Resampled>,
}

struct Stage {
    processor: Box<dyn Processor>,
    /// Which of the chain's resampled streams it hears; `None`: the call's own audio.
    hears: Option<usize>,
    on: bool,
    /// Since when it is on: what lies before that is not for it.
    since: Position,
}

impl Stage {
    /// Whether a frame that lies at `place` is for it.
    fn gets(&self, place: Position) -> bool {
        self.on && place >= self.since
    }
}

impl Chain {
    /// A chain of these processors, for audio of `rate`.
    #[must_use]
    pub fn new(processors: Vec<Box<dyn Processor>>, rate: SampleRate) -> Self {
        let mut resampled: Vec<Resampled> = Vec::new();
        let stages = processors.into_iter().map(|processor| {
            let hears = processor.wants().filter(|wanted| *wanted != rate).map(|wanted| {
                let known = resampled.iter().position(|stream| stream.rate() == wanted);
                known.unwrap_or_else(|| {
                    resampled.push(Resampled::new(rate, wanted));
                    resampled.len() - 1
                })
            });
            Stage { processor, hears, on: true, since: Position::default() }
        });
        Self { stages: stages.collect(), resampled }
    }

    /// Asks for the memory of the list of processors.
    pub(crate) fn prefetch(&self) {
        prefetch(&self.stages[..]);
    }

    /// Asks for the memory of the processors themselves.
    pub(crate) fn prefetch_behind(&self) {
        self.stages.iter().for_each(|stage| prefetch(&*stage.processor));
    }

    /// Hands on a frame of the caller's audio.
    pub fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.resampled.iter_mut().for_each(Resampled::forget_frame);
        let place = frame.position;
        for stage in &mut self.stages {
            match stage.hears {
                None if stage.gets(place) => stage.processor.uplink(frame, cx),
                None => {}
                // One that is off leaves no gap for the others, nor for itself when it is on again.
                Some(index) => {
                    let stream = &mut self.resampled[index];
                    stream.take(frame);
                    if stage.gets(place) {
                        stream.hand_to(&mut *stage.processor, cx);
                    }
                }
            }
        }
    }

    /// Hands on a frame that came after its place had been concealed.
    pub fn late(&mut self, frame: &AudioFrame<'_>, cx: &mut Context<'_>) {
        let place = frame.position;
        for stage in self.stages.iter_mut().filter(|stage| stage.gets(place)) {
            stage.processor.late(frame, cx);
        }
    }

    /// Hands on a frame that is about to be sent.
    pub fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let place = frame.position;
        for stage in self.stages.iter_mut().filter(|stage| stage.gets(place)) {
            stage.processor.downlink(frame, cx);
        }
    }

    /// Lets the processor at `index` have frames, or not, from now on.
    pub(crate) fn switch(&mut self, index: usize, on: bool, cx: &mut Context<'_>) {
        let stage = &mut self.stages[index];
        if std::mem::replace(&mut stage.on, on) != on {
            stage.since = cx.now();
            stage.processor.switched(on, cx);
        }
    }

    /// Hands on an event.
    pub fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        for stage in &mut self.stages {
            stage.processor.event(event, cx);
        }
    }

    /// Lets every processor look whether something has come from outside of the shard.
    pub fn woken(&mut self, cx: &mut Context<'_>) {
        for stage in &mut self.stages {
            stage.processor.woken(cx);
        }
    }

    /// Tells every processor that the call is over.
    pub fn finish(&mut self, call: &CallInfo, end: &End<'_>) {
        for stage in &mut self.stages {
            stage.processor.finish(call, end);
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("processors", &self.stages.len())
            .field("resampled", &self.resampled.len())
            .finish()
    }
}
