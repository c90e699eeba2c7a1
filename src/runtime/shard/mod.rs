//! A shard: one thread with its own single-threaded tokio runtime, its own UDP port, its own calls
//! and timers. Nothing on the media path is shared with other shards or locked.

mod calls;
mod stream;

use std::cell::RefCell;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::LocalSet;
use tracing::error;

use self::calls::Calls;
use super::clock::Clock;
use super::directory::{CallSpec, Directory};
use super::metrics::Metrics;
use super::recording::Recordings;
use super::settings::Accept;
use super::udp::ReceiveBatch;
use crate::call::CallId;
use crate::engine::Command;
use crate::media::MediaSettings;
use crate::processor::Pipeline;

/// How often the sums over a shard's calls are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Batches that are read from the port before timers and commands have their turn.
const MAX_BATCHES: usize = 8;

/// What the rest of the process wants of a shard.
#[derive(Debug)]
pub(super) enum ShardCommand {
    /// Serve a call over RTP; the directory has it already.
    OpenRtp(CallSpec),
    /// Serve a connection whose UUID frame has been read; the directory has the call already.
    OpenStream {
        spec: CallSpec,
        stream: TcpStream,
        /// Given back when the call is over.
        permit: OwnedSemaphorePermit,
    },
    /// Hand a command to a call; one that is not there is ignored.
    Call(CallId, Command),
    /// End every call and those that are still to come, then the shard. So it does, too, when
    /// nobody is left to command it.
    Stop,
}

/// What a shard is made of.
pub(super) struct ShardParts {
    pub(super) index: usize,
    pub(super) clock: Clock,
    pub(super) media: MediaSettings,
    pub(super) accept: Accept,
    pub(super) max_rtp_calls: usize,
    pub(super) max_frame_bytes: usize,
    pub(super) default_pipeline: Pipeline,
    pub(super) directory: Arc<Directory>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) recordings: Recordings,
    pub(super) commands: UnboundedReceiver<ShardCommand>,
    pub(super) socket: std::net::UdpSocket,
}

/// Starts a shard's thread.
pub(super) fn spawn(parts: ShardParts) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("shard-{}", parts.index)).spawn(move || {
        let local = LocalSet::new();
        if let Err(error) = local.block_on(&runtime, run(parts)) {
            error!(%error, "a shard failed");
        }
    })
}

async fn run(mut parts: ShardParts) -> io::Result<()> {
    let clock = parts.clock;
    let socket = UdpSocket::from_std(parts.socket.try_clone()?)?;
    let (_, no_commands) = tokio::sync::mpsc::unbounded_channel();
    let mut commands = std::mem::replace(&mut parts.commands, no_commands);
    let sooner = Rc::new(Notify::new());
    let calls = Rc::new(RefCell::new(Calls::new(parts, Rc::clone(&sooner))));
    let mut batch = ReceiveBatch::new();
    let mut publish_at = clock.now() + PUBLISH_EVERY;
    let mut stopping = false;
    let sleep = tokio::time::sleep_until(publish_at.into());
    tokio::pin!(sleep);
    loop {
        let deadline = calls.borrow_mut().arm(publish_at);
        sleep.as_mut().reset(deadline.into());
        // Audio that has arrived comes before the frames that are due: after a stall, those shall
        // find it in their queues.
        let command = tokio::select! {
            biased;
            result = receive(&socket, &mut batch, &clock, &calls) => {
                result?;
                commands.try_recv().ok()
            }
            command = commands.recv(), if !stopping => Some(command.unwrap_or(ShardCommand::Stop)),
            () = sooner.notified() => None,
            () = &mut sleep => commands.try_recv().ok(),
        };
        let now = clock.now();
        if let Some(command) = command {
            stopping |= matches!(command, ShardCommand::Stop);
            calls.borrow_mut().handle_command(now, command, &calls);
        }
        {
            let mut calls = calls.borrow_mut();
            calls.run_timers(now);
            calls.flush();
            if now >= publish_at || stopping {
                publish_at = now + PUBLISH_EVERY;
                calls.publish();
            }
            if stopping && calls.is_empty() {
                return Ok(());
            }
        }
        // A port that is never empty must leave time for the streams.
        tokio::task::yield_now().await;
    }
}

/// Waits for datagrams and hands them to their calls, a bounded number at a time.
///
/// # Cancel safety
/// Nothing is read before it is handed on, so that nothing is lost.
async fn receive(
    socket: &UdpSocket,
    batch: &mut ReceiveBatch,
    clock: &Clock,
    calls: &RefCell<Calls>,
) -> io::Result<()> {
    socket.readable().await?;
    for _ in 0..MAX_BATCHES {
        match socket.try_io(Interest::READABLE, || batch.receive(socket.as_fd())) {
            Ok(more) => {
                let now = clock.now();
                let mut calls = calls.borrow_mut();
                for datagram in batch.iter() {
                    calls.handle_datagram(now, datagram);
                }
                calls.flush();
                if !more {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // Errors of single datagrams sent before (ICMP) come up here; the socket lives on.
            Err(error) => {
                tracing::debug!(%error, "the RTP port reported an error");
                break;
            }
        }
    }
    Ok(())
}
