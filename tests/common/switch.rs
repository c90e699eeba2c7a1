//! A processor that switches another one by the caller's keys, so that a test chooses the moment.

use sidetone::engine::{Command, Input};
use sidetone::event::EventKind;
use sidetone::media::{Digit, DigitSource};
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};

/// Switches the processor of this name: `0` off, any other key on.
#[derive(Clone, Copy)]
pub(crate) struct Switch(pub(crate) &'static str);

impl ProcessorFactory for Switch {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(*self)
    }
}

impl Processor for Switch {
    fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        if let EventKind::Dtmf { digit, .. } = event {
            cx.set_processor(self.0, *digit != '0').expect("it is in the pipeline");
        }
    }
}

/// The caller presses a key.
pub(crate) fn key(key: char) -> Input<'static> {
    let digit = Digit::new(key, DigitSource::Ari, None).expect("a key");
    Input::Command(Command::Digit(digit))
}
