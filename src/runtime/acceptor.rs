use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};
use uuid::Uuid;

use super::directory::CallSpec;
use super::handle::Shared;
use super::metrics::Refused;
use super::settings::{Accept, AudioSocketSettings};
use super::shard::ShardCommand;
use crate::call::{CallInfo, Transport};
use crate::processor::Pipeline;
use crate::wire::audiosocket::encode_hangup;
use crate::wire::{AudioSocketFrame, FrameDecoder};

/// Asked of the kernel as a connection's send buffer: a peer that stops reading is noticed after
/// about a second of 8 kHz audio, and has at most that much of it stale in its way.
const SEND_BUFFER_BYTES: usize = 16 * 1024;

/// A pause after an error of `accept`, which mostly means that file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes AudioSocket connections, reads their UUID frame, and hands them to shards.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) settings: AudioSocketSettings,
    pub(super) default_pipeline: Pipeline,
    pub(super) shared: Arc<Shared>,
}

/// What greeting a connection needs, once per connection.
struct Greeter {
    settings: AudioSocketSettings,
    default_pipeline: Pipeline,
    shared: Arc<Shared>,
}

impl Acceptor {
    /// Accepts until the server stops accepting.
    pub(super) async fn run(self) {
        let Self { listener, settings, default_pipeline, shared } = self;
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        let stop = Arc::clone(&shared);
        let mut stop = std::pin::pin!(stop.stop_accepting.notified());
        stop.as_mut().enable();
        let greeter = Arc::new(Greeter { settings, default_pipeline, shared });
        let mut greetings = JoinSet::new();
        while !greeter.shared.stopping.load(Ordering::Relaxed) {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = greetings.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let permit = Arc::clone(&slots).try_acquire_owned().ok();
                    greetings.spawn(Arc::clone(&greeter).greet(stream, peer, permit));
                }
                Err(error) => {
                    warn!(%error, "an AudioSocket connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // No connection becomes a call once this has returned.
        greetings.shutdown().await;
    }
}

impl Greeter {
    async fn greet(
        self: Arc<Self>,
        mut stream: TcpStream,
        peer: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let refused = match permit {
            None => Refused::Full,
            Some(permit) => match self.admit(&mut stream).await {
                Ok((spec, shard)) => return self.hand_over(spec, shard, stream, permit),
                Err(refused) => refused,
            },
        };
        debug!(peer.addr = %peer, reason = refused.label(), "an AudioSocket connection is refused");
        self.shared.metrics.refuse(refused);
        let mut hangup = Vec::new();
        encode_hangup(&mut hangup);
        // The peer may be gone; the connection is closed either way.
        let _ = timeout(self.settings.uuid_timeout, stream.write_all(&hangup)).await;
    }

    /// Reads the UUID frame, and enters the call that it stands for into the directory.
    async fn admit(&self, stream: &mut TcpStream) -> Result<(CallSpec, usize), Refused> {
        let uuid = timeout(self.settings.uuid_timeout, read_uuid(stream))
            .await
            .map_err(|_| Refused::UuidTimeout)?
            .map_err(|_| Refused::NoUuid)?;
        if self.shared.stopping.load(Ordering::Relaxed) {
            return Err(Refused::Stopping);
        }
        let directory = &self.shared.directory;
        let shard = directory.least_loaded().ok_or(Refused::Overloaded)?;
        let started = self.shared.clock.wall();
        let mut spec = match directory.admit_expected(uuid, shard, started) {
            Some(spec) => spec,
            None if self.settings.accept == Accept::Any && !directory.was_withdrawn(uuid) => {
                let spec = self.unannounced();
                // The semaphore has counted this connection.
                directory.insert(&spec.info, shard, started, usize::MAX);
                spec
            }
            None => return Err(Refused::UnknownUuid),
        };
        spec.info.stream_uuid = Some(uuid);
        Ok((spec, shard))
    }

    /// A call from a dialplan. Its UUID is often a constant there, so the call gets an id of ours.
    fn unannounced(&self) -> CallSpec {
        let pipeline = self.default_pipeline.clone();
        let info = CallInfo::unannounced(
            self.shared.clock.new_call_id(),
            Transport::AudioSocket,
            None,
            Arc::clone(pipeline.name()),
        );
        CallSpec { info, pipeline, events: None }
    }

    fn hand_over(
        &self,
        spec: CallSpec,
        shard: usize,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) {
        let id = spec.info.id;
        let prepared = stream.set_nodelay(true).and_then(|()| {
            SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES)?;
            stream.into_std()
        });
        match prepared {
            Ok(stream) => {
                let command = ShardCommand::OpenStream { spec, stream, permit };
                if !self.shared.shards[shard].commands.send(command) {
                    self.shared.directory.remove(id);
                }
            }
            Err(error) => {
                warn!(call.id = %id, %error, "an AudioSocket connection could not be prepared");
                self.shared.directory.remove(id);
            }
        }
    }
}

/// Reads the first frame of a connection, which is the stream's UUID, and not a byte more.
async fn read_uuid(stream: &mut TcpStream) -> io::Result<Uuid> {
    let mut frame = [0; FrameDecoder::MIN_FRAME_BYTES];
    stream.read_exact(&mut frame).await?;
    let mut decoder = FrameDecoder::new(frame.len());
    let taken = decoder.feed(&frame);
    match decoder.next() {
        Ok(Some(AudioSocketFrame::Uuid(uuid))) if taken == frame.len() => Ok(uuid),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
