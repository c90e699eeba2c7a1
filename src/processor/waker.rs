use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::call::CallId;

/// Wakes a call's processors, from any thread: what the half of a processor that has a socket does
/// when something has come for the half on the shard. Cheap to clone.
///
/// Wakes are coalesced: however often [`Waker::wake`] is called, one of them at a time is on its
/// way. What was made available before a wake is there when [`Processor::woken`] runs. To wake a
/// call that is over does nothing.
///
/// What all wakers of a call share is made with the first clone: a call whose processors need none
/// allocates nothing for it.
///
/// [`Processor::woken`]: super::Processor::woken
#[derive(Default)]
pub struct Waker {
    bell: Option<Bell>,
    /// A wake is on its way.
    rung: OnceLock<Arc<AtomicBool>>,
}

/// How a call is reached: the way is the same for all of a shard.
#[derive(Clone)]
struct Bell {
    call: CallId,
    ring: Arc<dyn Fn(CallId) + Send + Sync>,
}

impl Waker {
    /// The waker of `call` that does `ring`, which must lead to that call's chain's [`woken`] and
    /// must not block. Allocates nothing.
    ///
    /// The default waker does nothing.
    ///
    /// [`woken`]: super::Chain::woken
    #[must_use]
    pub fn new(call: CallId, ring: Arc<dyn Fn(CallId) + Send + Sync>) -> Self {
        Self { bell: Some(Bell { call, ring }), rung: OnceLock::new() }
    }

    /// Lets the call's processors be woken soon.
    pub fn wake(&self) {
        // Both sides swap, so that one of them always sees what the other did before.
        if let Some(bell) = &self.bell
            && !self.rung().swap(true, Ordering::AcqRel)
        {
            (bell.ring)(bell.call);
        }
    }

    /// Takes note that a wake has arrived: the next one is sent again. To be called before the
    /// processors look at what has come.
    pub(crate) fn arrived(&self) {
        if let Some(rung) = self.rung.get() {
            rung.swap(false, Ordering::AcqRel);
        }
    }

    fn rung(&self) -> &Arc<AtomicBool> {
        self.rung.get_or_init(Arc::default)
    }
}

impl Clone for Waker {
    fn clone(&self) -> Self {
        let rung =
            self.bell.as_ref().map_or_else(OnceLock::new, |_| Arc::clone(self.rung()).into());
        Self { bell: self.bell.clone(), rung }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("rings", &self.bell.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use uuid::Uuid;

    use super::*;

    const CALL: CallId = CallId::new(Uuid::from_u128(7));

    #[test]
    fn one_wake_at_a_time_is_on_its_way() {
        let rings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rings);
        let ring = Arc::new(move |call| {
            assert_eq!(call, CALL);
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let waker = Waker::new(CALL, ring);
        let other = waker.clone();
        for expected in 1..=3 {
            waker.wake();
            other.wake();
            assert_eq!(rings.load(Ordering::Relaxed), expected);
            waker.arrived();
        }
    }

    #[test]
    fn a_call_that_nobody_wakes_shares_nothing() {
        let waker = Waker::new(CALL, Arc::new(|_| ()));
        waker.arrived();
        assert!(waker.rung.get().is_none());
        let other = waker.clone();
        assert!(Arc::ptr_eq(other.rung(), waker.rung()));
    }

    #[test]
    fn the_default_waker_does_nothing() {
        let waker = Waker::default();
        let other = waker.clone();
        other.wake();
        waker.wake();
        waker.arrived();
    }
}
