//! One run of a load.

use std::time::Duration;

use crate::callers::{Callers, CallersError, Found};
use crate::common::machine;
use crate::load::{Load, STEADY};
use crate::metrics::{Lateness, Scrape};
use crate::server::Server;

/// How often a run is repeated whose callers were late themselves, or that has no figures.
const REPEATS: u32 = 3;

/// How long the steady calls have talked when the first of the others comes.
const HEAD_START: Duration = Duration::from_secs(2);

/// How long they talk when the last of the others is over, at least.
const AFTERMATH: Duration = Duration::from_secs(3);

/// How long the calls last that come and go.
const SET_UP_HOLD: Duration = Duration::from_secs(1);

/// Where and how long it is measured.
pub(crate) struct Bench {
    /// The server's core, and the bare loop's.
    pub(crate) server_core: usize,
    /// The callers', and of this process itself.
    pub(crate) callers_core: usize,
    /// How many cores this process may use.
    pub(crate) cores: usize,
    measured: Duration,
}

/// What a run has found.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) load: &'static Load,
    /// How often it was repeated.
    pub(crate) repeats: u32,
    /// Why it says nothing all the same, if so.
    pub(crate) fault: Option<String>,
    pub(crate) found: Found,
    /// The bound of the bucket in which the 99th percentile lies.
    pub(crate) tick_lateness_p99_ms: f64,
    /// Datagrams that found the server's receive buffer full.
    pub(crate) overruns: u64,
    /// Calls of this load and those beside it.
    pub(crate) calls: u64,
    /// Of those, the ones that could not be set up, or never heard their echo.
    pub(crate) calls_failed: u64,
    /// Where it is recorded.
    pub(crate) recorded: Option<Recorded>,
}

/// What became of recordings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    /// Calls without a whole one.
    pub(crate) missing: u64,
    /// Samples for which the disk was too slow.
    pub(crate) samples_dropped: u64,
}

impl Run {
    /// A run whose server told `now` after it and `before` before it.
    pub(crate) fn new(load: &'static Load, found: Found, now: &Scrape, before: &Lateness) -> Self {
        Self {
            load,
            repeats: 0,
            fault: found.fault(),
            tick_lateness_p99_ms: now.lateness().since(before).bound_ms(0.99),
            overruns: now.overruns(),
            calls: found.setup.calls,
            calls_failed: found.calls_failed(),
            recorded: None,
            found,
        }
    }

    /// Processor time per packet, to the bare loop's.
    pub(crate) fn times_bare(&self) -> Option<f64> {
        let (ours, bare) = (self.found.server.as_ref()?, self.found.bare.as_ref()?);
        Some(ours.cpu_us_per_packet / bare.cpu_us_per_packet)
    }

    /// Processor time per call, of a core.
    pub(crate) fn share_per_call(&self) -> Option<f64> {
        Some(1.0 / self.found.server.as_ref()?.calls_per_core)
    }

    /// Resident memory above that of the idle process, in KiB per call.
    pub(crate) fn kib_per_call(&self) -> Option<f64> {
        Some(self.found.server.as_ref()?.resident_bytes_per_call / 1_024.0)
    }
}

impl Recorded {
    /// What has become of so many calls, once the last of them is over.
    fn wait(server: &Server, calls: u64) -> Self {
        let scrape = server.when_idle();
        let done = scrape.value("sidetone_recordings_ended_total{result=\"done\"}");
        let dropped = scrape.value("sidetone_recording_samples_total{state=\"dropped\"}");
        Self { missing: calls.saturating_sub(done as u64), samples_dropped: dropped as u64 }
    }
}

/// Runs a load, and again where that says nothing. None where there are no figures in the end.
fn repeated(name: &str, run: impl Fn() -> Result<Run, CallersError>) -> Option<Run> {
    for repeats in 0..=REPEATS {
        match run() {
            Ok(run) if repeats == REPEATS || run.fault.is_none() => {
                return Some(Run { repeats, ..run });
            }
            Ok(run) => println!("{name}: again: {}", run.fault.unwrap_or_default()),
            Err(error) => println!("{name}: no figures: {error}"),
        }
    }
    None
}

impl Bench {
    /// On the last core that the process may use, the callers on the first.
    pub(crate) fn new(measured: Duration) -> Self {
        let cores = machine::cores();
        let (Some(&callers_core), Some(&server_core)) = (cores.first(), cores.last()) else {
            panic!("the cores of this process are not known");
        };
        assert!(machine::stay_on(callers_core), "this thread cannot go to core {callers_core}");
        Self { server_core, callers_core, cores: cores.len(), measured }
    }

    /// The same cores, but so long.
    pub(crate) const fn lasting(&self, measured: Duration) -> Self {
        Self { measured, ..*self }
    }

    /// A server that nobody has called yet.
    pub(crate) fn server(&self, pipeline: &str) -> Server {
        Server::start(pipeline, self.server_core, self.callers_core)
    }

    /// Callers of a load that last to the end, for the time of a run.
    pub(crate) fn callers(&self, load: &Load, server: &Server) -> Callers {
        Callers {
            transport: load.transport,
            to: server.address(load.transport),
            calls: load.calls,
            measured: self.measured,
            hold: None,
            pid: None,
            core: self.callers_core,
            bare_core: None,
        }
    }

    /// A load by itself, the bare loop before it where its limits ask for one.
    pub(crate) fn echo(&self, load: &'static Load) -> Option<Run> {
        repeated(load.name, || self.echo_once(load))
    }

    fn echo_once(&self, load: &'static Load) -> Result<Run, CallersError> {
        let server = self.server(load.pipeline);
        let before = server.scrape().lateness();
        let callers = Callers {
            pid: Some(server.pid()),
            bare_core: load.limits.times_bare.map(|_| self.server_core),
            ..self.callers(load, &server)
        };
        let found = callers.start(server.folder(), "callers").end()?;
        let run = Run::new(load, found, &server.scrape(), &before);
        let recorded = load.is_recorded().then(|| Recorded::wait(&server, run.calls));
        Ok(Run { recorded, ..run })
    }

    /// Steady calls, beside which as many others are set up and torn down each second.
    pub(crate) fn set_up(&self) -> Option<Run> {
        repeated(STEADY.name, || self.set_up_once())
    }

    fn set_up_once(&self) -> Result<Run, CallersError> {
        let server = self.server(STEADY.pipeline);
        let before = server.scrape().lateness();
        let steady = Callers {
            measured: self.measured + HEAD_START + AFTERMATH,
            ..self.callers(&STEADY, &server)
        };
        let others = Callers { hold: Some(SET_UP_HOLD), ..self.callers(&STEADY, &server) };
        let steady = steady.start(server.folder(), "steady");
        std::thread::sleep(HEAD_START);
        let others = others.start(server.folder(), "others").end()?;
        let steady = steady.end()?;
        let calls = steady.setup.calls + others.setup.calls;
        let calls_failed = steady.calls_failed() + others.calls_failed();
        let fault = steady.fault().or_else(|| others.fault());
        let run = Run::new(&STEADY, steady, &server.scrape(), &before);
        Ok(Run { calls, calls_failed, fault, ..run })
    }
}
