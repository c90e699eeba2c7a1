//! A recording that nobody keeps.

use std::sync::Arc;

use sidetone::audio::{Position, SampleRate};
use sidetone::call::CallInfo;
use sidetone::processor::ProcessorFactory;
use sidetone::processor::recorder::{Block, Ending, OpenRecording, RecorderFactory, RecordingSink};

/// A recorder whose sink gives its blocks back to be filled again, as the writer thread does.
pub(crate) fn recorder() -> Arc<dyn ProcessorFactory> {
    Arc::new(RecorderFactory::new(Arc::new(RecyclingSinks)))
}

struct RecyclingSinks;

impl OpenRecording for RecyclingSinks {
    fn open(&self, _call: &CallInfo, rate: SampleRate) -> Box<dyn RecordingSink> {
        Box::new(RecyclingSink { rate, spare: Vec::new() })
    }
}

struct RecyclingSink {
    rate: SampleRate,
    spare: Vec<Block>,
}

impl RecordingSink for RecyclingSink {
    fn block(&mut self) -> Block {
        self.spare.pop().unwrap_or_else(|| Block::new(self.rate))
    }

    fn push(&mut self, block: Block, _now: Position) {
        self.spare.push(block);
    }

    fn close(self: Box<Self>, _ending: Ending) {}
}
