//! Buffers that a playout clock pulls from, 10 ms at a time.

use std::time::Duration;

use crate::trace::{Arrival, Trace};

/// Samples per pull, and its period.
pub(crate) const PULL: usize = 80;
pub(crate) const PERIOD: Duration = Duration::from_millis(10);

/// When the first pull is. A playout clock knows nothing of the sender's: half a period is what the
/// packets wait for it on average.
const PHASE: Duration = Duration::from_millis(5);

/// How long is pulled after the last packet.
const TAIL: Duration = Duration::from_secs(3);

/// What happens to a pulled buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Something arrives.
    Arrival(Arrival),
    /// The clock pulls.
    Pull(Duration),
}

/// The first `count` arrivals of a trace and all pulls, in order of time.
pub(crate) fn steps(trace: &Trace, count: usize) -> impl Iterator<Item = Step> {
    let arrivals = &trace.arrivals[..count.min(trace.arrivals.len())];
    let end = arrivals.last().map_or(Duration::ZERO, |last| last.at) + TAIL;
    let mut arrivals = arrivals.iter().copied().peekable();
    let mut pulls = 0;
    std::iter::from_fn(move || {
        let pull = PHASE + PERIOD * pulls;
        if let Some(arrival) = arrivals.next_if(|arrival| arrival.at <= pull) {
            return Some(Step::Arrival(arrival));
        }
        pulls += 1;
        (pull <= end).then_some(Step::Pull(pull))
    })
}
