//! The processor: a beep whenever the caller presses a key.

use std::time::Duration;

use sidetone::dsp::tone::Sine;
use sidetone::event::EventKind;
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};

/// Makes one for each call.
pub(crate) struct BeepFactory;

impl ProcessorFactory for BeepFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        // A tenth of a second of 1,000 Hz, at the rate of the call.
        let mut beep = vec![0; setup.rate.length_of(Duration::from_millis(100))];
        Sine::new(1_000.0, setup.rate, 0.2).fill(&mut beep);
        Box::new(Beep(beep))
    }
}

struct Beep(Vec<i16>);

impl Processor for Beep {
    fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        if let EventKind::Dtmf { .. } = event {
            cx.play(&self.0);
        }
    }
}
