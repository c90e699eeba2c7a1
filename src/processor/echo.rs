use std::time::Duration;

use super::{Context, LiveFeed, Processor, ProcessorFactory, Setup};
use crate::audio::AudioFrame;

/// Settings of the echo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoSettings {
    /// Silence that is queued before the first echoed frame, so that packets which come a little
    /// late leave no gap in the echo.
    pub delay: Duration,
}

impl Default for EchoSettings {
    fn default() -> Self {
        Self { delay: Duration::from_millis(40) }
    }
}

/// Makes processors that play the caller's audio back to the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoFactory {
    settings: EchoSettings,
}

impl EchoFactory {
    /// A factory with these settings.
    #[must_use]
    pub fn new(settings: EchoSettings) -> Self {
        Self { settings }
    }
}

impl ProcessorFactory for EchoFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Echo(LiveFeed::new(setup.rate, self.settings.delay)))
    }
}

/// Plays every frame back.
struct Echo(LiveFeed);

impl Processor for Echo {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.0.play(frame.samples, cx);
    }
}
