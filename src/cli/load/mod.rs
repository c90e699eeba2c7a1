//! `sidetone load`: thousands of callers at once against a server that echoes.
//!
//! One thread plays all callers, in slots of a millisecond, and compares what each of them hears
//! with what it said, sample by sample. How calls are set up and how their audio travels
//! (`lines.rs`) is apart from what callers do (`driver.rs`, `caller.rs`). Beside a server, a loop
//! can be measured that does nothing but send back what comes (`bare.rs`).

mod affinity;
mod arguments;
mod asterisk;
mod audiosocket;
mod audiosocket_bare;
mod bare;
mod caller;
mod connection;
mod driver;
mod hosts;
mod impairment;
mod lines;
mod plan;
mod process;
mod progress;
mod report;
mod ring;
mod rtp;
mod rtp_connected;
mod rtp_loopback;
mod sequence;
mod speech;
mod stopwatch;
mod tally;
mod verifier;

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use thiserror::Error;

pub use self::arguments::LoadArgs;

use self::arguments::{AudioSocketArgs, CallsArgs, RtpArgs, Transport, What};
use self::asterisk::{
    AcceptedLines, Exchange, ExchangeError, LeftBehind, RelayedLines, Switchboard, SwitchboardError,
};
use self::audiosocket::AudioSocketLines;
use self::bare::{BareError, BareProcess};
use self::driver::{DriveError, Driver, Outcome};
use self::impairment::Impairment;
use self::lines::Lines;
use self::plan::Plan;
use self::process::Process;
use self::report::Report;
use self::rtp_connected::ConnectedLines;
use self::rtp_loopback::LoopbackLines;
use self::speech::{Encoding, Speech};
use super::{fixture, log, open_files};
use crate::audio::MediaFormat;
use crate::config::LogSettings;
use crate::runtime::Clock;

/// How often frames are sent and received.
const SLOT: Duration = Duration::from_millis(1);

/// Slots in the time of a frame.
const FRAME_SLOTS: usize = 20;

/// How long a line may take to be set up.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// Calls that are set up in a second where nothing else is asked for; an Asterisk makes fewer.
const RAMP: f64 = 500.0;
const ASTERISK_RAMP: f64 = 20.0;

/// How long a caller listens after its last frame.
const DRAIN: Duration = Duration::from_secs(1);

/// Files that the program opens beside those of its calls.
const OTHER_FILES: u64 = 64;

/// Why there are no figures.
#[derive(Debug, Error)]
enum LoadError {
    #[error("{to}: no such address: {source}")]
    Resolve { to: String, source: io::Error },
    #[error(transparent)]
    Core(#[from] affinity::CoreError),
    #[error(transparent)]
    Bare(#[from] BareError),
    #[error(
        "{calls} calls need as many open files, and this process may have {limit}: raise the hard \
         limit (ulimit -Hn, LimitNOFILE=)"
    )]
    OpenFiles { calls: u32, limit: u64 },
    #[error("{target}: {source}{hint}")]
    Drive { target: String, source: DriveError, hint: &'static str },
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("{target}: {source}")]
    Switchboard { target: String, source: SwitchboardError },
    #[error(transparent)]
    LeftBehind(#[from] LeftBehind),
}

/// Runs it. The figures go to standard output, progress to standard error.
pub(super) fn run(arguments: LoadArgs) -> ExitCode {
    log::start(&LogSettings::default());
    let (calls, result) = match arguments.what {
        What::Bare(arguments) => return bare::run(&arguments),
        What::Rtp(arguments) => {
            let report = load_rtp(&arguments);
            (arguments.calls, report)
        }
        What::AudioSocket(arguments) => {
            let report = load_audiosocket(&arguments);
            (arguments.calls, report)
        }
    };
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = io::stdout().lock();
    let written =
        if calls.json { report.write_json(&mut out) } else { report.write_text(&mut out) };
    let failed = calls.check && !report.faults().is_empty();
    match written.and_then(|()| out.flush()) {
        Ok(()) if !failed => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn load_rtp(arguments: &RtpArgs) -> Result<Report, LoadError> {
    let RtpArgs { calls, asterisk, codec, loss, jitter } = arguments;
    let encoding = match codec.format() {
        MediaFormat::Alaw => Encoding::Alaw,
        _ => Encoding::Ulaw,
    };
    let speech = Speech::new(encoding, fixture::RATE);
    let plan = calls.plan(Impairment::new(*loss, *jitter), asterisk.asterisk.is_some());
    if let Some(exchange) = Exchange::new(asterisk)? {
        return load_relayed(Transport::Rtp, calls, &plan, &speech, exchange, |exchange, clock| {
            RelayedLines::start(exchange, codec.format(), plan.numbers(), clock)
        });
    }
    let against = |to: SocketAddr, process: Option<Process>| {
        if hosts::are_of(to) {
            let lines = LoopbackLines::new(to, codec.format())?;
            return Driver::new(&plan, &speech, lines, Clock::new()).run(process);
        }
        let lines = ConnectedLines::new(to, codec.format(), plan.numbers())?;
        Driver::new(&plan, &speech, lines, Clock::new()).run(process)
    };
    load(Transport::Rtp, calls, &plan, against)
}

fn load_audiosocket(arguments: &AudioSocketArgs) -> Result<Report, LoadError> {
    let AudioSocketArgs { calls, asterisk, rate } = arguments;
    let plan = calls.plan(Impairment::new(0.0, Duration::ZERO), asterisk.asterisk.is_some());
    if let Some(exchange) = Exchange::new(asterisk)? {
        // Behind Asterisk there may be a way that carries µ-law.
        let narrow = *rate == fixture::RATE;
        let encoding = if narrow { Encoding::SlinOfUlaw } else { Encoding::Slin };
        let speech = Speech::new(encoding, *rate);
        let transport = Transport::AudioSocket;
        return load_relayed(transport, calls, &plan, &speech, exchange, |exchange, clock| {
            AcceptedLines::start(exchange, *rate, plan.numbers(), clock)
        });
    }
    let speech = Speech::new(Encoding::Slin, *rate);
    let against = |to: SocketAddr, process: Option<Process>| {
        let lines = AudioSocketLines::new(to, *rate, plan.numbers())?;
        Driver::new(&plan, &speech, lines, Clock::new()).run(process)
    };
    load(Transport::AudioSocket, calls, &plan, against)
}

/// Runs through an Asterisk, and leaves nothing there, however that ends.
fn load_relayed<L: Lines>(
    transport: Transport,
    calls: &CallsArgs,
    plan: &Plan,
    speech: &Speech,
    exchange: Exchange,
    start: impl FnOnce(Exchange, Clock) -> Result<(Switchboard, L), SwitchboardError>,
) -> Result<Report, LoadError> {
    let target = exchange.label();
    if let Ok(limit) = open_files::raise()
        && transport == Transport::AudioSocket
        && limit < u64::from(calls.calls) + OTHER_FILES
    {
        return Err(LoadError::OpenFiles { calls: calls.calls, limit });
    }
    affinity::pin(calls.core)?;
    let clock = Clock::new();
    let (switchboard, lines) = start(exchange, clock)
        .map_err(|source| LoadError::Switchboard { target: target.clone(), source })?;
    let server = calls.pid.map(|pid| Process { pid });
    let driven = Driver::new(plan, speech, lines, clock).run(server);
    let closed = switchboard.close();
    let outcome = driven.map_err(|source| {
        let hint = match &source {
            DriveError::NothingAnswers | DriveError::SetUp(_) => RELAYED_HINT,
            _ => "",
        };
        // Both are told where both are.
        if let Err(error) = &closed {
            eprintln!("{error}");
        }
        LoadError::Drive { target: target.clone(), source, hint }
    })?;
    closed?;
    Ok(Report::new(transport.label(), target, plan, &outcome, None))
}

/// Runs against the bare loop, the server, or both.
fn load(
    transport: Transport,
    calls: &CallsArgs,
    plan: &Plan,
    against: impl Fn(SocketAddr, Option<Process>) -> Result<Outcome, DriveError>,
) -> Result<Report, LoadError> {
    let target = calls.to.as_deref().map(resolve).transpose()?;
    let one_socket = transport == Transport::Rtp && target.is_none_or(hosts::are_of);
    if let Ok(limit) = open_files::raise()
        && !one_socket
        && limit < u64::from(calls.calls) + OTHER_FILES
    {
        return Err(LoadError::OpenFiles { calls: calls.calls, limit });
    }
    let drive = |target: SocketAddr, process: Option<Process>| {
        against(target, process).map_err(|source| {
            let hint = match &source {
                DriveError::NothingAnswers | DriveError::SetUp(_) => hint(transport),
                _ => "",
            };
            LoadError::Drive { target: target.to_string(), source, hint }
        })
    };
    let bare = calls.bare.then(|| BareProcess::start(transport, calls.bare_core)).transpose()?;
    // Later than that, for a process is where the one that starts it is.
    affinity::pin(calls.core)?;
    let bare = match bare {
        Some(bare) => Some((bare.address, drive(bare.address, Some(bare.process))?)),
        None => None,
    };
    let server = calls.pid.map(|pid| Process { pid });
    let label = transport.label();
    match (target, &bare) {
        (Some(target), bare) => {
            let outcome = drive(target, server)?;
            let bare = bare.as_ref().map(|(_, outcome)| outcome);
            let to = calls.to.clone().unwrap_or_else(|| target.to_string());
            Ok(Report::new(label, to, plan, &outcome, bare))
        }
        (None, Some((address, outcome))) => {
            Ok(Report::new(label, address.to_string(), plan, outcome, Some(outcome)))
        }
        (None, None) => unreachable!("the command line asks for one of them"),
    }
}

impl CallsArgs {
    fn plan(&self, impairment: Impairment, relayed: bool) -> Plan {
        let Self { calls, ramp, duration, hold, .. } = *self;
        let ramp = ramp.unwrap_or(if relayed { ASTERISK_RAMP } else { RAMP });
        Plan { calls, ramp, duration, hold, impairment, relayed }
    }
}

fn resolve(to: &str) -> Result<SocketAddr, LoadError> {
    let unknown = |source| LoadError::Resolve { to: to.to_owned(), source };
    let mut addresses = to.to_socket_addrs().map_err(unknown)?;
    addresses.next().ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))
}

/// The same behind an Asterisk.
const RELAYED_HINT: &str = "\nDoes the endpoint answer, and echo? Can Asterisk reach this machine \
                            (--advertise)?";

/// What to look at where nothing comes back.
const fn hint(transport: Transport) -> &'static str {
    match transport {
        Transport::Rtp => {
            "\nDoes a server listen there? Does it take callers that nobody announced (rtp.accept = \
             \"any\"),\nand echo (pipelines.default = \"echo\")?"
        }
        Transport::AudioSocket => {
            "\nDoes a server listen there? Does it take connections that nobody announced\n\
             (audiosocket.accept = \"any\") and so many (audiosocket.max_connections), and echo\n\
             (pipelines.default = \"echo\")?"
        }
    }
}
