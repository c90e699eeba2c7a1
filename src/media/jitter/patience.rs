//! How long packets wait behind a hole: learnt from what became of the holes before.
//!
//! Waiting pays where what is missing still comes. How much later it comes than the packet that
//! overtook it, the difference of their transit delays, is kept in a histogram that forgets; packets
//! that never came are counted beside it. Of all waits the best one has the largest gain
//!
//! ```text
//! gain(wait) = share of missing packets that come within wait − wait / WORTH
//! ```
//!
//! So on a network that loses packets but keeps their order nobody waits for long, however much the
//! delay varies, because no packet in order is ever held; on one that reorders, the wait grows to
//! just what brings nearly all back. A jitter buffer before a loudspeaker cannot do that: it learns
//! the delay of all packets and holds each one that much (as `NetEQ` of `WebRTC` does by a quantile
//! of relative delays).

use std::time::{Duration, Instant};

/// Width of the histogram's buckets.
const BUCKET_MS: u32 = 10;

/// Buckets: as many as the longest wait that can be configured.
const BUCKETS: usize = 50;

/// What a packet that comes back is worth: so long a wait of those behind it.
const WORTH_MS: f32 = 800.0;

/// What is known before anything was seen: this weight of packets that come back, evenly
/// spread over [`PRIOR_MS`].
const PRIOR_WEIGHT: f32 = 0.25;
const PRIOR_MS: u32 = 60;

/// What a packet's weight falls to with each further one: one memory that follows a sudden change
/// within two packets, and one that knows the rare ones. The wait is the longer one's.
const FORGETTING: [f32; 2] = [0.85, 0.98];

/// The time in which the weight of what was seen falls to 1/e.
const TIME_CONSTANT_S: f32 = 10.0;

/// The shortest time for which forgetting by time is worth its computation.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Learns how long to wait. What it learns from is allocated with the first packet that is missing.
#[derive(Clone, Debug)]
pub struct Patience {
    min: Duration,
    max: Duration,
    /// `None` where there was nothing to learn from.
    memories: Option<Box<Memories>>,
    wait: Duration,
    /// Packets that came or did not, so far.
    events: u32,
    /// Until when the memories have forgotten by time.
    at: Option<Instant>,
}

/// A hole as it was counted, for packets of it that come after all.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct GaveUp {
    /// Events up to it.
    events: u32,
    /// What each of its packets weighed.
    weight: f32,
}

type Memories = [Memory; FORGETTING.len()];

#[derive(Clone, Debug)]
struct Memory {
    forgetting: f32,
    /// Weight of the packets that came so late, in buckets of [`BUCKET_MS`].
    came: [f32; BUCKETS],
    /// Weight of those that did not come.
    lost: f32,
}

impl Patience {
    /// Longest wait that it can learn.
    pub const MAX: Duration = Duration::from_millis(BUCKET_MS as u64 * BUCKETS as u64);

    /// Waits between `min` and `max`; `max` is taken where they are the wrong way round.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let mut patience =
            Self { min: min.min(max), max, memories: None, wait: max, events: 0, at: None };
        patience.decide();
        patience
    }

    /// The wait, counted from the earliest arrival of a packet behind the hole.
    pub fn wait(&mut self, now: Instant) -> Duration {
        if self.at.is_some_and(|at| now.saturating_duration_since(at) >= LOOK_EVERY) {
            self.forget(now);
            self.decide();
        }
        self.wait
    }

    /// The wait as of the latest hole.
    #[must_use]
    pub fn latest_wait(&self) -> Duration {
        self.wait
    }

    /// A missing packet came, so much later than one that was sent after it.
    pub fn came(&mut self, now: Instant, lateness: Duration) {
        self.forget(now);
        self.age();
        let bucket = usize::try_from(lateness.as_millis() / u128::from(BUCKET_MS));
        for memory in self.memories() {
            match bucket.ok().and_then(|bucket| memory.came.get_mut(bucket)) {
                Some(weight) => *weight += 1.0,
                // Nobody would have waited for it.
                None => memory.lost += 1.0,
            }
        }
        self.decide();
    }

    /// So many packets were given up.
    pub fn gave_up(&mut self, now: Instant, packets: u64) -> GaveUp {
        self.forget(now);
        // More would change nothing: they are one event of the network.
        let counted = packets.min(5);
        for _ in 0..counted {
            self.age();
            self.memories().iter_mut().for_each(|memory| memory.lost += 1.0);
        }
        self.decide();
        GaveUp { events: self.events, weight: counted as f32 / packets.max(1) as f32 }
    }

    fn age(&mut self) {
        self.events = self.events.wrapping_add(1);
        self.memories().iter_mut().for_each(|memory| memory.scale(memory.forgetting));
    }

    /// A packet that was given up came after all; `since` is what [`Self::gave_up`] answered. Tell
    /// [`Self::came`], too.
    pub fn was_not_lost(&mut self, since: GaveUp) {
        let events = i32::try_from(self.events.wrapping_sub(since.events)).unwrap_or(i32::MAX);
        for memory in self.memories() {
            let left = since.weight * memory.forgetting.powi(events);
            memory.lost = (memory.lost - left).max(0.0);
        }
    }

    fn forget(&mut self, now: Instant) {
        let at = *self.at.get_or_insert(now);
        let passed = now.saturating_duration_since(at);
        if passed < LOOK_EVERY {
            return;
        }
        let left = (-passed.as_secs_f32() / TIME_CONSTANT_S).exp();
        self.memories().iter_mut().for_each(|memory| memory.scale(left));
        self.at = Some(now);
    }

    fn decide(&mut self) {
        let best = match &self.memories {
            Some(memories) => memories.iter().map(Memory::best_wait).max().unwrap_or_default(),
            None => Memory::new(0.0).best_wait(),
        };
        self.wait = best.max(self.min).min(self.max);
    }

    fn memories(&mut self) -> &mut Memories {
        self.memories.get_or_insert_with(|| Box::new(FORGETTING.map(Memory::new)))
    }
}

impl Memory {
    fn new(forgetting: f32) -> Self {
        Self { forgetting, came: [0.0; BUCKETS], lost: 0.0 }
    }

    fn scale(&mut self, factor: f32) {
        self.came.iter_mut().for_each(|weight| *weight *= factor);
        self.lost *= factor;
    }

    /// The shortest wait of the largest gain.
    fn best_wait(&self) -> Duration {
        const PRIOR_BUCKETS: u32 = PRIOR_MS / BUCKET_MS;
        let all = self.came.iter().sum::<f32>() + self.lost + PRIOR_WEIGHT;
        let (mut best, mut best_gain, mut back) = (0, 0.0, 0.0);
        for (end, came) in (1..).zip(self.came) {
            let prior =
                if end <= PRIOR_BUCKETS { PRIOR_WEIGHT / PRIOR_BUCKETS as f32 } else { 0.0 };
            back += came + prior;
            let gain = back / all - (end * BUCKET_MS) as f32 / WORTH_MS;
            if gain > best_gain {
                (best, best_gain) = (end, gain);
            }
        }
        Duration::from_millis(u64::from(best * BUCKET_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn patience() -> Patience {
        Patience::new(ms(20), ms(200))
    }

    /// Tells of `count` packets, one each 100 ms from `from` on; answers the time after them.
    fn tell(
        patience: &mut Patience,
        from: Instant,
        count: u32,
        mut what: impl FnMut(&mut Patience, Instant, u32),
    ) -> Instant {
        (0..count).for_each(|n| what(patience, from + ms(100) * n, n));
        from + ms(100) * count
    }

    #[test]
    fn before_anything_is_known_it_waits_for_a_usual_reordering() {
        assert_eq!(patience().latest_wait(), ms(60));
    }

    #[test]
    fn where_nothing_ever_comes_back_nobody_waits() {
        let mut patience = patience();
        let end = tell(&mut patience, epoch(), 10, |p, now, _| {
            p.gave_up(now, 1);
        });
        // The least that is configured.
        assert_eq!(patience.wait(end), ms(20));
    }

    #[test]
    fn where_packets_come_back_it_waits_just_for_them() {
        let mut patience = patience();
        let late = |n| ms(u64::from(35 * n % 110));
        let end = tell(&mut patience, epoch(), 60, |p, now, n| p.came(now, late(n)));
        assert_eq!(patience.wait(end), ms(110));
    }

    #[test]
    fn a_sudden_change_is_followed_within_two_packets() {
        let mut patience = patience();
        let calm = tell(&mut patience, epoch(), 100, |p, now, _| p.came(now, ms(5)));
        assert_eq!(patience.wait(calm), ms(20));
        let spike = tell(&mut patience, calm, 2, |p, now, _| p.came(now, ms(150)));
        assert_eq!(patience.wait(spike), ms(160));
        // One alone is no reason.
        let mut patience = self::patience();
        let calm = tell(&mut patience, epoch(), 100, |p, now, _| p.came(now, ms(5)));
        patience.came(calm, ms(150));
        assert_eq!(patience.wait(calm), ms(20));
    }

    #[test]
    fn it_relaxes_over_seconds() {
        let mut patience = patience();
        let spike = tell(&mut patience, epoch(), 20, |p, now, _| p.came(now, ms(190)));
        assert_eq!(patience.wait(spike), ms(200));
        assert_eq!(patience.wait(spike + ms(2_000)), ms(200));
        assert_eq!(patience.wait(spike + ms(60_000)), ms(60), "what it was at first");
    }

    #[test]
    fn what_comes_later_than_anybody_waits_is_as_good_as_lost() {
        let mut patience = patience();
        let end = tell(&mut patience, epoch(), 20, |p, now, n| match n % 2 {
            0 => p.came(now, ms(5_000)),
            _ => p.came(now, Duration::MAX),
        });
        assert_eq!(patience.wait(end), ms(20));
    }

    #[test]
    fn a_packet_that_was_given_up_and_comes_counts_once() {
        let mut patience = patience();
        let end = tell(&mut patience, epoch(), 30, |p, now, _| {
            let since = p.gave_up(now, 1);
            p.was_not_lost(since);
            p.came(now, ms(95));
        });
        assert_eq!(patience.wait(end), ms(100));
    }

    #[test]
    fn bounds_hold_and_equal_ones_fix_the_wait() {
        let mut fixed = Patience::new(ms(40), ms(40));
        let end = tell(&mut fixed, epoch(), 30, |p, now, _| p.came(now, ms(300)));
        assert_eq!(fixed.wait(end), ms(40));
        assert_eq!(Patience::new(ms(300), ms(100)).latest_wait(), ms(100));
    }
}
