use std::time::{Duration, Instant};

use crate::runtime::Clock;

/// Time since a run began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    clock: Clock,
    start: Instant,
    /// The start by the wall clock, which is the one that the kernel notes arrivals by.
    start_wall: Duration,
}

/// Readings of both clocks at a time: a thread that is held up between the two would make them
/// disagree, hardly each time.
const READINGS: usize = 5;

impl Stopwatch {
    /// Begins now.
    pub(super) fn start(clock: Clock) -> Self {
        let mut watch = Self { clock, start: clock.now(), start_wall: Duration::ZERO };
        watch.compare();
        watch
    }

    /// Compares the clocks anew: the wall clock is put right now and then.
    pub(super) fn compare(&mut self) {
        let readings = (0..READINGS).map(|_| {
            let before = self.now();
            let wall = self.clock.wall();
            (self.now() - before, wall.saturating_sub(before))
        });
        let best = readings.min_by_key(|(took, _)| *took);
        self.start_wall = best.map_or(Duration::ZERO, |(_, start)| start);
    }

    /// Now.
    pub(super) fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.start)
    }

    /// The time of something that is over, by the wall clock.
    pub(super) fn of_wall(&self, wall: Duration, now: Duration) -> Duration {
        wall.saturating_sub(self.start_wall).min(now)
    }

    /// Waits until `time`.
    #[allow(clippy::disallowed_methods, reason = "slots of sending have absolute deadlines")]
    pub(super) fn sleep_until(&self, time: Duration) {
        let left = time.saturating_sub(self.now());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }
}
