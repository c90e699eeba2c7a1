use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::RecordingMetrics;
use crate::audio::{Position, SampleRate};
use crate::processor::recorder::{BLOCK_MS, Block, Ending, RecordingSink};
use crate::runtime::clock::Clock;
use crate::runtime::lane::Lane;

/// Blocks that lie ready to be filled; a queue that is emptied ten times a second needs no more.
const SPARE_BLOCKS: usize = 8;
/// Most blocks of one recording that wait, whatever the configuration says: nearly 7 minutes.
const MOST_BLOCKS: usize = 4096;

/// What a recorder and the writer thread share of one recording. Neither ever waits for the other.
pub(super) struct Pipe {
    rate: SampleRate,
    blocks: Lane<Block>,
    /// Wall-clock time of position 0, since the Unix epoch; known from the first block on.
    start: OnceLock<Duration>,
    /// Set after the last block. `None`: the sink was dropped without an end.
    ending: OnceLock<Option<Ending>>,
    dropped_samples: AtomicU64,
    /// Nobody takes blocks any more.
    closed: AtomicBool,
}

impl Pipe {
    /// A pipe that holds up to `queue` of both directions' audio.
    pub(super) fn new(rate: SampleRate, queue: Duration) -> Self {
        let blocks = queue.as_millis().div_ceil(u128::from(BLOCK_MS)).saturating_mul(2);
        let blocks = usize::try_from(blocks).unwrap_or(usize::MAX).clamp(4, MOST_BLOCKS);
        Self {
            rate,
            blocks: Lane::new(blocks, SPARE_BLOCKS),
            start: OnceLock::new(),
            ending: OnceLock::new(),
            dropped_samples: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Most blocks that can wait.
    pub(super) fn capacity(&self) -> usize {
        self.blocks.capacity()
    }

    /// The oldest block that waits.
    pub(super) fn pop(&self) -> Option<Block> {
        self.blocks.pop()
    }

    /// Gives a block back to be filled again.
    pub(super) fn recycle(&self, block: Block) {
        self.blocks.recycle(block);
    }

    /// The end, once there is one: every block was pushed before.
    pub(super) fn ending(&self) -> Option<&Option<Ending>> {
        self.ending.get()
    }

    /// Wall-clock time of position 0, once it is known.
    pub(super) fn start(&self) -> Option<Duration> {
        self.start.get().copied()
    }

    /// Samples dropped because the writer was too slow.
    pub(super) fn dropped_samples(&self) -> u64 {
        self.dropped_samples.load(Ordering::Relaxed)
    }

    /// Makes the sink forget whatever it is given.
    pub(super) fn close(&self, metrics: &RecordingMetrics) {
        self.closed.store(true, Ordering::Release);
        while let Some(block) = self.blocks.pop() {
            RecordingMetrics::add(&metrics.unrecorded_samples, block.samples.len());
        }
    }

    fn start_at(&self, clock: Clock, media_time: Duration) {
        self.start.get_or_init(|| clock.wall().saturating_sub(media_time));
    }
}

/// A recorder's end of a [`Pipe`].
pub(super) struct PipeSink {
    pipe: Arc<Pipe>,
    clock: Clock,
    metrics: Arc<RecordingMetrics>,
}

impl PipeSink {
    pub(super) fn new(pipe: Arc<Pipe>, clock: Clock, metrics: Arc<RecordingMetrics>) -> Self {
        Self { pipe, clock, metrics }
    }
}

impl RecordingSink for PipeSink {
    fn block(&mut self) -> Block {
        self.pipe.blocks.spare().unwrap_or_else(|| Block::new(self.pipe.rate))
    }

    fn push(&mut self, block: Block, now: Position) {
        if self.pipe.closed.load(Ordering::Acquire) {
            RecordingMetrics::add(&self.metrics.unrecorded_samples, block.samples.len());
            self.pipe.recycle(block);
            return;
        }
        if self.pipe.start().is_none() {
            self.pipe.start_at(self.clock, self.pipe.rate.duration_of(now.0));
        }
        if let Some(oldest) = self.pipe.blocks.push(block) {
            let samples = oldest.samples.len();
            self.pipe.dropped_samples.fetch_add(samples as u64, Ordering::Relaxed);
            RecordingMetrics::add(&self.metrics.dropped_samples, samples);
            self.pipe.recycle(oldest);
        }
    }

    fn close(self: Box<Self>, ending: Ending) {
        self.pipe.start_at(self.clock, ending.duration);
        // Dropping the sink afterwards finds the end set and leaves it.
        let _ = self.pipe.ending.set(Some(ending));
    }
}

impl Drop for PipeSink {
    fn drop(&mut self) {
        let _ = self.pipe.ending.set(None);
    }
}
