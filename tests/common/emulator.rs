//! A network in virtual time: what is sent at one moment arrives at another, or twice, or not.
//!
//! Deterministic by its seed. Each impairment draws from a generator of its own, so that switching
//! one on does not change what the others do. Moments are durations since the start of a test.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;
use std::time::Duration;

use sidetone::dsp::random::Random;

/// How packets get lost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Loss {
    /// Not at all.
    None,
    /// Each by itself with probability `p`.
    Bernoulli {
        /// Probability of loss, 0 to 1.
        p: f64,
    },
    /// In bursts, by a channel of two states.
    ///
    /// Parameters as in G. Haßlinger and O. Hohlfeld, "The Gilbert-Elliott Model for Packet Loss in
    /// Real Time Services on the Internet", MMB 2008; the model is E. N. Gilbert's (1960), widened
    /// by E. O. Elliott (1963). The channel starts in the good state and moves after each packet.
    GilbertElliott {
        /// Probability to go from the good state to the bad one, per packet.
        p: f64,
        /// Probability to go from the bad state to the good one, per packet.
        r: f64,
        /// Probability that a packet passes in the bad state.
        h: f64,
        /// Probability that a packet passes in the good state.
        k: f64,
    },
}

impl Loss {
    /// The share of packets lost in the long run.
    pub(crate) fn rate(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Bernoulli { p } => p,
            Self::GilbertElliott { p, r, h, k } => {
                let bad = if p + r == 0.0 { 0.0 } else { p / (p + r) };
                (1.0 - k) * (1.0 - bad) + (1.0 - h) * bad
            }
        }
    }
}

/// What is added to the constant delay, anew for each packet.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Jitter {
    /// Nothing.
    None,
    /// Anything from 0 to `max`, all equally likely.
    Uniform {
        /// The longest.
        max: Duration,
    },
    /// The normal distribution around 0, cut off where a packet would arrive before it was sent.
    Normal {
        /// Standard deviation.
        sigma: Duration,
    },
}

/// A path through the network.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Path {
    /// Which packets never arrive.
    pub(crate) loss: Loss,
    /// What every packet takes.
    pub(crate) delay: Duration,
    /// What it takes on top.
    pub(crate) jitter: Jitter,
    /// Whether jitter lets packets overtake each other. Where it does not, a packet waits for the
    /// one before it, as in a queue.
    pub(crate) overtaking: bool,
    /// Probability that a packet is held back by `reorder_by`, beside the queue.
    pub(crate) reorder: f64,
    /// How long a packet is held back that is to be overtaken.
    pub(crate) reorder_by: Duration,
    /// Probability that a second copy is sent; it has its own jitter and may come first.
    pub(crate) duplicate: f64,
}

impl Path {
    /// Everything arrives at once and in order.
    pub(crate) const IDEAL: Self = Self {
        loss: Loss::None,
        delay: Duration::ZERO,
        jitter: Jitter::None,
        overtaking: false,
        reorder: 0.0,
        reorder_by: Duration::ZERO,
        duplicate: 0.0,
    };
}

/// A packet that arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    /// When it arrives.
    pub(crate) at: Duration,
    /// When it was sent.
    pub(crate) sent_at: Duration,
    /// How many packets were sent before it.
    pub(crate) index: u64,
    /// Whether an earlier delivery carried the same packet.
    pub(crate) duplicate: bool,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// What the network did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Statistics {
    /// Packets given to it.
    pub(crate) sent: u64,
    /// Packets of which no copy arrives.
    pub(crate) lost: u64,
    /// Runs of packets lost in succession.
    pub(crate) loss_bursts: u64,
    /// Deliveries so far, second copies included.
    pub(crate) delivered: u64,
    /// Second copies delivered so far.
    pub(crate) duplicated: u64,
    /// Packets delivered so far, second copies apart, behind one that was sent after them: the
    /// reordered ones of RFC 4737 section 3.3.
    pub(crate) reordered: u64,
}

/// The network between one sender and one receiver.
#[derive(Clone, Debug)]
pub(crate) struct Emulator {
    path: Path,
    loss: Random,
    jitter: Random,
    reorder: Random,
    duplicate: Random,
    bad: bool,
    last_lost: bool,
    last_arrival: Duration,
    copies: u64,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    /// By index, whether a copy was delivered.
    delivered: Vec<bool>,
    next_expected: u64,
    statistics: Statistics,
}

/// Ordered by arrival, and by the order of sending where that is the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct InFlight {
    at: Duration,
    copy: u64,
    sent_at: Duration,
    index: u64,
    bytes: Vec<u8>,
}

impl Emulator {
    /// A network that does what `path` says, the same for the same `seed`.
    pub(crate) fn new(path: Path, seed: u64) -> Self {
        let mut seeds = Random(seed);
        let mut generator = || Random(seeds.bits());
        Self {
            path,
            loss: generator(),
            jitter: generator(),
            reorder: generator(),
            duplicate: generator(),
            bad: false,
            last_lost: false,
            last_arrival: Duration::ZERO,
            copies: 0,
            in_flight: BinaryHeap::new(),
            delivered: Vec::new(),
            next_expected: 0,
            statistics: Statistics::default(),
        }
    }

    /// Changes the path for what is sent from now on.
    pub(crate) fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Sends `bytes` at `now`.
    pub(crate) fn send(&mut self, now: Duration, bytes: &[u8]) {
        let index = self.statistics.sent;
        self.statistics.sent += 1;
        self.delivered.push(false);

        let lost = self.is_lost();
        let held_back = self.reorder.chance(self.path.reorder);
        let twice = self.duplicate.chance(self.path.duplicate);
        // Drawn in any case, so that loss does not shift the jitter of the packets behind.
        let delays = [self.draw_delay(), self.draw_delay()];
        if lost {
            self.statistics.lost += 1;
            self.statistics.loss_bursts += u64::from(!self.last_lost);
        }
        self.last_lost = lost;
        if lost {
            return;
        }
        for delay in &delays[..1 + usize::from(twice)] {
            let at = if held_back {
                now + *delay + self.path.reorder_by
            } else if self.path.overtaking {
                now + *delay
            } else {
                self.last_arrival = self.last_arrival.max(now + *delay);
                self.last_arrival
            };
            let copy = self.copies;
            self.copies += 1;
            let packet = InFlight { at, copy, sent_at: now, index, bytes: bytes.to_vec() };
            self.in_flight.push(Reverse(packet));
        }
    }

    /// When the next packet arrives, or `None` while nothing is under way.
    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.in_flight.peek().map(|Reverse(packet)| packet.at)
    }

    /// The next packet that has arrived at `now`, earliest first.
    pub(crate) fn receive(&mut self, now: Duration) -> Option<Delivery> {
        if self.next_arrival()? > now {
            return None;
        }
        let Reverse(InFlight { at, sent_at, index, bytes, .. }) = self.in_flight.pop()?;
        let place = usize::try_from(index).expect("fewer packets than memory");
        let duplicate = std::mem::replace(&mut self.delivered[place], true);
        self.statistics.delivered += 1;
        if duplicate {
            self.statistics.duplicated += 1;
        } else if index < self.next_expected {
            self.statistics.reordered += 1;
        } else {
            self.next_expected = index + 1;
        }
        Some(Delivery { at, sent_at, index, duplicate, bytes })
    }

    /// Everything that is under way, in order of arrival.
    pub(crate) fn receive_all(&mut self) -> Vec<Delivery> {
        std::iter::from_fn(|| self.receive(Duration::MAX)).collect()
    }

    /// What the network did so far.
    pub(crate) fn statistics(&self) -> Statistics {
        self.statistics
    }

    fn is_lost(&mut self) -> bool {
        match self.path.loss {
            Loss::None => false,
            Loss::Bernoulli { p } => self.loss.chance(p),
            Loss::GilbertElliott { p, r, h, k } => {
                let passes = self.loss.chance(if self.bad { h } else { k });
                let moves = self.loss.chance(if self.bad { r } else { p });
                self.bad ^= moves;
                !passes
            }
        }
    }

    fn draw_delay(&mut self) -> Duration {
        let (one, other) = (self.jitter.unit(), self.jitter.unit());
        match self.path.jitter {
            Jitter::None => self.path.delay,
            Jitter::Uniform { max } => self.path.delay + max.mul_f64(one),
            Jitter::Normal { sigma } => {
                // G. E. P. Box and M. E. Muller (1958). 1 − unit is never 0.
                let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (TAU * other).cos();
                let seconds = self.path.delay.as_secs_f64() + normal * sigma.as_secs_f64();
                Duration::from_secs_f64(seconds.max(0.0))
            }
        }
    }
}
