use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use mio::Token;
use rand::RngExt;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::calls::{Calls, Rest, Slot};
use super::stream::Stream;
use crate::call::{CallInfo, EndReason, Transport};
use crate::engine::{Command, Engine, Epoch, Input};
use crate::media::{PacketizerSeed, Rejected};
use crate::processor::Waker;
use crate::runtime::directory::{CallSpec, EventSink};
use crate::runtime::listeners::Registration;
use crate::runtime::settings::Accept;
use crate::runtime::timers::Key;
use crate::wire::{RtpPacket, RtpTs, Seq, Ssrc};

/// How calls begin.
impl Calls {
    fn epoch(&self, now: Instant) -> Epoch {
        Epoch { instant: now, wall: self.parts.clock.wall() }
    }

    pub(super) fn open_rtp(&mut self, now: Instant, spec: CallSpec) -> usize {
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

    pub(super) fn open_stream(
        &mut self,
        now: Instant,
        spec: CallSpec,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) {
        let registration = self.register(&spec);
        let (epoch, media) = (self.epoch(now), self.parts.media.clone());
        let limit = self.parts.max_frame_bytes;
        let engine = Engine::audiosocket(epoch, spec.info, spec.pipeline, media, limit);
        let key = self.insert(now, engine, spec.events, registration);
        let input = match Stream::open(stream, permit, &self.registry, Token(key.slot)) {
            Ok(stream) => {
                self.slots[key.slot].stream = Some(Box::new(stream));
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

    /// Lets recordings and services of a call tell their events where the call tells its own.
    fn register(&self, spec: &CallSpec) -> Option<Registration> {
        let events = spec.events.clone()?;
        Some(self.parts.recordings.listeners().register(spec.info.id, events))
    }

    fn insert(
        &mut self,
        now: Instant,
        mut engine: Engine,
        events: Option<EventSink>,
        recording_events: Option<Registration>,
    ) -> Key {
        self.serial += 1;
        let phase = self.phases.take();
        engine.set_ticks(now, self.phases.moment(phase));
        engine.set_waker(Waker::new(engine.info().id, Arc::clone(&self.ring)));
        self.totals.started[engine.transport().index()] += 1;
        self.totals.running[engine.transport().index()] += 1;
        let entry = self.slots.vacant_entry();
        let key = Key { slot: entry.key(), serial: self.serial };
        self.by_id.insert(engine.info().id, key.slot);
        entry.insert(Slot {
            key,
            engine,
            settled: false,
            peer: None,
            stream: None,
            rest: Box::new(Rest { began: now, phase, events, _recording_events: recording_events }),
        });
        self.give_turns(key);
        key
    }

    /// Makes a new call for an unknown sender, where the settings allow it.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Result<usize, Rejected> {
        if self.parts.accept == Accept::Registered || self.stopping {
            return Err(Rejected::ForeignSource);
        }
        if self.parts.directory.is_late(self.parts.index) {
            return Err(Rejected::Overflow);
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
        let info = CallInfo::unannounced(
            self.parts.clock.new_call_id(),
            Transport::Rtp,
            Some(format),
            pipeline.name().clone(),
        );
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

    pub(super) fn lock_to(&mut self, slot: usize, peer: SocketAddr) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.peer = Some(peer);
        self.peers.lock(peer, slot);
    }
}
