use std::sync::atomic::{AtomicU64, Ordering};

use crate::processor::bot::Counts;
use crate::runtime::faults::Faults;

/// Counters of one bot since the start; `open` is a gauge.
#[derive(Debug, Default)]
pub struct BotMetrics {
    /// Calls that talk with the bot, or wait for it.
    pub open: AtomicU64,
    /// Connections that were made.
    pub connections: AtomicU64,
    /// Samples of callers that were sent.
    pub sent_samples: AtomicU64,
    /// Samples of callers that were dropped and never sent.
    pub dropped_samples: AtomicU64,
    /// Samples of the bot that came, at its rate.
    pub received_samples: AtomicU64,
    /// Samples of the bot that came after the caller had spoken over it, at the call's rate.
    pub discarded_samples: AtomicU64,
    /// Notices that the bot was not told, because its task did not run.
    pub dropped_notices: AtomicU64,
    /// Calls that the bot was given up for.
    pub fallbacks: AtomicU64,
    /// What went wrong, by reason.
    pub faults: Faults,
}

impl BotMetrics {
    pub(super) fn add(&self, counts: &Counts) {
        add(&self.sent_samples, counts.sent_samples);
        add(&self.dropped_samples, counts.dropped_samples);
        add(&self.received_samples, counts.received_samples);
        add(&self.fallbacks, counts.fallbacks);
        self.faults.add("unreadable", counts.unreadable);
    }
}

/// Adds to a counter that all calls share, where there is something to add.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
