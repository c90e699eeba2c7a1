use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes a call's processors, from any thread: what the half of a processor that has a socket does
/// when something has come for the half on the shard. Cheap to clone.
///
/// Wakes are coalesced: however often [`Waker::wake`] is called, one of them at a time is on its
/// way. What was made available before a wake is there when [`Processor::woken`] runs. To wake a
/// call that is over does nothing.
///
/// [`Processor::woken`]: super::Processor::woken
#[derive(Clone, Default)]
pub struct Waker(Option<Arc<Bell>>);

struct Bell {
    /// A wake is on its way.
    rung: AtomicBool,
    ring: Box<dyn Fn() + Send + Sync>,
}

impl Waker {
    /// A waker that does `ring`, which must lead to the chain's [`woken`] and must not block.
    ///
    /// The default waker does nothing.
    ///
    /// [`woken`]: super::Chain::woken
    #[must_use]
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Bell { rung: AtomicBool::new(false), ring: Box::new(ring) })))
    }

    /// Lets the call's processors be woken soon.
    pub fn wake(&self) {
        // Both sides swap, so that one of them always sees what the other did before.
        if let Some(bell) = &self.0
            && !bell.rung.swap(true, Ordering::AcqRel)
        {
            (bell.ring)();
        }
    }

    /// Takes note that a wake has arrived: the next one is sent again. To be called before the
    /// processors look at what has come.
    pub(crate) fn arrived(&self) {
        if let Some(bell) = &self.0 {
            bell.rung.swap(false, Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("rings", &self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn one_wake_at_a_time_is_on_its_way() {
        let rings = Arc::new(AtomicUsize::new(0));
        let waker = Waker::new({
            let rings = Arc::clone(&rings);
            move || {
                rings.fetch_add(1, Ordering::Relaxed);
            }
        });
        let other = waker.clone();
        for expected in 1..=3 {
            waker.wake();
            other.wake();
            assert_eq!(rings.load(Ordering::Relaxed), expected);
            waker.arrived();
        }
    }

    #[test]
    fn the_default_waker_does_nothing() {
        Waker::default().wake();
        Waker::default().arrived();
    }
}
