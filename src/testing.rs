//! What unit tests of several rooms share.

use std::time::Instant;

/// Some point in time. Virtual time counts from it; nothing waits for it to pass.
pub(crate) fn epoch() -> Instant {
    crate::runtime::Clock::new().now()
}
