use std::fmt::Debug;
use std::time::Duration;

/// Says how long packets wait for the ones missing before them.
pub trait DelayPolicy: Debug {
    /// The wait, counted from the earliest arrival of a packet behind the hole: none waits longer.
    fn wait(&self) -> Duration;
}

/// The same wait at every hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedWait(pub Duration);

impl DelayPolicy for FixedWait {
    fn wait(&self) -> Duration {
        self.0
    }
}
