use std::time::Duration;

use crate::audio::ClockRate;
use crate::wire::ExtTs;

/// A sender's time, by its timestamps: it goes on through every jump of them.
#[derive(Debug)]
pub(super) struct SenderClock {
    rate: ClockRate,
    /// A timestamp, and the time there; `None` before the first packet of a stream.
    at: Option<(ExtTs, Duration)>,
    /// The time behind the latest packet.
    end: Duration,
}

impl SenderClock {
    pub(super) fn new(rate: ClockRate) -> Self {
        Self { rate, at: None, end: Duration::ZERO }
    }

    /// Whether timestamps have a time.
    pub(super) fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// The time of a timestamp; 0 before the first packet of a stream.
    pub(super) fn time(&self, ts: ExtTs) -> Duration {
        let Some((at, time)) = self.at else { return Duration::ZERO };
        match ts.0.checked_sub(at.0) {
            Some(ticks) => time.saturating_add(self.rate.duration_of(ticks)),
            None => time.saturating_sub(self.rate.duration_of(at.0 - ts.0)),
        }
    }

    /// The packet at `ts` follows in time, whatever its timestamp says.
    pub(super) fn set(&mut self, ts: ExtTs) {
        self.at = Some((ts, self.end));
    }

    /// The packet at `ts` lasts so long; answers its time.
    pub(super) fn pass(&mut self, ts: ExtTs, length: Duration) -> Duration {
        let time = self.time(ts);
        self.end = time.saturating_add(length);
        time
    }

    /// The next packet begins another stream.
    pub(super) fn restart(&mut self) {
        self.at = None;
    }
}
