use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often something went wrong, by reason. For what is rare.
#[derive(Debug, Default)]
pub struct Faults(Mutex<BTreeMap<&'static str, u64>>);

impl Faults {
    /// How often for this reason.
    #[must_use]
    pub fn of(&self, reason: &str) -> u64 {
        self.lock().get(reason).copied().unwrap_or(0)
    }

    /// Every reason that there was, and how often.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        self.lock().iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    pub(crate) fn add(&self, reason: &'static str, times: u64) {
        if times > 0 {
            *self.lock().entry(reason).or_default() += times;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // A count is never left half made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
