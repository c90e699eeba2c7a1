use std::time::Duration;

use super::BotLine;
use crate::audio::{Position, SampleRate};
use crate::processor::{Context, Cutter};

/// How late the caller's audio may come after its time before the bot hears silence in its place:
/// what a packet may wait for one before it, and some delay of the network.
const PATIENCE: Duration = Duration::from_millis(300);

static SILENCE: [i16; 960] = [0; 960];

/// What the bot hears of the caller: one stream without gaps, whose first sample is the call's first
/// moment.
#[derive(Debug)]
pub(super) struct Ear {
    /// Of the bot's audio.
    rate: SampleRate,
    cutter: Cutter,
    /// The caller was heard up to here, at that rate.
    until: Position,
}

impl Ear {
    /// An ear that has heard nothing, for a bot that gets pieces of so many samples.
    pub(super) fn new(rate: SampleRate, chunk_samples: usize) -> Self {
        Self { rate, cutter: Cutter::new(chunk_samples), until: Position::default() }
    }

    /// The rate at which it hears.
    pub(super) fn rate(&self) -> SampleRate {
        self.rate
    }

    /// The caller's samples, whose first one lies at `position`. Once in a while audio overtakes
    /// silence that has taken its place: it is heard all the same.
    pub(super) fn hear(&mut self, position: Position, samples: &[i16], line: &mut dyn BotLine) {
        self.hear_silence(position, line);
        self.cutter.take(self.until, samples, line);
        self.until = self.until.plus(samples.len());
    }

    /// Silence for what did not come in time.
    pub(super) fn wait(&mut self, cx: &Context<'_>, line: &mut dyn BotLine) {
        self.hear_silence(self.due(cx), line);
    }

    /// Leaves out what was not heard up to now: it is no silence.
    pub(super) fn skip(&mut self, cx: &Context<'_>) {
        self.until = self.until.max(self.due(cx));
    }

    /// Hands on what was heard, as short as it may be.
    pub(super) fn release(&mut self, line: &mut dyn BotLine) {
        self.cutter.release(line);
    }

    /// Up to where the caller must have been heard by now.
    fn due(&self, cx: &Context<'_>) -> Position {
        let due = cx.rate().duration_of(cx.now().0).saturating_sub(PATIENCE);
        Position(self.rate.samples_in(due))
    }

    fn hear_silence(&mut self, until: Position, line: &mut dyn BotLine) {
        while self.until < until {
            let missing = usize::try_from(until.0 - self.until.0).unwrap_or(usize::MAX);
            let count = missing.min(SILENCE.len());
            self.cutter.take(self.until, &SILENCE[..count], line);
            self.until = self.until.plus(count);
        }
    }
}
