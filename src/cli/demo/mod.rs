//! `sidetone demo`: the main job on embedded defaults, without an Asterisk.
//!
//! The real server is started on free ports of the loopback interface. Callers inside the same
//! process play a fixture of speech into it over real sockets, once over RTP and once over
//! AudioSocket, both at the same time; they are echoed and recorded. What caller, server and disk
//! saw is put together, and the exit code tells whether all of it is right.

mod caller;
mod caller_audiosocket;
mod caller_rtp;
mod figures;
mod limits;
mod probe;
mod progress;
mod recording;
mod report;
mod server;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use tokio::time::timeout;

use self::caller::{CallerError, Conversation, converse};
use self::caller_audiosocket::AudioSocketCaller;
use self::caller_rtp::RtpCaller;
use self::figures::Figures;
use self::probe::{ProbeReports, Served};
use self::progress::Progress;
use self::recording::Recording;
use self::report::Report;
use self::server::DemoServer;
use crate::audio::MediaFormat;
use crate::call::Transport;
use crate::cli::fixture;
use crate::processor::EchoSettings;
use crate::runtime::Clock;

/// Most time for one caller, from the first socket to the end of its call.
const CALL_LIMIT: Duration = Duration::from_secs(11);

/// Play speech through the server over loopback, and check the echo and the recordings
///
/// Needs no Asterisk and no configuration, and takes about six seconds. Exits with 0 only if no
/// packet is lost, the echo and both sides of the recordings are the speech, and all of it came in
/// time; else with 1 and a line per figure that is off.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub struct DemoArgs {
    /// Folder for the recordings, made if it is not there [default: a fresh one for temporary files]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Why there are no figures.
#[derive(Debug, Error)]
enum DemoError {
    #[error("cannot make the folder {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot start: {0}")]
    Threads(#[source] io::Error),
    #[error("cannot start: {0}")]
    Start(#[from] server::StartError),
    #[error("{transport}: {source}")]
    Caller { transport: Transport, source: CallerError },
    #[error("{transport}: the call was not over after {limit:?}")]
    TimedOut { transport: Transport, limit: Duration },
    #[error("{transport}: the server told nothing of the call")]
    NotServed { transport: Transport },
    #[error("{transport}: {source}")]
    Recording { transport: Transport, source: recording::RecordingError },
}

/// A call that is over, as both ends saw it.
struct Finished {
    transport: Transport,
    format: MediaFormat,
    conversation: Conversation,
    served: Served,
}

/// Runs the demonstration. The figures go to standard output, progress to standard error. Success
/// only where every figure keeps to its limit, else exit code 1.
#[must_use]
pub(super) fn run(args: DemoArgs) -> ExitCode {
    let DemoArgs { directory, json } = args;
    let mut out = io::stdout().lock();
    let (ok, written) = match demonstrate(directory) {
        Ok(report) if json => (report.ok, report.write_json(&mut out)),
        Ok(report) => (report.ok, report.write_text(&mut out)),
        Err(error) if json => {
            let failure = serde_json::json!({ "ok": false, "failures": [error.to_string()] });
            (false, writeln!(out, "{failure}"))
        }
        Err(error) => (false, writeln!(out, "FAILED  {error}")),
    };
    if ok && written.and_then(|()| out.flush()).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn demonstrate(directory: Option<PathBuf>) -> Result<Report, DemoError> {
    let clock = Clock::new();
    let directory = make_directory(directory, clock)?;
    let echo = EchoSettings::default();
    let speech = fixture::speech();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(DemoError::Threads)?;
    let calls = threads.block_on(async {
        let (server, reports) = DemoServer::start(&directory, echo, clock).await?;
        let calls = play(&server, reports, &speech, clock).await;
        server.stop().await;
        calls
    })?;
    let figures = calls
        .into_iter()
        .map(|call| measure(&directory, &speech, &call))
        .collect::<Result<_, _>>()?;
    Ok(Report::new(directory, echo.delay.as_secs_f64() * 1_000.0, figures))
}

/// The folder asked for, or a fresh one below the system's folder for temporary files.
fn make_directory(asked: Option<PathBuf>, clock: Clock) -> Result<PathBuf, DemoError> {
    let (path, made) = match asked {
        Some(path) => {
            let made = fs::create_dir_all(&path);
            (path, made)
        }
        None => {
            let name = format!("sidetone-demo-{}", clock.wall().as_millis());
            let path = std::env::temp_dir().join(name);
            let made = fs::create_dir(&path);
            (path, made)
        }
    };
    match made {
        Ok(()) => Ok(path),
        Err(source) => Err(DemoError::Directory { path, source }),
    }
}

/// Plays the speech over both transports at the same time.
async fn play(
    server: &DemoServer,
    reports: ProbeReports,
    speech: &[i16],
    clock: Clock,
) -> Result<[Finished; 2], DemoError> {
    let ProbeReports { rtp: rtp_reports, audiosocket: audiosocket_reports } = reports;
    let progress = Progress::new(fixture::RATE.duration_of(speech.len() as u64));
    let over_rtp = async {
        let mut caller = RtpCaller::new(server.rtp, server.handle(), rtp_reports).await?;
        let conversation = converse(&mut caller, speech, clock, &progress.rtp).await?;
        Ok((conversation, caller.into_served()))
    };
    let over_audiosocket = async {
        let uuid = clock.new_call_id().uuid();
        let mut caller =
            AudioSocketCaller::connect(server.audiosocket, uuid, audiosocket_reports).await?;
        let conversation = converse(&mut caller, speech, clock, &progress.audiosocket).await?;
        Ok((conversation, caller.into_served()))
    };
    let calls = async {
        tokio::join!(
            finished(Transport::Rtp, caller_rtp::FORMAT, over_rtp),
            finished(Transport::AudioSocket, caller_audiosocket::FORMAT, over_audiosocket),
        )
    };
    let (rtp, audiosocket) = tokio::select! {
        calls = calls => calls,
        never = progress.show() => match never {},
    };
    Ok([rtp?, audiosocket?])
}

async fn finished(
    transport: Transport,
    format: MediaFormat,
    call: impl Future<Output = Result<(Conversation, Option<Served>), CallerError>>,
) -> Result<Finished, DemoError> {
    let (conversation, served) = timeout(CALL_LIMIT, call)
        .await
        .map_err(|_| DemoError::TimedOut { transport, limit: CALL_LIMIT })?
        .map_err(|source| DemoError::Caller { transport, source })?;
    let served = served.ok_or(DemoError::NotServed { transport })?;
    Ok(Finished { transport, format, conversation, served })
}

fn measure(directory: &Path, speech: &[i16], call: &Finished) -> Result<Figures, DemoError> {
    let Finished { transport, format, conversation, served } = call;
    let recording = Recording::read(directory, served.call, fixture::RATE)
        .map_err(|source| DemoError::Recording { transport: *transport, source })?;
    Ok(Figures::new(*transport, *format, speech, conversation, served, recording))
}
