//! The recorder: every call's audio to a stereo file, caller left, bot right, aligned by media time.
//!
//! This half runs on the shard: it collects frames into [`Block`]s of up to [`BLOCK_MS`] and hands
//! them to a [`RecordingSink`]. The half that owns threads and files is `runtime::recording`. Tests
//! put a sink of their own in its place.

mod block;
mod processor;
mod settings;
mod sink;

pub use block::{BLOCK_MS, Block, Track};
pub use processor::{Recorder, RecorderFactory};
pub use settings::RecorderSettings;
pub use sink::{Ending, OpenRecording, RecordingSink};
