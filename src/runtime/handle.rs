use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use super::clock::Clock;
use super::directory::{CallSpec, CallSummary, Directory};
use super::metrics::Metrics;
use super::shard::{ShardCommand, ShardCommands};
use crate::audio::MediaFormat;
use crate::call::{CallId, EndReason, Transport};
use crate::engine::Command;
use crate::event::{CallEvent, Event, EventKind};
use crate::media::{CallStats, Digit};

/// Why a call was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// As many calls as the settings allow are there.
    #[error("{limit} {transport} calls, as many as allowed, are there already")]
    Full {
        /// How the call's audio would have travelled.
        transport: Transport,
        /// The limit.
        limit: usize,
    },
    /// The transport does not carry the format.
    #[error("{transport} does not carry {}", format.map_or("a call without a format", MediaFormat::asterisk_name))]
    Format {
        /// The transport.
        transport: Transport,
        /// The format asked for.
        format: Option<MediaFormat>,
    },
    /// The transport is switched off.
    #[error("{transport} is switched off")]
    Disabled {
        /// The transport.
        transport: Transport,
    },
    /// The shards send their frames too late already.
    #[error("the calls that are there keep this machine busy: frames are sent too late")]
    Overloaded,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The media side, as the control side sees it. Cheap to clone; nothing here blocks.
#[derive(Clone, Debug)]
pub struct MediaHandle(Arc<Shared>);

/// What all parts of the media side share; the media path itself does not touch it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) directory: Arc<Directory>,
    pub(super) shards: Vec<ShardLink>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) max_rtp_calls: usize,
    /// What Asterisk is told to connect to; `None`: there is no listener.
    pub(super) audiosocket: Option<String>,
    pub(super) stopping: AtomicBool,
    pub(super) stop_accepting: Notify,
}

/// The way to one shard.
#[derive(Debug)]
pub(super) struct ShardLink {
    pub(super) commands: Arc<ShardCommands>,
    /// `host:port` that Asterisk is told to send to.
    pub(super) advertised: String,
}

impl MediaHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// A name for a new call.
    #[must_use]
    pub fn new_call_id(&self) -> CallId {
        self.0.clock.new_call_id()
    }

    /// Opens a call over RTP on the shard with the fewest calls, and answers the `host:port` that
    /// Asterisk shall send to. Nothing is received before [`Self::set_peer`].
    ///
    /// # Errors
    /// [`OpenError`] where it cannot be; then no event comes.
    pub fn open_rtp(&self, spec: CallSpec) -> Result<String, OpenError> {
        self.check(&spec, Transport::Rtp)?;
        if spec.info.format.is_none() {
            return Err(OpenError::Format { transport: Transport::Rtp, format: None });
        }
        let Shared { clock, directory, shards, max_rtp_calls: limit, .. } = &*self.0;
        let shard = directory.least_loaded().ok_or(OpenError::Overloaded)?;
        if !directory.insert(&spec.info, shard, clock.wall(), *limit) {
            return Err(OpenError::Full { transport: Transport::Rtp, limit: *limit });
        }
        self.send(shard, ShardCommand::OpenRtp(spec));
        Ok(shards[shard].advertised.clone())
    }

    /// Locks a call to the address that Asterisk sends from and listens at. Frames go out at once.
    pub fn set_peer(&self, call: CallId, peer: SocketAddr) {
        if let Some(shard) = self.0.directory.shard_of(call) {
            self.send(shard, ShardCommand::Call(call, Command::SetPeer(peer)));
        }
    }

    /// Tells a call of a digit that did not come with its audio. A call that is not there hears of
    /// none.
    pub fn digit(&self, call: CallId, digit: Digit) {
        if let Some(shard) = self.0.directory.shard_of(call) {
            self.send(shard, ShardCommand::Call(call, Command::Digit(digit)));
        }
    }

    /// Announces a call over AudioSocket, and answers the `host:port` that Asterisk shall connect
    /// to. The call begins when a connection comes with the call's id as its UUID.
    ///
    /// # Errors
    /// [`OpenError`] where it cannot be; then no event comes.
    pub fn expect_audiosocket(&self, spec: CallSpec) -> Result<String, OpenError> {
        self.check(&spec, Transport::AudioSocket)?;
        let address = self.0.audiosocket.clone();
        let address = address.ok_or(OpenError::Disabled { transport: Transport::AudioSocket })?;
        self.0.directory.least_loaded().ok_or(OpenError::Overloaded)?;
        self.0.directory.expect(spec);
        Ok(address)
    }

    /// Ends a call, or withdraws its announcement. [`EventKind::CallEnded`] follows, once; a call
    /// that is not there is no error.
    pub fn end(&self, call: CallId, reason: EndReason) {
        match self.0.directory.take_expected(call.uuid()) {
            Some(spec) => self.withdraw(&spec, reason),
            None => self.end_running(call, reason),
        }
    }

    /// Every call, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<CallSummary> {
        self.0.directory.calls()
    }

    /// How many calls there are.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.0.directory.count()
    }

    /// Whether the call is there.
    #[must_use]
    pub fn has_call(&self, call: CallId) -> bool {
        self.0.directory.shard_of(call).is_some()
    }

    /// Refuses new calls from now on.
    pub fn stop_accepting(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.stop_accepting.notify_waiters();
    }

    /// Ends every call.
    pub fn end_all(&self, reason: EndReason) {
        for spec in self.0.directory.take_all_expected() {
            self.withdraw(&spec, reason);
        }
        for call in self.0.directory.calls() {
            self.end_running(call.id, reason);
        }
    }

    /// What is counted on the media side.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// The clock of the program.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    fn check(&self, spec: &CallSpec, transport: Transport) -> Result<(), OpenError> {
        if self.0.stopping.load(Ordering::Relaxed) {
            return Err(OpenError::Stopping);
        }
        match spec.info.format {
            Some(format) if !transport.carries(format) => {
                Err(OpenError::Format { transport, format: Some(format) })
            }
            _ => Ok(()),
        }
    }

    fn end_running(&self, call: CallId, reason: EndReason) {
        if let Some(shard) = self.0.directory.end(call, reason) {
            self.send(shard, ShardCommand::Call(call, Command::End(reason)));
        }
    }

    fn send(&self, shard: usize, command: ShardCommand) {
        // A shard that is gone has ended its calls.
        self.0.shards[shard].commands.send(command);
    }

    fn withdraw(&self, spec: &CallSpec, reason: EndReason) {
        let Some(events) = &spec.events else { return };
        let event = Event {
            media_time: Duration::ZERO,
            wall_time: self.0.clock.wall(),
            kind: EventKind::CallEnded { reason, stats: Box::new(CallStats::default()) },
        };
        // Whoever announced the call may have lost interest.
        let _ = events.send(CallEvent { call: spec.info.id, event });
    }
}
