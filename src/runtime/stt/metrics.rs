use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::processor::stt::Counts;

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
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

impl SttMetrics {
    /// How often something went wrong for this reason.
    #[must_use]
    pub fn faults(&self, reason: &str) -> u64 {
        self.lock().get(reason).copied().unwrap_or(0)
    }

    /// Every reason that there was, and how often.
    #[must_use]
    pub fn all_faults(&self) -> Vec<(&'static str, u64)> {
        self.lock().iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    pub(super) fn fault(&self, reason: &'static str, times: u64) {
        if times > 0 {
            *self.lock().entry(reason).or_default() += times;
        }
    }

    pub(super) fn add(&self, counts: &Counts) {
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.sent_samples, counts.sent_samples);
        add(&self.replayed_samples, counts.replayed_samples);
        add(&self.dropped_samples, counts.dropped_samples);
        add(&self.transcripts, counts.transcripts);
        self.fault("unreadable", counts.unreadable);
        self.fault("binary", counts.binary);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // A count is never left half made.
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
