use std::time::{Duration, Instant};

/// Distance of the moments at which the calls of a shard can have their ticks. Whoever shares a
/// moment shares a wake-up of the thread, and its system calls.
pub(super) const STEP: Duration = Duration::from_millis(1);

/// Such moments in a packet time of 20 ms.
const PHASES: usize = 20;

/// From one to the next that is given to a new call: prime to their number, so that all have their
/// turn, and such that the first few lie far apart already.
const STRIDE: usize = 9;

/// Calls that a phase has room for in any case: they take about half of a step.
const ROOM: u32 = 64;

/// So many times its even share of the calls may a phase have beyond that.
const CROWD: u32 = 2;

/// Spreads the ticks of a shard's calls evenly over the packet time.
#[derive(Debug)]
pub(super) struct Phases {
    origin: Instant,
    calls: [u32; PHASES],
}

impl Phases {
    /// Moments at `origin` and whole steps behind it.
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, calls: [0; PHASES] }
    }

    /// Gives a new call one of the phases that have the fewest calls.
    pub(super) fn take(&mut self) -> usize {
        let phases = (0..PHASES).map(|n| n * STRIDE % PHASES);
        let phase = phases.min_by_key(|phase| self.calls[*phase]).unwrap_or_default();
        self.calls[phase] += 1;
        phase
    }

    /// Moves a call to a phase right behind the one in which its audio comes, as at `now`, unless too
    /// many have that: then both find the call's state in the caches, and what answers the audio at
    /// once leaves at once. Answers the call's phase from now on.
    pub(super) fn move_behind(&mut self, now: Instant, phase: usize) -> usize {
        let steps = now.saturating_duration_since(self.origin).as_nanos() / STEP.as_nanos();
        let first = (steps % PHASES as u128) as usize + 1;
        let calls: u32 = self.calls.iter().sum();
        let most = ROOM.max(CROWD * calls.div_ceil(PHASES as u32));
        let mut near = (first..first + PHASES).map(|phase| phase % PHASES);
        let found = near.find(|near| *near == phase || self.calls[*near] < most).unwrap_or(phase);
        self.calls[phase] -= 1;
        self.calls[found] += 1;
        found
    }

    /// Takes back the phase of a call that is over.
    pub(super) fn give_back(&mut self, phase: usize) {
        self.calls[phase] -= 1;
    }

    /// A moment of that phase.
    pub(super) fn moment(&self, phase: usize) -> Instant {
        self.origin + STEP * phase as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Ptime;
    use crate::testing::epoch;

    #[test]
    fn the_phases_are_a_packet_time() {
        assert_eq!(STEP * PHASES as u32, Ptime::MS_20.duration());
    }

    #[test]
    fn calls_that_come_and_go_stay_evenly_spread() {
        let mut phases = Phases::new(epoch());
        let mut taken: Vec<usize> = (0..1_000).map(|_| phases.take()).collect();
        assert!(phases.calls.iter().all(|calls| *calls == 50), "{:?}", phases.calls);
        // The calls of every other phase end.
        taken.retain(|phase| {
            let stays = phase.is_multiple_of(2);
            if !stays {
                phases.give_back(*phase);
            }
            stays
        });
        (0..500).for_each(|_| taken.push(phases.take()));
        assert!(phases.calls.iter().all(|calls| *calls == 50), "{:?}", phases.calls);
    }

    #[test]
    fn a_call_moves_to_the_phase_behind_its_audio() {
        let origin = epoch();
        let mut phases = Phases::new(origin);
        let phase = phases.take();
        // 7 packet times and 3.2 steps: the next one is the fourth.
        let now = origin + Duration::from_millis(140) + STEP * 16 / 5;
        assert_eq!(phases.move_behind(now, phase), 4);
        assert_eq!(phases.move_behind(now, 4), 4);
        assert_eq!(phases.calls.iter().sum::<u32>(), 1);
        // The last phase is followed by the first.
        assert_eq!(phases.move_behind(origin + STEP * 19, 4), 0);
    }

    #[test]
    fn calls_whose_audio_comes_all_at_once_are_spread_all_the_same() {
        let origin = epoch();
        let mut phases = Phases::new(origin);
        let taken: Vec<usize> = (0..1_000).map(|_| phases.take()).collect();
        for phase in taken {
            phases.move_behind(origin, phase);
        }
        assert_eq!(phases.calls.iter().sum::<u32>(), 1_000);
        assert!(phases.calls.iter().all(|calls| *calls <= 2 * 50), "{:?}", phases.calls);
    }

    #[test]
    fn the_first_calls_lie_apart() {
        let mut phases = Phases::new(epoch());
        let taken: Vec<usize> = (0..4).map(|_| phases.take()).collect();
        for (n, phase) in taken.iter().enumerate() {
            for other in &taken[..n] {
                let apart = phase.abs_diff(*other);
                assert!(apart.min(PHASES - apart) >= 2, "{taken:?}");
            }
        }
    }
}
