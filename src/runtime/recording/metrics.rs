use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of all recordings since the start; `open` is a gauge.
#[derive(Debug, Default)]
pub struct RecordingMetrics {
    /// Recordings under way.
    pub open: AtomicU64,
    /// Recordings that are complete on disk.
    pub done: AtomicU64,
    /// Recordings that ended before their call did.
    pub failed: AtomicU64,
    /// Samples dropped because the disk was too slow.
    pub dropped_samples: AtomicU64,
    /// Samples that could not be taken because their recording failed, or had failed before.
    pub unrecorded_samples: AtomicU64,
    /// Samples of late frames that were put into their place.
    pub late_patched_samples: AtomicU64,
}

impl RecordingMetrics {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
