//! The least that a server can do: what comes is sent back. Beside it one sees what a real server
//! costs, and what the kernel does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::arguments::{BareArgs, Transport};
use super::process::Process;
use super::rtp::DSCP;
use super::rtp_loopback::SOCKET_BUFFER_BYTES;
use super::{affinity, audiosocket_bare};
use crate::cli::open_files;
use crate::runtime::udp;

/// What a bare loop tells when it listens, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Listening {
    pid: u32,
    address: SocketAddr,
}

/// Why there is no bare loop.
#[derive(Debug, Error)]
pub(super) enum BareError {
    #[error("the bare loop cannot be started: {0}")]
    Start(#[source] io::Error),
    #[error("the bare loop cannot be started: it ended before it listened")]
    Ended,
    #[error("the bare loop cannot listen: {0}")]
    Listen(#[source] io::Error),
    #[error("the bare loop failed: {0}")]
    Socket(#[source] io::Error),
    #[error(transparent)]
    Core(#[from] affinity::CoreError),
}

/// A bare loop in a process of its own. Dropping it ends it.
pub(super) struct BareProcess {
    child: Child,
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl BareProcess {
    /// Starts one, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) fn start(transport: Transport, core: Option<usize>) -> Result<Self, BareError> {
        let program = std::env::current_exe().map_err(BareError::Start)?;
        let mut command = Command::new(program);
        command.args(["load", "bare", transport.label()]);
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BareError::Start)?;
        let mut line = String::new();
        let output = child.stdout.take().expect("it was asked for");
        // What cannot be read or understood is as good as nothing.
        let read = BufReader::new(output).read_line(&mut line);
        let listening = read.ok().and_then(|_| serde_json::from_str::<Listening>(&line).ok());
        let Some(Listening { pid, address }) = listening else {
            // It has ended, or is of no use.
            let _ = child.kill();
            let _ = child.wait();
            return Err(BareError::Ended);
        };
        Ok(Self { child, process: Process { pid }, address })
    }
}

impl Drop for BareProcess {
    fn drop(&mut self) {
        // Its standard input closes, which ends it; it has nothing to lose.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs a bare loop in this process until its standard input closes.
pub(super) fn run(arguments: &BareArgs) -> ExitCode {
    match serve(arguments) {
        Ok(never) => never,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &BareArgs) -> Result<ExitCode, BareError> {
    let BareArgs { transport, bind, core, pause } = arguments;
    affinity::pin(*core)?;
    let pause = || wait(*pause);
    match transport {
        Transport::Rtp => {
            let socket = udp::bind(bind.ip(), bind.port(), SOCKET_BUFFER_BYTES, DSCP)
                .and_then(|socket| socket.set_nonblocking(false).map(|()| socket))
                .map_err(BareError::Listen)?;
            if bind.is_ipv4() {
                // As a shard's port.
                udp::allow_fragments(&socket, false).map_err(BareError::Listen)?;
            }
            announce(&socket.local_addr().map_err(BareError::Listen)?)?;
            Err(BareError::Socket(udp::mirror(UdpSocket::as_fd(&socket), pause)))
        }
        Transport::AudioSocket => {
            // Where that is not possible, connections that are too many are not accepted.
            let _ = open_files::raise();
            let mut listener = audiosocket_bare::Loop::bind(*bind).map_err(BareError::Listen)?;
            announce(&listener.address().map_err(BareError::Listen)?)?;
            Err(BareError::Socket(listener.run(pause)))
        }
    }
}

/// Tells that it listens, and ends the process as soon as nobody holds its standard input.
fn announce(address: &SocketAddr) -> Result<(), BareError> {
    let listening = Listening { pid: std::process::id(), address: *address };
    let line =
        serde_json::to_string(&listening).map_err(|error| BareError::Listen(error.into()))?;
    writeln!(io::stdout(), "{line}").map_err(BareError::Listen)?;
    thread::spawn(|| {
        let mut rest = Vec::new();
        // Whether it closes or fails, nobody is there any more.
        let _ = io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a pause is what was asked for")]
fn wait(pause: Duration) {
    if !pause.is_zero() {
        thread::sleep(pause);
    }
}
