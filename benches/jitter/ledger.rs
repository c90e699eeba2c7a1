//! What a buffer handed out, held against what was sent.

use std::time::Duration;

use crate::trace::{PACKET, Trace};

/// How long after its turn a packet that arrives belongs into the archive.
const WINDOW: Duration = Duration::from_secs(2);

/// Resolution and reach of the delays.
const STEP: Duration = Duration::from_micros(100);
const STEPS: usize = 60_000;

/// Stretch of time at either end of a trace that is looked at by itself.
const MINUTE: Duration = Duration::from_secs(60);

/// Delays, by the number of samples that had them.
#[derive(Clone, Debug)]
struct Delays {
    counts: Vec<u64>,
    samples: u64,
    sum_s: f64,
}

impl Delays {
    fn new() -> Self {
        Self { counts: vec![0; STEPS], samples: 0, sum_s: 0.0 }
    }

    fn add(&mut self, delay: Duration, samples: u64) {
        let step = (delay.as_nanos() / STEP.as_nanos()) as usize;
        self.counts[step.min(STEPS - 1)] += samples;
        self.samples += samples;
        self.sum_s += delay.as_secs_f64() * samples as f64;
    }

    fn mean_ms(&self) -> f64 {
        if self.samples == 0 { 0.0 } else { 1e3 * self.sum_s / self.samples as f64 }
    }

    /// The delay that a share of 0.95 of all samples does not exceed, to a step.
    fn p95_ms(&self) -> f64 {
        let mut left = (self.samples as f64 * 0.95).ceil() as u64;
        let step = self.counts.iter().position(|&count| {
            left = left.saturating_sub(count);
            left == 0
        });
        step.unwrap_or(0) as f64 * STEP.as_secs_f64() * 1e3
    }
}

/// What a buffer handed out so far.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    trace: &'a Trace,
    arrivals: Vec<Option<Duration>>,
    delays: Delays,
    first_minute: Delays,
    last_minute: Delays,
    /// Samples that are in the archive, by packet.
    kept: Vec<u8>,
    /// Samples handed to the consumer as they come.
    live: u64,
    made_up: u64,
    repeated: u64,
    mixed: u64,
    left_out: u64,
    disordered: u64,
    unknown: u64,
    /// How far what was handed out lay ahead of the clock, and when.
    ahead: Vec<(Duration, f64)>,
}

/// What became of a trace in a buffer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Outcome {
    /// Added delay.
    pub(crate) mean_ms: f64,
    pub(crate) p95_ms: f64,
    /// Mean of the first minute and of the last.
    pub(crate) first_ms: f64,
    pub(crate) last_ms: f64,
    /// Share of what should have been heard that was not received in time: made up or left out.
    pub(crate) concealed: f64,
    /// Share that stretching put in.
    pub(crate) stretched: f64,
    /// Share of the samples that arrived which the archive lacks, and their number.
    pub(crate) missing: f64,
    pub(crate) missing_samples: u64,
    /// Samples that came behind later ones, or twice.
    pub(crate) disordered: u64,
    /// Samples of which nobody can say where they belong.
    pub(crate) unknown: u64,
    /// How far the end of what was handed out lies ahead of the clock, first and last minute; none
    /// where the clock hands it out.
    pub(crate) ahead_ms: Option<[f64; 2]>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(trace: &'a Trace) -> Self {
        Self {
            trace,
            arrivals: trace.first_arrivals(),
            delays: Delays::new(),
            first_minute: Delays::new(),
            last_minute: Delays::new(),
            kept: vec![0; trace.sent.len()],
            live: 0,
            made_up: 0,
            repeated: 0,
            mixed: 0,
            left_out: 0,
            disordered: 0,
            unknown: 0,
            ahead: Vec::new(),
        }
    }

    pub(crate) fn trace(&self) -> &'a Trace {
        self.trace
    }

    /// Samples of a packet are handed to the consumer at `now`.
    pub(crate) fn real(&mut self, now: Duration, packet: usize, samples: u64) {
        let Some(arrival) = self.arrivals[packet] else {
            self.unknown += samples;
            return;
        };
        self.live += samples;
        let delay = now.saturating_sub(arrival);
        self.delays.add(delay, samples);
        if now < MINUTE {
            self.first_minute.add(delay, samples);
        }
        if now + MINUTE >= self.trace.end() {
            self.last_minute.add(delay, samples);
        }
    }

    /// Samples of a packet reach the archive.
    pub(crate) fn archive(&mut self, packet: usize, samples: usize) {
        let kept = usize::from(self.kept[packet]) + samples;
        self.kept[packet] = kept.min(PACKET) as u8;
    }

    /// Samples that no packet carried are handed to the consumer, in place of what was sent.
    pub(crate) fn made_up(&mut self, samples: u64) {
        self.live += samples;
        self.made_up += samples;
    }

    /// Samples are handed to the consumer again, or put in, to change the length of what is heard.
    pub(crate) fn repeated(&mut self, samples: u64) {
        self.live += samples;
        self.repeated += samples;
    }

    /// Samples that are mixed of several: two joined by a fade.
    pub(crate) fn mixed(&mut self, samples: u64) {
        self.live += samples;
        self.mixed += samples;
    }

    /// How many samples were made up, and how many mixed.
    pub(crate) fn made_up_and_mixed(&self) -> (u64, u64) {
        (self.made_up, self.mixed)
    }

    /// Samples were sent, and nothing was handed out in their place.
    pub(crate) fn left_out(&mut self, samples: u64) {
        self.left_out += samples;
    }

    /// Samples came behind later ones, or twice.
    pub(crate) fn disordered(&mut self, samples: u64) {
        self.disordered += samples;
    }

    /// Samples were handed out that cannot be told.
    pub(crate) fn unknown(&mut self, samples: u64) {
        self.live += samples;
        self.unknown += samples;
    }

    /// What is handed out ends this far ahead of the clock.
    pub(crate) fn ahead(&mut self, now: Duration, ms: f64) {
        self.ahead.push((now, ms));
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let turns = self.trace.sent.iter().zip(&self.arrivals).zip(&self.kept);
        let (mut arrived, mut missing) = (0_u64, 0_u64);
        for ((sent, arrival), &kept) in turns {
            if arrival.is_some_and(|at| at <= sent.at + WINDOW) {
                arrived += PACKET as u64;
                missing += PACKET as u64 - u64::from(kept);
            }
        }
        let end = self.trace.end();
        let first = self.ahead.iter().filter(|(at, _)| *at < MINUTE);
        let last = self.ahead.iter().filter(|(at, _)| *at + MINUTE >= end);
        let ahead_ms = mean(first).zip(mean(last)).map(|(first, last)| [first, last]);
        Outcome {
            mean_ms: self.delays.mean_ms(),
            p95_ms: self.delays.p95_ms(),
            first_ms: self.first_minute.mean_ms(),
            last_ms: self.last_minute.mean_ms(),
            concealed: share(self.made_up + self.left_out, self.live + self.left_out),
            stretched: share(self.repeated, self.live + self.left_out),
            missing: share(missing, arrived),
            missing_samples: missing,
            disordered: self.disordered,
            unknown: self.unknown,
            ahead_ms,
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mean<'a>(values: impl Iterator<Item = &'a (Duration, f64)>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), (_, ms)| (count + 1, sum + ms));
    (count > 0).then(|| sum / f64::from(count))
}
