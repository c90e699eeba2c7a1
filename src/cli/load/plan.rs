use std::time::Duration;

use super::impairment::Impairment;
use super::{DRAIN, FRAME_SLOTS, OPEN_LIMIT, SLOT};

/// What a run is to do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Calls at once.
    pub(super) calls: u32,
    /// Calls that are set up in a second.
    pub(super) ramp: f64,
    /// How long is measured.
    pub(super) duration: Duration,
    /// How long a call lasts before another one takes its place; else to the end.
    pub(super) hold: Option<Duration>,
    pub(super) impairment: Impairment,
    /// Somebody relays the audio: the way is open only some time after a call is up, and timestamps
    /// are made anew.
    pub(super) relayed: bool,
}

impl Plan {
    /// How many of the first calls are to be begun by the end of a slot.
    pub(super) fn begun_by(&self, slot: u64) -> u32 {
        let time = SLOT.as_secs_f64() * (slot + 1) as f64;
        // As many as there are at most, whatever the product is.
        ((time * self.ramp).ceil() as u32).min(self.calls)
    }

    /// Frames that a call of the first ones says: so many that their ends are spread evenly over the
    /// time that a call is held, once all are up.
    pub(super) fn first_frames(&self, index: u32) -> u32 {
        self.hold.map_or(u32::MAX, |hold| {
            let calls = f64::from(self.calls);
            let until_full = (calls - f64::from(index)) / self.ramp;
            let share = f64::from(index + 1) / calls;
            frames(Duration::from_secs_f64(until_full) + hold.mul_f64(share))
        })
    }

    /// Frames that a call says that takes another one's place.
    pub(super) fn frames(&self) -> u32 {
        self.hold.map_or(u32::MAX, frames)
    }

    /// How many numbers lie between those of the oldest call and the newest that are there at once.
    pub(super) fn numbers(&self) -> usize {
        let calls = f64::from(self.calls);
        let replaced = self.hold.map_or(0.0, |hold| calls / hold.as_secs_f64());
        // While a call is set up and listened to beyond its time, others come and go.
        let beyond = (OPEN_LIMIT + DRAIN).as_secs_f64();
        (2.0 * calls + replaced * beyond) as usize + FRAME_SLOTS
    }
}

fn frames(time: Duration) -> u32 {
    let slots = time.as_nanos() / SLOT.as_nanos();
    u32::try_from(slots / FRAME_SLOTS as u128).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(calls: u32, ramp: f64, hold: Option<Duration>) -> Plan {
        let impairment = Impairment::new(0.0, Duration::ZERO);
        let duration = Duration::from_secs(1);
        Plan { calls, ramp, duration, hold, impairment, relayed: false }
    }

    #[test]
    fn calls_begin_as_many_a_second_as_asked_for() {
        let plan = plan(1_000, 500.0, None);
        assert_eq!([0, 1, 2, 999, 1_000].map(|slot| plan.begun_by(slot)), [1, 1, 2, 500, 501]);
        assert_eq!([1_999, 2_000, u64::MAX - 1].map(|slot| plan.begun_by(slot)), [1_000; 3]);
        assert_eq!((plan.first_frames(0), plan.frames()), (u32::MAX, u32::MAX));
    }

    #[test]
    fn calls_that_are_held_end_one_after_the_other_once_all_are_up() {
        let plan = plan(1_000, 500.0, Some(Duration::from_secs(5)));
        assert_eq!(plan.frames(), 250);
        let end_ms = |index: u32| 2 * index + 20 * plan.first_frames(index);
        // All are up after 2 s; then 200 end in a second.
        for (index, expected_ms) in [(0, 2_000), (199, 3_000), (499, 4_500), (999, 7_000)] {
            assert!(end_ms(index).abs_diff(expected_ms) <= 25, "{index}: {}", end_ms(index));
        }
    }
}
