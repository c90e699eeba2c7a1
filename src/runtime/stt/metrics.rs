use std::sync::atomic::{AtomicU64, Ordering};

use crate::processor::stt::Counts;
use crate::runtime::faults::Faults;

/// Counters of one service since the start; `open` is a gauge.
#[derive(Debug, Default)]
pub struct SttMetrics {
    /// Calls that the service hears, or whose last words it has not told yet.
    pub open: AtomicU64,
    /// Connections that were made.
    pub connections: AtomicU64,
    /// Samples that were sent for the first time.
    pub sent_samples: AtomicU64,
    /// Samples that were sent again on another connection.
    pub replayed_samples: AtomicU64,
    /// Samples that were dropped and never sent.
    pub dropped_samples: AtomicU64,
    /// Final results with words in them.
    pub transcripts: AtomicU64,
    /// Events that the call did not take in time.
    pub dropped_events: AtomicU64,
    /// What went wrong, by reason.
    pub faults: Faults,
}

impl SttMetrics {
    pub(super) fn add(&self, counts: &Counts) {
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.sent_samples, counts.sent_samples);
        add(&self.replayed_samples, counts.replayed_samples);
        add(&self.dropped_samples, counts.dropped_samples);
        add(&self.transcripts, counts.transcripts);
        self.faults.add("unreadable", counts.unreadable);
        self.faults.add("binary", counts.binary);
    }
}
