//! `sidetone serve`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::ready::ReadyFile;
use super::{EXIT_USAGE, load, log, open_files};
use crate::config::{Config, Override};
use crate::runtime::stand_back;
use crate::server::{Server, ServerError};

const EXAMPLES: &str = "\
Examples:
  sidetone serve
  sidetone serve --config /etc/sidetone/sidetone.toml
  sidetone serve --config sidetone.toml --rtp-bind 0.0.0.0 --rtp-advertise 192.0.2.10
  SIDETONE__ASTERISK__0__PASSWORD=secret sidetone serve

Every key of the configuration can be given in the environment, as
SIDETONE__SECTION__KEY; it is stronger than the file, and a flag is stronger still.

SIGTERM and SIGINT stop the server: it takes no more calls, lets those that run end
within server.grace_ms, ends the rest, closes recordings, and leaves nothing behind in
Asterisk. A second signal stops it at once.";

/// Threads for the control side: ARI, API, new connections. Media has its own.
const CONTROL_THREADS: usize = 2;

/// Arguments of `sidetone serve`.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Configuration (TOML); without it, the defaults: a server on loopback
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File to write once everything listens: JSON with pid and addresses
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// IP address to receive RTP at [key: rtp.bind]
    #[arg(long, value_name = "IP")]
    pub rtp_bind: Option<String>,
    /// UDP port of the first shard, 0 for any [key: rtp.port]
    #[arg(long, value_name = "PORT")]
    pub rtp_port: Option<String>,
    /// Host that Asterisk is told to send RTP to [key: rtp.advertise]
    #[arg(long, value_name = "HOST")]
    pub rtp_advertise: Option<String>,
    /// IP address and port to accept AudioSocket at [key: audiosocket.bind]
    #[arg(long, value_name = "IP:PORT")]
    pub audiosocket_bind: Option<String>,
    /// IP address and port of the HTTP API [key: api.bind]
    #[arg(long, value_name = "IP:PORT")]
    pub api_bind: Option<String>,
    /// error, warn, info, debug or trace [key: log.level]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Pipeline of calls that name none [key: pipelines.default]
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
}

/// Why serving ended other than asked.
#[derive(Debug, Error)]
enum ServeError {
    #[error("cannot start the threads: {0}")]
    Threads(#[source] io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("cannot write the ready file {}: {source}", path.display())]
    Ready { path: PathBuf, source: io::Error },
    #[error("stopped at once by a second signal, {0}")]
    Interrupted(&'static str),
}

pub(super) fn run(arguments: ServeArgs) -> ExitCode {
    let (file, ready_file, flags) = arguments.split();
    let config = match load(file.as_deref(), flags) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    log::start(&config.log);
    for warning in config.warnings() {
        warn!("{warning}");
    }
    open_files::raise_limit(&config);
    match serve(&config, ready_file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl ServeArgs {
    /// The file, the ready file, and what the flags put in the place of the file's values.
    fn split(self) -> (Option<PathBuf>, Option<PathBuf>, Vec<Override>) {
        let flags = [
            ("--rtp-bind", "rtp.bind", self.rtp_bind),
            ("--rtp-port", "rtp.port", self.rtp_port),
            ("--rtp-advertise", "rtp.advertise", self.rtp_advertise),
            ("--audiosocket-bind", "audiosocket.bind", self.audiosocket_bind),
            ("--api-bind", "api.bind", self.api_bind),
            ("--log-level", "log.level", self.log_level),
            ("--pipeline", "pipelines.default", self.pipeline),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, key, value)| value.map(|value| Override { flag, key, value }))
            .collect();
        (self.config, self.ready_file, flags)
    }
}

fn serve(config: &Config, ready_file: Option<PathBuf>) -> Result<(), ServeError> {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .on_thread_start(stand_back)
        .enable_all()
        .build()
        .map_err(ServeError::Threads)?;
    let result = threads.block_on(until_signal(config, ready_file));
    // Nothing that matters is left, and a second signal waits for nothing.
    threads.shutdown_background();
    result
}

async fn until_signal(config: &Config, ready_file: Option<PathBuf>) -> Result<(), ServeError> {
    // Before the server, so that no signal finds it half started and nobody listening.
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    if let Some(path) = &ready_file {
        ReadyFile::clear(path)
            .map_err(|source| ServeError::Ready { path: path.clone(), source })?;
    }
    let server = Server::start(config, |_| {}).await?;
    let ready = match ready_file.map(|path| (ReadyFile::write(&path, &server), path)) {
        None => None,
        Some((Ok(ready), _)) => Some(ready),
        Some((Err(source), path)) => {
            server.stop().await;
            return Err(ServeError::Ready { path, source });
        }
    };
    info!(
        version = env!("CARGO_PKG_VERSION"),
        rtp = ?server.rtp_addresses(),
        audiosocket = server.audiosocket_address().map(display),
        api = server.api_address().map(display),
        asterisk = config.asterisk.len(),
        pipeline = config.pipelines.default,
        "serving"
    );
    let signal = signals.next().await;
    info!(signal, "asked to stop");
    drop(ready);
    tokio::select! {
        () = server.stop() => Ok(()),
        second = signals.next() => Err(ServeError::Interrupted(second)),
    }
}

/// The signals that ask for the end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one, and answers its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
