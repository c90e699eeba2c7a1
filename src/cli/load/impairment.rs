use std::time::Duration;

use super::SLOT;
use crate::dsp::random::Random;

const SEED: u64 = 0x1055;

/// What happens to packets on their way to the server; the same in every run.
#[derive(Clone, Debug)]
pub(super) struct Impairment {
    loss: f64,
    /// Slots by which a packet may be late.
    jitter_slots: u32,
    random: Random,
}

/// What happens to one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Lost,
    /// It leaves so many slots after its time.
    Sent {
        delay_slots: u32,
    },
}

impl Impairment {
    /// Each packet is lost with a probability of `loss`, and those that are not leave up to `jitter`
    /// after their time, all delays being equally likely.
    pub(super) fn new(loss: f64, jitter: Duration) -> Self {
        let slots = jitter.as_nanos() / SLOT.as_nanos();
        let jitter_slots = u32::try_from(slots).unwrap_or(u32::MAX);
        Self { loss, jitter_slots, random: Random(SEED) }
    }

    /// Whether packets arrive as they were sent.
    pub(super) fn is_none(&self) -> bool {
        self.loss == 0.0 && self.jitter_slots == 0
    }

    /// Most slots by which a packet is late.
    pub(super) fn most_slots(&self) -> u32 {
        self.jitter_slots
    }

    /// What happens to the next packet.
    pub(super) fn next(&mut self) -> Fate {
        if self.is_none() {
            return Fate::Sent { delay_slots: 0 };
        }
        if self.random.chance(self.loss) {
            return Fate::Lost;
        }
        let delays = f64::from(self.jitter_slots) + 1.0;
        Fate::Sent { delay_slots: (self.random.unit() * delays) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_delays_are_what_was_asked_for_and_the_same_each_time() {
        let fates = || {
            let mut impairment = Impairment::new(0.1, Duration::from_millis(20));
            (0..100_000).map(|_| impairment.next()).collect::<Vec<_>>()
        };
        let (fates, again) = (fates(), fates());
        assert_eq!(fates, again);
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        // 10,000; the standard deviation is 95.
        assert!(lost.abs_diff(10_000) < 475, "{lost}");
        for delay_slots in 0..=20 {
            let count = fates.iter().filter(|fate| **fate == Fate::Sent { delay_slots }).count();
            // 90,000 over 21; the standard deviation is 64.
            assert!(count.abs_diff(4_286) < 320, "{count} of {delay_slots}");
        }
        let mut none = Impairment::new(0.0, Duration::ZERO);
        assert!(none.is_none() && none.next() == Fate::Sent { delay_slots: 0 });
    }
}
