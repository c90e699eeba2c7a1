//! The traces: when each packet is sent, and when it arrives.

use std::time::Duration;

use sidetone::dsp::random::Random;

use crate::emulator::{Emulator, Jitter, Loss, Path};

/// Samples of a packet: 20 ms at 8 kHz.
pub(crate) const PACKET: usize = 160;

/// Length of a trace, but for those of drift.
const MINUTES: Duration = Duration::from_secs(100);
const HOURS: Duration = Duration::from_secs(2 * 3_600);

/// Mean length of a burst of loss, in packets.
pub(crate) const BURST: f64 = 2.0;

/// What a network does to packets besides what [`Path`] says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Stalls {
    None,
    /// Nothing arrives for `length`, on average once per `every`; then all that was held does.
    Random {
        length: Duration,
        every: Duration,
    },
}

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) path: Path,
    pub(crate) stalls: Stalls,
    /// How much faster than ours the sender's clock is, in parts per million.
    pub(crate) drift_ppm: f64,
    /// Whether nothing is sent during the pauses of speech.
    pub(crate) pauses: bool,
    pub(crate) length: Duration,
}

/// A packet as it is sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Sent {
    /// When, by our clock. The network's least delay is zero.
    pub(crate) at: Duration,
    /// Samples that passed at the sender before its first one.
    pub(crate) media: u64,
    /// Whether it is the first of a talkspurt.
    pub(crate) marker: bool,
}

/// A packet that arrives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    /// Its place among those sent.
    pub(crate) packet: usize,
}

/// What was sent and what arrives, in order of time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Trace {
    pub(crate) name: &'static str,
    pub(crate) sent: Vec<Sent>,
    pub(crate) arrivals: Vec<Arrival>,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const CLEAN: Plan = Plan {
    name: "clean",
    path: Path::IDEAL,
    stalls: Stalls::None,
    drift_ppm: 0.0,
    pauses: false,
    length: MINUTES,
};

/// Jitter with which packets overtake each other.
const fn jitter(name: &'static str, max_ms: u64) -> Plan {
    let path =
        Path { jitter: Jitter::Uniform { max: ms(max_ms) }, overtaking: true, ..Path::IDEAL };
    Plan { name, path, ..CLEAN }
}

/// Jitter of a queue, in which nothing is overtaken.
const fn queued(name: &'static str, max_ms: u64) -> Plan {
    let path = Path { jitter: Jitter::Uniform { max: ms(max_ms) }, ..Path::IDEAL };
    Plan { name, path, ..CLEAN }
}

/// Loss of this share of all packets, in bursts.
const fn loss(name: &'static str, share: f64) -> Plan {
    // In the bad state all is lost; it is left after BURST packets on average, and entered so often
    // that the share of packets in it is right.
    let r = 1.0 / BURST;
    let p = r * share / (1.0 - share);
    let path = Path { loss: Loss::GilbertElliott { p, r, h: 0.0, k: 1.0 }, ..Path::IDEAL };
    Plan { name, path, ..CLEAN }
}

/// All traces.
pub(crate) const PLANS: [Plan; 13] = [
    CLEAN,
    jitter("jitter 20 ms", 20),
    jitter("jitter 40 ms", 40),
    jitter("jitter 80 ms", 80),
    queued("jitter 80 ms, in order", 80),
    loss("loss 1 %", 0.01),
    loss("loss 5 %", 0.05),
    loss("loss 10 %", 0.1),
    Plan {
        name: "Wi-Fi spikes",
        stalls: Stalls::Random { length: ms(300), every: ms(5_000) },
        ..queued("", 5)
    },
    Plan {
        name: "hand-over",
        path: Path { reorder: 0.02, reorder_by: ms(30), duplicate: 0.01, ..queued("", 10).path },
        stalls: Stalls::Random { length: ms(1_000), every: ms(20_000) },
        ..CLEAN
    },
    Plan { drift_ppm: 200.0, length: HOURS, ..queued("drift +200 ppm", 10) },
    Plan { drift_ppm: -200.0, length: HOURS, ..queued("drift −200 ppm", 10) },
    Plan { pauses: true, ..queued("silence suppression", 20) },
];

impl Plan {
    /// The same for `length` only.
    pub(crate) const fn shortened(self, length: Duration) -> Self {
        Self { length, ..self }
    }

    /// Plays it. The same seed gives the same trace.
    pub(crate) fn play(&self, seed: u64) -> Trace {
        let mut seeds = Random(seed);
        let mut network = Emulator::new(self.path, seeds.bits());
        let mut stalls = Random(seeds.bits());
        let mut speech = Random(seeds.bits());
        let period = Duration::from_secs_f64(0.02 / (1.0 + self.drift_ppm * 1e-6));
        let mut sent = Vec::new();
        let mut stall_end = Duration::ZERO;
        let mut spurt_left = self.pauses.then(|| spurt(&mut speech));
        let mut marker = true;
        let mut frame: u32 = 0;
        loop {
            let at = period * frame;
            if at >= self.length {
                break;
            }
            if let Stalls::Random { length, every } = self.stalls
                && at >= stall_end
                && stalls.chance(0.02 / every.as_secs_f64())
            {
                stall_end = at + length;
            }
            if let Some(left) = &mut spurt_left {
                if *left == 0 {
                    *left = spurt(&mut speech);
                    frame += spurt(&mut speech);
                    marker = true;
                    continue;
                }
                *left -= 1;
            }
            let held =
                Path { delay: stall_end.saturating_sub(at), jitter: Jitter::None, ..self.path };
            network.set_path(if at < stall_end { held } else { self.path });
            network.send(at, &[]);
            sent.push(Sent { at, media: u64::from(frame) * PACKET as u64, marker });
            marker = false;
            frame += 1;
        }
        let arrivals = network.receive_all().into_iter().map(|delivery| Arrival {
            at: delivery.at,
            packet: usize::try_from(delivery.index).expect("fewer packets than memory"),
        });
        Trace { name: self.name, sent, arrivals: arrivals.collect() }
    }
}

/// Packets of a talkspurt, or of a pause: 0.4 to 2.6 s.
fn spurt(generator: &mut Random) -> u32 {
    20 + (generator.unit() * 110.0) as u32
}

impl Trace {
    /// When each packet first arrives, where it does.
    pub(crate) fn first_arrivals(&self) -> Vec<Option<Duration>> {
        let mut first = vec![None; self.sent.len()];
        for arrival in &self.arrivals {
            first[arrival.packet].get_or_insert(arrival.at);
        }
        first
    }

    /// When the last packet arrives.
    pub(crate) fn end(&self) -> Duration {
        self.arrivals.last().map_or(Duration::ZERO, |arrival| arrival.at)
    }

    /// Samples that passed at the sender between two packets without being sent.
    pub(crate) fn pause_between(&self, one: usize, other: usize) -> u64 {
        let passed = self.sent[other].media.saturating_sub(self.sent[one].media);
        passed.saturating_sub((other.saturating_sub(one) * PACKET) as u64)
    }
}
