//! Threads, sockets, files, and the only clock.
//!
//! [`Runtime`] starts the shards, which carry the calls, and the acceptor of AudioSocket
//! connections. The control side drives it through [`MediaHandle`], by messages: nothing outside
//! of a shard touches the calls on it.

mod acceptor;
pub mod bot;
mod clock;
mod demultiplexer;
mod directory;
mod families;
mod faults;
mod handle;
mod lane;
mod lateness;
mod line_state;
pub mod link;
mod listeners;
mod metrics;
pub mod prompts;
pub mod recording;
mod scheduling;
mod secret;
mod settings;
mod shard;
pub mod stt;
mod throttle;
mod timers;
pub(crate) mod udp;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task;

pub use clock::Clock;
pub use demultiplexer::Demultiplexer;
pub use directory::{CallSpec, CallSummary, EventSink};
pub use faults::Faults;
pub use handle::{MediaHandle, OpenError};
pub use listeners::{Listeners, Registration};
pub use metrics::{MediaCollector, Metrics, Refused};
pub use scheduling::stand_back;
pub use secret::Secret;
pub use settings::{Accept, AudioSocketSettings, RtpSettings, RuntimeSettings};

pub(crate) use self::throttle::Throttle;

use self::acceptor::Acceptor;
use self::directory::Directory;
use self::handle::{ShardLink, Shared};
use self::recording::Recordings;
use self::shard::{ShardCommand, ShardParts};
use crate::call::EndReason;
use crate::media::MediaSettings;
use crate::processor::Pipeline;

/// Why the media side did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error("cannot bind {key} to {address}: {source}")]
    Bind {
        /// The key of the configuration.
        key: &'static str,
        /// The address it has.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a shard: {0}")]
    Thread(#[source] io::Error),
}

/// The media side of the process. Dropping it without [`Runtime::stop`] leaves the shards running
/// until the process ends.
#[derive(Debug)]
pub struct Runtime {
    handle: MediaHandle,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    acceptor: Option<task::JoinHandle<()>>,
    rtp: Vec<SocketAddr>,
    audiosocket: Option<SocketAddr>,
}

impl Runtime {
    /// Binds every socket, then starts the shards and the acceptor.
    ///
    /// Calls that nobody announced get `default_pipeline`, where the settings let them in.
    ///
    /// # Errors
    /// [`StartError`] where a socket or a thread cannot be had; then nothing is left running.
    pub async fn start(
        settings: &RuntimeSettings,
        media: &MediaSettings,
        default_pipeline: Pipeline,
        recordings: Recordings,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let sockets = bind_rtp(settings)?;
        let rtp = sockets
            .iter()
            .map(std::net::UdpSocket::local_addr)
            .collect::<io::Result<Vec<_>>>()
            .map_err(StartError::Thread)?;
        let listener = bind_audiosocket(&settings.audiosocket).await?;
        let audiosocket = listener.as_ref().and_then(|listener| listener.local_addr().ok());

        let directory = Arc::new(Directory::new(sockets.len()));
        let metrics = Arc::new(Metrics::new(sockets.len()));
        let mut threads = Vec::new();
        let mut shards = Vec::new();
        let mut nice = Ok(());
        for (index, socket) in sockets.into_iter().enumerate() {
            let running = shard::spawn(ShardParts {
                index,
                clock,
                nice: settings.shard_nice,
                media: media.clone(),
                accept: settings.rtp.accept,
                max_rtp_calls: settings.rtp.max_calls,
                max_frame_bytes: settings.audiosocket.max_frame_bytes,
                max_lateness: settings.max_lateness,
                default_pipeline: default_pipeline.clone(),
                directory: Arc::clone(&directory),
                metrics: Arc::clone(&metrics),
                recordings: recordings.clone(),
                socket,
            })
            .map_err(StartError::Thread)?;
            let host = settings.rtp.advertise.as_deref();
            shards.push(ShardLink {
                commands: running.commands,
                advertised: host_port(host, rtp[index]),
            });
            threads.push(running.thread);
            nice = nice.and(running.nice);
        }
        scheduling::tell(settings.shard_nice, nice);
        let shared = Arc::new(Shared {
            clock,
            directory,
            shards,
            metrics,
            max_rtp_calls: settings.rtp.max_calls,
            audiosocket: audiosocket
                .map(|bound| host_port(settings.audiosocket.advertise.as_deref(), bound)),
            stopping: AtomicBool::new(false),
            stop_accepting: Notify::new(),
        });
        let acceptor = listener.map(|listener| {
            let acceptor = Acceptor {
                listener,
                settings: settings.audiosocket.clone(),
                default_pipeline,
                shared: Arc::clone(&shared),
            };
            task::spawn(acceptor.run())
        });
        let handle = MediaHandle::new(Arc::clone(&shared));
        Ok(Self { handle, shared, threads, acceptor, rtp, audiosocket })
    }

    /// The way to the calls.
    #[must_use]
    pub fn handle(&self) -> &MediaHandle {
        &self.handle
    }

    /// The RTP ports, one per shard.
    #[must_use]
    pub fn rtp_addresses(&self) -> &[SocketAddr] {
        &self.rtp
    }

    /// Where AudioSocket connections are accepted.
    #[must_use]
    pub fn audiosocket_address(&self) -> Option<SocketAddr> {
        self.audiosocket
    }

    /// Ends every call, and returns when the last one has ended and the threads are gone.
    pub async fn stop(self) {
        self.handle.stop_accepting();
        if let Some(acceptor) = self.acceptor {
            // A listener that panicked has stopped accepting, too.
            let _ = acceptor.await;
        }
        self.handle.end_all(EndReason::ShuttingDown);
        for shard in &self.shared.shards {
            // A shard that is gone has ended its calls.
            let _ = shard.commands.send(ShardCommand::Stop);
        }
        let threads = self.threads;
        let joined = task::spawn_blocking(move || {
            threads.into_iter().filter_map(|thread| thread.join().err()).count()
        });
        if !matches!(joined.await, Ok(0)) {
            tracing::error!("a shard had panicked");
        }
    }
}

fn bind_rtp(settings: &RuntimeSettings) -> Result<Vec<std::net::UdpSocket>, StartError> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let shards = if settings.shards == 0 { cores() } else { settings.shards };
    let rtp = &settings.rtp;
    (0..shards)
        .map(|index| {
            let offset = u16::try_from(index).unwrap_or(u16::MAX);
            let port = if rtp.port == 0 { 0 } else { rtp.port.saturating_add(offset) };
            let bound = udp::bind(rtp.bind, port, rtp.socket_buffer_bytes, rtp.dscp);
            let bound = bound.and_then(|socket| {
                if rtp.bind.is_ipv4() {
                    udp::allow_fragments(&socket, false)?;
                }
                Ok(socket)
            });
            bound.map_err(|source| {
                let address = SocketAddr::new(rtp.bind, port);
                StartError::Bind { key: "rtp.bind", address, source }
            })
        })
        .collect()
}

async fn bind_audiosocket(
    settings: &AudioSocketSettings,
) -> Result<Option<TcpListener>, StartError> {
    if !settings.enabled {
        return Ok(None);
    }
    let address = settings.bind;
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(StartError::Bind { key: "audiosocket.bind", address, source }),
    }
}

/// What Asterisk is told: the advertised host, with the bound port where it names none.
fn host_port(advertised: Option<&str>, bound: SocketAddr) -> String {
    let Some(host) = advertised else { return bound.to_string() };
    if host.parse::<SocketAddr>().is_ok() {
        return host.to_owned();
    }
    match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, bound.port()).to_string(),
        Err(_) if host.contains(':') => host.to_owned(),
        Err(_) => format!("{host}:{}", bound.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asterisk_is_told_has_a_port_always() {
        let bound = SocketAddr::from(([127, 0, 0, 1], 4000));
        for (advertised, told) in [
            (None, "127.0.0.1:4000"),
            (Some("192.0.2.1"), "192.0.2.1:4000"),
            (Some("192.0.2.1:5000"), "192.0.2.1:5000"),
            (Some("2001:db8::1"), "[2001:db8::1]:4000"),
            (Some("media.example"), "media.example:4000"),
            (Some("media.example:5000"), "media.example:5000"),
        ] {
            assert_eq!(host_port(advertised, bound), told);
        }
    }
}
