use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use rand::RngExt;
use slab::Slab;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tracing::{debug, error, info, warn};

use super::stream::Stream;
use super::{ShardCommand, ShardParts};
use crate::call::{CallId, CallInfo, EndReason, Transport};
use crate::engine::{Command, Engine, Epoch, Input, Output};
use crate::event::{CallEvent, Event, EventKind};
use crate::media::{PacketizerSeed, Rejected};
use crate::runtime::directory::{CallSpec, EventSink};
use crate::runtime::metrics::Totals;
use crate::runtime::recording::Registration;
use crate::runtime::settings::Accept;
use crate::runtime::timers::{Key, Timers};
use crate::runtime::udp::{Datagram, SendBatch};
use crate::wire::{RtpPacket, RtpTs, Seq, Ssrc};

/// Bytes of a stream that are read at once: 200 ms of `slin48`.
const STREAM_READ_BYTES: usize = 20_480;

/// The calls of one shard.
pub(super) struct Calls {
    parts: ShardParts,
    slots: Slab<Slot>,
    by_id: HashMap<CallId, usize>,
    by_peer: HashMap<SocketAddr, usize>,
    serial: u64,
    stopping: bool,
    timers: Timers,
    /// When the shard's thread wakes by itself.
    armed: Option<Instant>,
    /// Told when a stream's input makes a wake-up earlier than that necessary.
    sooner: Rc<Notify>,
    sending: SendBatch<Key>,
    stream_buffer: Box<[u8]>,
    unsent: Vec<Key>,
    totals: Totals,
}

struct Slot {
    key: Key,
    began: Instant,
    engine: Engine,
    scheduled: Option<Instant>,
    events: Option<EventSink>,
    peer: Option<SocketAddr>,
    stream: Option<Stream>,
    _recording_events: Option<Registration>,
}

impl Calls {
    pub(super) fn new(parts: ShardParts, sooner: Rc<Notify>) -> Self {
        Self {
            parts,
            slots: Slab::new(),
            by_id: HashMap::new(),
            by_peer: HashMap::new(),
            serial: 0,
            stopping: false,
            timers: Timers::default(),
            armed: None,
            sooner,
            sending: SendBatch::new(),
            stream_buffer: vec![0; STREAM_READ_BYTES].into(),
            unsent: Vec::new(),
            totals: Totals::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the shard must wake: at `latest`, or for the first of its calls.
    pub(super) fn arm(&mut self, latest: Instant) -> Instant {
        let at = self.timers.next().map_or(latest, |next| next.min(latest));
        self.armed = Some(at);
        at
    }

    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        command: ShardCommand,
        this: &Rc<RefCell<Self>>,
    ) {
        match command {
            ShardCommand::OpenRtp(spec) => {
                self.open_rtp(now, spec);
            }
            ShardCommand::OpenStream { spec, stream, permit } => {
                self.open_stream(now, spec, stream, permit, this);
            }
            ShardCommand::Call(call, command) => {
                let Some(&slot) = self.by_id.get(&call) else { return };
                if let Command::SetPeer(peer) = command {
                    self.lock_to(slot, peer);
                }
                self.drive(now, slot, Input::Command(command));
            }
            ShardCommand::Stop => self.stop(now),
        }
    }

    /// Ends every call, and those that come from now on.
    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let slots: Vec<_> = self.slots.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.drive(now, slot, Input::Command(Command::End(EndReason::ShuttingDown)));
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Datagram { from, bytes, truncated, .. } = datagram;
        if truncated {
            return self.totals.stray.count(Rejected::Malformed);
        }
        let slot = match self.by_peer.get(&from).copied() {
            Some(slot) => slot,
            None => match self.admit(now, from, bytes) {
                Ok(slot) => slot,
                Err(reason) => return self.totals.stray.count(reason),
            },
        };
        self.drive(now, slot, Input::Datagram { from, bytes });
    }

    /// Hands a piece of a connection's stream to its call; nothing where the call is gone.
    pub(super) fn handle_stream(&mut self, now: Instant, key: Key, input: Input<'_>) {
        if self.slots.get(key.slot).is_some_and(|slot| slot.key == key) {
            self.drive(now, key.slot, input);
            let next = self.timers.next();
            if next.is_some() && next < self.armed {
                self.sooner.notify_one();
            }
        }
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.pop_due(now) {
            let Some(slot) = self.slots.get_mut(key.slot).filter(|slot| slot.key == key) else {
                continue;
            };
            if slot.scheduled == Some(at) {
                slot.scheduled = None;
            }
            self.drive(now, key.slot, Input::Timeout);
        }
    }

    /// Sends all datagrams that wait.
    pub(super) fn flush(&mut self) {
        self.sending.send(self.parts.socket.as_fd(), |key| self.unsent.push(key));
        while let Some(key) = self.unsent.pop() {
            if let Some(slot) = self.slots.get_mut(key.slot).filter(|slot| slot.key == key) {
                slot.engine.handle_input(self.parts.clock.now(), Input::TransmitFailed);
            }
        }
    }

    /// The buffer that every stream of this shard is read into; give it back.
    pub(super) fn take_stream_buffer(&mut self) -> Box<[u8]> {
        std::mem::take(&mut self.stream_buffer)
    }

    /// Takes the buffer back for the next read.
    pub(super) fn give_stream_buffer(&mut self, buffer: Box<[u8]>) {
        self.stream_buffer = buffer;
    }

    pub(super) fn publish(&self) {
        let mut totals = self.totals;
        for (_, slot) in &self.slots {
            totals.running[Totals::index(slot.engine.transport())] += 1;
            totals.media += slot.engine.counters();
        }
        self.parts.metrics.shard(self.parts.index).publish(totals);
    }

    fn epoch(&self, now: Instant) -> Epoch {
        Epoch { instant: now, wall: self.parts.clock.wall() }
    }

    fn open_rtp(&mut self, now: Instant, spec: CallSpec) -> usize {
        // Random, as RFC 3550 section 5.1 wants it.
        let mut random = rand::rng();
        let seed = PacketizerSeed {
            ssrc: Ssrc(random.random()),
            seq: Seq(random.random()),
            timestamp: RtpTs(random.random()),
        };
        let registration = self.register(&spec);
        let (epoch, media) = (self.epoch(now), self.parts.media.clone());
        let engine = Engine::rtp(epoch, spec.info, spec.pipeline, media, seed);
        let key = self.insert(now, engine, spec.events, registration);
        self.begin(now, key, Input::Timeout);
        key.slot
    }

    fn open_stream(
        &mut self,
        now: Instant,
        spec: CallSpec,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        this: &Rc<RefCell<Self>>,
    ) {
        let registration = self.register(&spec);
        let (epoch, media) = (self.epoch(now), self.parts.media.clone());
        let limit = self.parts.max_frame_bytes;
        let engine = Engine::audiosocket(epoch, spec.info, spec.pipeline, media, limit);
        let key = self.insert(now, engine, spec.events, registration);
        let input = match Stream::open(stream, permit, key, self.parts.clock, Rc::clone(this)) {
            Ok(stream) => {
                self.slots[key.slot].stream = Some(stream);
                Input::Timeout
            }
            Err(error) => {
                debug!(%error, "an AudioSocket connection failed at once");
                Input::StreamClosed
            }
        };
        self.begin(now, key, input);
    }

    /// Drives a new call for the first time, and ends it where that was asked for meanwhile.
    fn begin(&mut self, now: Instant, key: Key, input: Input<'_>) {
        let Some(slot) = self.slots.get(key.slot) else { return };
        let stopping = self.stopping.then_some(EndReason::ShuttingDown);
        let ending = self.parts.directory.ending(slot.engine.info().id).or(stopping);
        self.drive(now, key.slot, input);
        if let Some(reason) = ending
            && self.slots.get(key.slot).is_some_and(|slot| slot.key == key)
        {
            self.drive(now, key.slot, Input::Command(Command::End(reason)));
        }
    }

    /// Lets recordings of a call tell their events where the call tells its own.
    fn register(&self, spec: &CallSpec) -> Option<Registration> {
        let events = spec.events.clone()?;
        Some(self.parts.recordings.register(spec.info.id, events))
    }

    fn insert(
        &mut self,
        now: Instant,
        engine: Engine,
        events: Option<EventSink>,
        recording_events: Option<Registration>,
    ) -> Key {
        self.serial += 1;
        self.totals.started[Totals::index(engine.transport())] += 1;
        let entry = self.slots.vacant_entry();
        let key = Key { slot: entry.key(), serial: self.serial };
        self.by_id.insert(engine.info().id, key.slot);
        entry.insert(Slot {
            key,
            began: now,
            engine,
            scheduled: None,
            events,
            peer: None,
            stream: None,
            _recording_events: recording_events,
        });
        key
    }

    /// Makes a new call for an unknown sender, where the settings allow it.
    fn admit(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Result<usize, Rejected> {
        if self.parts.accept == Accept::Registered || self.stopping {
            return Err(Rejected::ForeignSource);
        }
        let packet = RtpPacket::parse(bytes).map_err(|_| Rejected::Malformed)?;
        let payload_type = packet.payload_type().value();
        let format = Transport::Rtp
            .formats()
            .iter()
            .copied()
            .find(|format| format.accepts_payload_type(payload_type))
            .ok_or(Rejected::PayloadType)?;
        let pipeline = self.parts.default_pipeline.clone();
        let info = CallInfo {
            id: self.parts.clock.new_call_id(),
            transport: Transport::Rtp,
            format: Some(format),
            pipeline: pipeline.name().clone(),
            parameters: std::collections::BTreeMap::new(),
            caller: None,
            stream_uuid: None,
        };
        let started = self.parts.clock.wall();
        let limit = self.parts.max_rtp_calls;
        if !self.parts.directory.insert(&info, self.parts.index, started, limit) {
            return Err(Rejected::Overflow);
        }
        let slot = self.open_rtp(now, CallSpec { info, pipeline, events: None });
        self.lock_to(slot, from);
        self.drive(now, slot, Input::Command(Command::SetPeer(from)));
        Ok(slot)
    }

    fn lock_to(&mut self, slot: usize, peer: SocketAddr) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        if let Some(before) = entry.peer.replace(peer)
            && self.by_peer.get(&before) == Some(&slot)
        {
            self.by_peer.remove(&before);
        }
        self.by_peer.insert(peer, slot);
    }

    /// Hands a call one input, does what it answers, and sees to its next wake-up.
    fn drive(&mut self, now: Instant, index: usize, input: Input<'_>) {
        let Self { parts, slots, sending, unsent, timers, totals, .. } = self;
        let Some(slot) = slots.get_mut(index) else { return };
        let Slot { key, engine, events, peer, stream, .. } = slot;
        let mut dropped = 0;
        let turn = catch_unwind(AssertUnwindSafe(|| {
            engine.handle_input(now, input);
            loop {
                let call = engine.info().id;
                match engine.poll_output() {
                    Output::Transmit(frame) => match (stream.as_mut(), *peer) {
                        (Some(stream), _) => dropped += u32::from(!stream.write(frame)),
                        (None, Some(peer)) => {
                            if sending.push(peer, frame, *key) {
                                sending.send(parts.socket.as_fd(), |key| unsent.push(key));
                            }
                        }
                        (None, None) => dropped += 1,
                    },
                    Output::Event(event) => {
                        if matches!(event.kind, EventKind::MediaReady { .. }) {
                            totals.ready[Totals::index(engine.transport())] += 1;
                        }
                        tell(call, event, events.as_ref());
                    }
                    Output::Wait(at) => return Some(at),
                    Output::Ended => return None,
                }
            }
        }));
        match turn {
            Ok(Some(wake)) => {
                for _ in 0..dropped {
                    engine.handle_input(now, Input::TransmitFailed);
                }
                if let Some(at) = wake
                    && slot.scheduled.is_none_or(|scheduled| at < scheduled)
                {
                    slot.scheduled = Some(at);
                    timers.schedule(at, slot.key);
                }
            }
            Ok(None) => self.remove(index),
            Err(_) => self.give_up(now, index),
        }
    }

    /// Ends a call whose engine panicked; the panic's message is in the log already.
    fn give_up(&mut self, now: Instant, index: usize) {
        let slot = &self.slots[index];
        let id = slot.engine.info().id;
        error!(call.id = %id, "a call's engine panicked; the call is given up");
        self.totals.panicked += 1;
        let event = Event {
            media_time: now.saturating_duration_since(slot.began),
            wall_time: self.parts.clock.wall(),
            kind: EventKind::CallEnded {
                reason: EndReason::Panicked,
                stats: Box::new(slot.engine.stats()),
            },
        };
        tell(id, event, slot.events.as_ref());
        self.remove(index);
    }

    fn remove(&mut self, index: usize) {
        let slot = self.slots.remove(index);
        let id = slot.engine.info().id;
        let stats = slot.engine.stats();
        self.totals.media += &stats;
        if stats.packets_received > 0 {
            self.parts.metrics.observe(&stats.reception);
        }
        self.by_id.remove(&id);
        if let Some(peer) = slot.peer
            && self.by_peer.get(&peer) == Some(&index)
        {
            self.by_peer.remove(&peer);
        }
        self.parts.directory.remove(id);
        // Processors of a call that panicked may do so again while they are dropped.
        if catch_unwind(AssertUnwindSafe(|| drop(slot))).is_err() {
            error!(call.id = %id, "a processor panicked while it was dropped");
        }
    }
}

/// Logs an event and sends it to the call's owner.
fn tell(call: CallId, event: Event, events: Option<&EventSink>) {
    match &event.kind {
        EventKind::CallStarted { transport } => info!(call.id = %call, %transport, "call started"),
        EventKind::CallEnded { reason, stats } => info!(
            call.id = %call,
            %reason,
            received = stats.packets_received,
            lost = stats.packets_lost,
            sent = stats.packets_sent,
            rejected = stats.rejected.total(),
            jitter_ms = stats.reception.jitter_ms,
            mos = stats.reception.mos_cqe,
            "call ended"
        ),
        EventKind::FormatMismatch { expected, actual } => warn!(
            call.id = %call,
            %expected,
            actual,
            "the peer sends another format than the one asked for"
        ),
        EventKind::NoMedia { silent_ms } => {
            info!(call.id = %call, silent_ms, "nothing comes from the peer");
        }
        kind => debug!(call.id = %call, ?kind, "event"),
    }
    if let Some(events) = events {
        // Whoever opened the call may have lost interest.
        let _ = events.send(CallEvent { call, event });
    }
}
