use std::time::Duration;

use hdrhistogram::Histogram;

use super::sequence::Order;
use super::verifier::Echo;

/// Longest time that is told apart: what takes longer counts as that.
const LONGEST_US: u64 = 60_000_000;

/// Significant decimal digits of a time.
const DIGITS: u8 = 3;

/// Packets of all calls since the run began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Packets {
    /// Handed to the kernel, or meant to be.
    pub(super) sent: u64,
    /// Of those, what the kernel did not take.
    pub(super) unsent: u64,
    /// Not sent, because loss was asked for.
    pub(super) withheld: u64,
    /// Answers of calls that ran.
    pub(super) received: u64,
    /// Answers that came more than a packet's time after theirs.
    pub(super) late: u64,
    /// What was no audio in the format of the calls.
    pub(super) foreign: u64,
    pub(super) order: Order,
}

/// What happened to calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Calls {
    /// Calls that were begun.
    pub(super) begun: u64,
    /// Of those, calls that could not be set up, or were ended by the server.
    pub(super) failed: u64,
    /// Calls that are over and said something.
    pub(super) ended: u64,
    /// Of those, calls that never heard their echo.
    pub(super) without_echo: u64,
    /// Of those, calls whose echo was not as it should be.
    pub(super) faulty: u64,
}

/// Times, in microseconds.
pub(super) struct Times(Histogram<u64>);

/// Everything that is counted and measured of a run.
pub(super) struct Tally {
    pub(super) packets: Packets,
    pub(super) calls: Calls,
    /// Of calls that are over.
    pub(super) echo: Echo,
    /// From the beginning of a call until it was up, where that takes time.
    pub(super) set_up: Times,
    /// From the sending of a frame to the arrival of its last sample.
    pub(super) round_trip: Times,
    /// The same of the second that runs.
    pub(super) recent_round_trip: Times,
    /// By how much the time between two answers of a call differs from what it should be.
    pub(super) interarrival: Times,
    /// By how much packets were sent too late.
    pub(super) lateness: Times,
    /// Whether times count for the report.
    pub(super) is_measuring: bool,
}

impl Times {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Self(histogram.expect("bounds and digits that a histogram can have"))
    }

    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn clear(&mut self) {
        self.0.reset();
    }

    /// The time that a share of them does not exceed, in milliseconds; `None` where there are none.
    pub(super) fn quantile_ms(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1e3)
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            packets: Packets::default(),
            calls: Calls::default(),
            echo: Echo::default(),
            set_up: Times::new(),
            round_trip: Times::new(),
            recent_round_trip: Times::new(),
            interarrival: Times::new(),
            lateness: Times::new(),
            is_measuring: false,
        }
    }
}

impl Packets {
    /// What was counted since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            unsent: self.unsent - earlier.unsent,
            withheld: self.withheld - earlier.withheld,
            received: self.received - earlier.received,
            late: self.late - earlier.late,
            foreign: self.foreign - earlier.foreign,
            order: self.order.since(&earlier.order),
        }
    }
}
