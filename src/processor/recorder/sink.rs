use std::time::Duration;

use super::Block;
use crate::audio::{Position, SampleRate};
use crate::call::CallInfo;
use crate::media::CallStats;

/// Opens recordings: what the recorder needs of the half that owns threads and files.
pub trait OpenRecording: Send + Sync {
    /// A sink for the audio of `call`, whose samples have `rate`. Must not block.
    ///
    /// Does not fail: a recording that cannot be made reports that on the call's events, and its
    /// sink takes blocks and forgets them.
    fn open(&self, call: &CallInfo, rate: SampleRate) -> Box<dyn RecordingSink>;
}

/// Takes one recording's blocks. Dropped without [`RecordingSink::close`], the recording counts as
/// abandoned: what was taken is kept, and the call's events say so.
pub trait RecordingSink: Send {
    /// An empty block. Allocates only while the recording has not had enough blocks before.
    fn block(&mut self) -> Block;

    /// Takes a filled block at media time `now`. Never blocks; where the disk is too slow, the
    /// oldest block that waits is dropped and counted.
    fn push(&mut self, block: Block, now: Position);

    /// Ends the recording. Every block taken before is still written, but for those dropped.
    fn close(self: Box<Self>, ending: Ending);
}

/// What is known at the end of a recorded call.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The call, as it is known at its end.
    pub call: CallInfo,
    /// Length of the call.
    pub duration: Duration,
    /// What was counted.
    pub stats: CallStats,
}
