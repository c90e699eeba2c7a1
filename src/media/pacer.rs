use std::time::{Duration, Instant};

use crate::audio::{Position, Ptime, SampleRate};

/// How many frames may be sent at once to make up for a delay of our own: 100 ms of 20 ms frames.
/// What is owed beyond that is skipped, so that a long stall does not end in a flood.
const MAX_OWED: u32 = 5;

/// The playout clock: one tick per packet time, on absolute deadlines.
///
/// A late tick does not move the ones after it.
#[derive(Clone, Debug)]
pub struct Pacer {
    ptime: Ptime,
    next: Instant,
    elapsed: Duration,
}

/// It is time for a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tick {
    /// When it was due, as time since the call's start.
    due: Duration,
    /// Frames whose time passed so long ago that they are not sent.
    pub skipped: u32,
}

impl Tick {
    /// Position of the frame's first sample.
    #[must_use]
    pub fn position(&self, rate: SampleRate) -> Position {
        Position(rate.samples_in(self.due))
    }
}

impl Pacer {
    /// A clock whose first tick is due at `first`, in a call that began at `epoch`.
    #[must_use]
    pub fn new(ptime: Ptime, epoch: Instant, first: Instant) -> Self {
        Self { ptime, next: first, elapsed: first.saturating_duration_since(epoch) }
    }

    /// Moves the ticks that are to come to `moment` and whole packet times before and after it: the
    /// next one by less than a packet time, and not ahead.
    pub fn align(&mut self, moment: Instant) {
        let ptime = self.ptime.duration();
        let into =
            |span: Duration| Duration::from_nanos((span.as_nanos() % ptime.as_nanos()) as u64);
        let behind = into(self.next.saturating_duration_since(moment));
        let ahead = into(moment.saturating_duration_since(self.next));
        self.advance(if behind.is_zero() { ahead } else { ptime - behind });
    }

    /// When the next tick is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The packet time.
    #[must_use]
    pub fn ptime(&self) -> Ptime {
        self.ptime
    }

    /// The tick that is due at `now`, if any. Call it until there is none.
    pub fn tick(&mut self, now: Instant) -> Option<Tick> {
        if now < self.next {
            return None;
        }
        let ptime = self.ptime.duration();
        let mut skipped = 0;
        if now >= self.next + ptime * MAX_OWED {
            let late = now.saturating_duration_since(self.next);
            let owed = u32::try_from(late.as_nanos() / ptime.as_nanos()).unwrap_or(u32::MAX);
            skipped = owed - (MAX_OWED - 1);
            self.advance(ptime * skipped);
        }
        let tick = Tick { due: self.elapsed, skipped };
        self.advance(ptime);
        Some(tick)
    }

    fn advance(&mut self, by: Duration) {
        self.next += by;
        self.elapsed += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    const RATE: SampleRate = SampleRate::HZ_8000;

    fn ticks(pacer: &mut Pacer, now: Instant) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| pacer.tick(now))
            .map(|tick| (tick.position(RATE).0, tick.skipped))
            .collect()
    }

    #[test]
    fn late_ticks_do_not_drift() {
        let start = epoch();
        let mut pacer = Pacer::new(Ptime::MS_20, start, start + Duration::from_millis(7));
        for n in 0..1_000_000_u32 {
            let due = start + Duration::from_millis(7) + Duration::from_millis(20) * n;
            assert_eq!(pacer.next(), due);
            assert_eq!(pacer.tick(due - Duration::from_nanos(1)), None);
            let late = due + Duration::from_millis(u64::from(n % 20));
            assert_eq!(ticks(&mut pacer, late), [(56 + 160 * u64::from(n), 0)]);
        }
    }

    #[test]
    fn ticks_can_be_moved_to_a_moment() {
        let start = epoch();
        let ms = Duration::from_millis;
        for (moment, first) in [(100, 100), (107, 107), (120, 100), (99, 119), (0, 100), (1, 101)] {
            let mut pacer = Pacer::new(Ptime::MS_20, start, start + ms(100));
            pacer.align(start + ms(moment));
            assert_eq!(pacer.next(), start + ms(first), "{moment}");
            assert_eq!(ticks(&mut pacer, start + ms(first)), [(8 * first, 0)]);
            assert_eq!(pacer.next(), start + ms(first + 20));
        }
    }

    #[test]
    fn a_short_stall_is_made_up_for() {
        let start = epoch();
        let mut pacer = Pacer::new(Ptime::MS_20, start, start);
        let owed = ticks(&mut pacer, start + Duration::from_millis(85));
        assert_eq!(owed, [(0, 0), (160, 0), (320, 0), (480, 0), (640, 0)]);
    }

    #[test]
    fn a_long_stall_skips_all_but_the_last_frames() {
        let start = epoch();
        let mut pacer = Pacer::new(Ptime::MS_20, start, start);
        let owed = ticks(&mut pacer, start + Duration::from_secs(1));
        assert_eq!(owed, [(7_360, 46), (7_520, 0), (7_680, 0), (7_840, 0), (8_000, 0)]);
        assert_eq!(pacer.next(), start + Duration::from_millis(1_020));
    }

    #[test]
    fn frames_of_44100_hz_do_not_drift_either() {
        let start = epoch();
        let mut pacer = Pacer::new(Ptime::MS_20, start, start);
        for n in 0..100_000_u64 {
            let tick = pacer.tick(start + Duration::from_millis(20 * n)).unwrap();
            assert_eq!(tick.position(SampleRate::HZ_44100), Position(882 * n));
        }
    }
}
