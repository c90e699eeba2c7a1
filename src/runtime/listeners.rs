use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::EventSink;
use crate::call::CallId;

/// Where events of calls go that are told outside of their shards: by the writer of recordings, and
/// by services that have something to say when the call is over. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Listeners(Arc<Mutex<HashMap<CallId, EventSink>>>);

impl Listeners {
    /// Makes events of `call` go to `events`, for those that look while the guard lives.
    ///
    /// Hold it while the call's chain is built: who has found the sink keeps it.
    #[must_use = "the registration ends when the guard is dropped"]
    pub fn register(&self, call: CallId, events: EventSink) -> Registration {
        self.lock().insert(call, events);
        Registration { listeners: self.clone(), call }
    }

    /// Where the events of a call go.
    pub(super) fn of(&self, call: CallId) -> Option<EventSink> {
        self.lock().get(&call).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, EventSink>> {
        // A map that somebody panicked over is whole all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a call's event sink known to [`Listeners`].
#[derive(Debug)]
#[must_use = "the registration ends when the guard is dropped"]
pub struct Registration {
    listeners: Listeners,
    call: CallId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.listeners.lock().remove(&self.call);
    }
}
