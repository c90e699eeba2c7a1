//! Calls that come and go for a long time.

use std::time::{Duration, Instant};

use crate::callers::{Callers, CallersError, Found};
use crate::load::CHURNED;
use crate::run::Bench;

/// How long a call lasts: with the load's 500 there are 50 new ones a second.
const HOLD: Duration = Duration::from_secs(10);

/// From this part of the soak on memory is to be flat: with ten minutes, from the second.
const SETTLED: f64 = 0.2;

/// The part over which memory is looked at, behind that moment and before the end.
const WINDOW: f64 = 0.05;

/// How often it is looked at, and how often it is told.
const SAMPLES: u32 = 200;
const TOLD_EVERY: usize = 10;

const MIB: f64 = 1_048_576.0;

/// What a soak has found.
pub(crate) struct Soak {
    pub(crate) length: Duration,
    pub(crate) memory: Memory,
    pub(crate) found: Found,
    pub(crate) tick_lateness_p99_ms: f64,
    pub(crate) overruns: u64,
}

/// Resident memory of the server.
#[derive(PartialEq, Debug)]
pub(crate) struct Memory {
    /// Once it should be flat.
    pub(crate) settled_mib: f64,
    /// At the end.
    pub(crate) ended_mib: f64,
    /// The most that was seen.
    pub(crate) most_mib: f64,
}

impl Soak {
    /// Runs a soak, and tells how it goes.
    ///
    /// # Errors
    /// Where the callers have no figures.
    pub(crate) fn measure(bench: &Bench, length: Duration) -> Result<Self, CallersError> {
        let server = bench.server(CHURNED.pipeline);
        let before = server.scrape().lateness();
        let callers = Callers {
            measured: length,
            hold: Some(HOLD),
            pid: Some(server.pid()),
            ..bench.callers(&CHURNED, &server)
        };
        let mut talking = callers.start(server.folder(), "soak");
        let begun = Instant::now();
        let mut samples = Vec::new();
        for index in 1..=SAMPLES {
            let until = begun + length * index / SAMPLES;
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            if !talking.goes_on() {
                break;
            }
            samples.push(server.resident_bytes() as f64 / MIB);
            if samples.len() % TOLD_EVERY == 0 {
                let (seconds, mib) = (begun.elapsed().as_secs_f64(), samples[samples.len() - 1]);
                println!("soak: {seconds:4.0} s  {mib:.2} MiB resident");
            }
        }
        let found = talking.end()?;
        assert_eq!(samples.len(), SAMPLES as usize, "the callers of the soak ended early");
        let scrape = server.scrape();
        Ok(Self {
            length,
            memory: Memory::of(&samples),
            found,
            tick_lateness_p99_ms: scrape.lateness().since(&before).bound_ms(0.99),
            overruns: scrape.overruns(),
        })
    }
}

impl Memory {
    /// Of samples from the begin of a soak to its end, in MiB.
    pub(crate) fn of(samples: &[f64]) -> Self {
        let place = |part: f64| (samples.len() as f64 * part) as usize;
        let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
        Self {
            settled_mib: mean(&samples[place(SETTLED)..place(SETTLED + WINDOW)]),
            ended_mib: mean(&samples[place(1.0 - WINDOW)..]),
            most_mib: samples.iter().copied().fold(0.0, f64::max),
        }
    }

    /// By how much it has grown since it should be flat, of 1.
    pub(crate) fn growth(&self) -> f64 {
        self.ended_mib / self.settled_mib - 1.0
    }
}
