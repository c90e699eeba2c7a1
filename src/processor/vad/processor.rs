use std::fmt;

use super::{Edge, Segmenter, VadSettings};
use crate::audio::{AudioFrame, Position, SampleRate};
use crate::event::EventKind;
use crate::processor::{Context, Processor, ProcessorFactory, Setup};

/// Makes processors that tell when the caller speaks.
#[derive(Clone, Debug, Default)]
pub struct VadFactory {
    settings: VadSettings,
}

impl VadFactory {
    /// A factory with these settings.
    #[must_use]
    pub fn new(settings: VadSettings) -> Self {
        Self { settings }
    }
}

impl ProcessorFactory for VadFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        let rate = setup.rate;
        Box::new(Vad { segmenter: Segmenter::new(&self.settings, rate), rate })
    }
}

/// Tells [`EventKind::SpeechStarted`] and [`EventKind::SpeechEnded`]. Changes no sample.
struct Vad {
    segmenter: Segmenter,
    rate: SampleRate,
}

impl fmt::Debug for Vad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vad").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Processor for Vad {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let rate = self.rate;
        let tell = |edge| cx.emit(event(edge, rate));
        self.segmenter.uplink(frame.position, frame.samples, frame.origin, tell);
    }

    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let rate = self.rate;
        let now = cx.now();
        let tell = |edge| cx.emit(event(edge, rate));
        self.segmenter.downlink(now, frame.samples, frame.origin, tell);
    }

    fn switched(&mut self, on: bool, cx: &mut Context<'_>) {
        if !on {
            let rate = self.rate;
            self.segmenter.stop(|edge| cx.emit(event(edge, rate)));
        }
    }
}

fn event(edge: Edge, rate: SampleRate) -> EventKind {
    let at_ms = |Position(samples): Position| {
        u64::try_from(rate.duration_of(samples).as_millis()).unwrap_or(u64::MAX)
    };
    match edge {
        Edge::Begin(position) => EventKind::SpeechStarted { at_ms: at_ms(position) },
        Edge::End(position) => EventKind::SpeechEnded { at_ms: at_ms(position) },
    }
}
