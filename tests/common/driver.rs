//! Drives an engine in virtual time, as a shard does in real time, and keeps what it does.
//!
//! Moments are durations since the call's start. Nothing here waits or reads a clock, but for one
//! arbitrary moment to count from.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

#[path = "collector.rs"]
mod collector;
#[path = "sender.rs"]
mod sender;
#[path = "speech.rs"]
pub(crate) mod speech;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::{CallId, CallInfo, Caller, EndReason, Transport};
use sidetone::engine::{Command, Engine, Epoch, Input, Output, Workbench};
use sidetone::event::{Event, EventKind};
use sidetone::media::{CallStats, MediaSettings, PacketizerSeed};
use sidetone::processor::{Pipeline, ProcessorFactory, Registry};
use sidetone::runtime::Clock;
use sidetone::wire::{RtpPacket, RtpTs, Seq, Ssrc};
use uuid::Uuid;

use collector::CollectorFactory;
#[allow(unused_imports, reason = "every test binary uses its own part")]
pub(crate) use collector::{Kept, Moment, Script, Seen, Track, idle};
#[allow(unused_imports, reason = "every test binary uses its own part")]
pub(crate) use sender::{Sender, noise, sample};

/// Longest AudioSocket frame, as the configuration has it.
pub(crate) const MAX_FRAME_BYTES: usize = 8192;
/// Where our own RTP stream begins: both numbers wrap within a few packets.
pub(crate) const SEED: PacketizerSeed =
    PacketizerSeed { ssrc: Ssrc(0xcafe), seq: Seq(65_533), timestamp: RtpTs(u32::MAX - 500) };

/// How much of a frame's beginning is joined to what was made up before it.
#[allow(dead_code, reason = "every test binary uses its own part")]
pub(crate) const JOIN: Duration = ms(4);

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Where the call's packets come from.
pub(crate) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4000))
}

/// A pipeline of these.
pub(crate) fn pipeline(factories: Vec<Arc<dyn ProcessorFactory>>) -> Pipeline {
    let mut registry = Registry::default();
    let names: Vec<_> = (0..factories.len()).map(|n| n.to_string()).collect();
    for (name, factory) in names.iter().zip(factories) {
        registry.add_processor(name, factory);
    }
    registry.add_pipeline("test", &names).expect("the processors are there");
    registry.pipeline("test").expect("the pipeline is there")
}

/// A call that nobody makes.
pub(crate) fn call(transport: Transport, format: Option<MediaFormat>) -> CallInfo {
    CallInfo {
        id: CallId::new(Uuid::from_u128(7)),
        transport,
        format,
        pipeline: "test".into(),
        parameters: BTreeMap::new(),
        caller: None,
        stream_uuid: None,
    }
}

/// When all calls here begin.
pub(crate) fn epoch() -> Epoch {
    Epoch { instant: Clock::new().now(), wall: Duration::from_secs(1_000) }
}

/// One thing that an engine did.
#[derive(Debug)]
pub(crate) enum Done {
    Sent(Vec<u8>),
    Told(Event),
    Ended,
}

/// An engine in virtual time.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    workbench: Workbench,
    seen: Arc<Mutex<Seen>>,
    epoch: Epoch,
    now: Duration,
    wake: Option<Duration>,
    pub(crate) done: Vec<(Duration, Done)>,
    pub(crate) keeps_sent: bool,
    pub(crate) wakes: u64,
}

impl Rig {
    /// A call over RTP whose peer is known from the start.
    pub(crate) fn rtp(format: MediaFormat) -> Self {
        Self::rtp_with(format, MediaSettings::default(), idle())
    }

    /// The same with these settings and this script.
    pub(crate) fn rtp_with(format: MediaFormat, settings: MediaSettings, script: Script) -> Self {
        let mut rig = Self::rtp_without_peer(format, settings, script, true);
        rig.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
        rig
    }

    /// The same, of a caller whose channel Asterisk's ARI controls for us.
    pub(crate) fn rtp_controlled(format: MediaFormat, script: Script) -> Self {
        let mut rig = Self::new(script, true, |epoch, pipeline| {
            let caller = Some(Caller::default());
            let info = CallInfo { caller, ..call(Transport::Rtp, Some(format)) };
            Engine::rtp(epoch, info, pipeline, MediaSettings::default(), SEED)
        });
        rig.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
        rig
    }

    /// A call over RTP whose peer is not known yet.
    pub(crate) fn rtp_without_peer(
        format: MediaFormat,
        settings: MediaSettings,
        script: Script,
        keeps_frames: bool,
    ) -> Self {
        Self::new(script, keeps_frames, |epoch, pipeline| {
            let info = call(Transport::Rtp, Some(format));
            Engine::rtp(epoch, info, pipeline, settings, SEED)
        })
    }

    /// A call over AudioSocket.
    pub(crate) fn audiosocket(rate: Option<SampleRate>) -> Self {
        Self::audiosocket_with(rate, MediaSettings::default(), idle())
    }

    /// The same with these settings and this script.
    pub(crate) fn audiosocket_with(
        rate: Option<SampleRate>,
        settings: MediaSettings,
        script: Script,
    ) -> Self {
        Self::audiosocket_that_keeps(true, rate, settings, script)
    }

    /// The same where it is chosen whether what the chain sees is kept.
    pub(crate) fn audiosocket_that_keeps(
        keeps_frames: bool,
        rate: Option<SampleRate>,
        settings: MediaSettings,
        script: Script,
    ) -> Self {
        Self::new(script, keeps_frames, |epoch, pipeline| {
            let info = call(Transport::AudioSocket, rate.map(MediaFormat::Slin));
            Engine::audiosocket(epoch, info, pipeline, settings, MAX_FRAME_BYTES)
        })
    }

    /// A call over RTP through processors of the test's own, whose peer is known from the start.
    pub(crate) fn rtp_through(
        format: MediaFormat,
        settings: MediaSettings,
        processors: Vec<Arc<dyn ProcessorFactory>>,
    ) -> Self {
        let mut rig = Self::through(Arc::default(), processors, |epoch, pipeline| {
            let info = call(Transport::Rtp, Some(format));
            Engine::rtp(epoch, info, pipeline, settings, SEED)
        });
        rig.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
        rig
    }

    fn new(
        script: Script,
        keeps_frames: bool,
        make: impl FnOnce(Epoch, Pipeline) -> Engine,
    ) -> Self {
        let seen = Arc::default();
        let collector = CollectorFactory::new(Arc::clone(&seen), script, keeps_frames);
        Self::through(seen, vec![Arc::new(collector)], make)
    }

    fn through(
        seen: Arc<Mutex<Seen>>,
        processors: Vec<Arc<dyn ProcessorFactory>>,
        make: impl FnOnce(Epoch, Pipeline) -> Engine,
    ) -> Self {
        let epoch = epoch();
        let engine = make(epoch, pipeline(processors));
        let mut rig = Self {
            engine,
            workbench: Workbench::default(),
            seen,
            epoch,
            now: Duration::ZERO,
            wake: None,
            done: Vec::new(),
            keeps_sent: true,
            wakes: 0,
        };
        rig.give(Duration::ZERO, Input::Timeout);
        rig
    }

    /// Wakes the engine whenever it asks up to `at`, then gives it the input.
    pub(crate) fn input(&mut self, at: Duration, input: Input<'_>) {
        self.run_until(at);
        self.give(at, input);
    }

    /// A datagram from the call's peer.
    pub(crate) fn datagram(&mut self, at: Duration, bytes: &[u8]) {
        self.input(at, Input::Datagram { from: peer(), bytes });
    }

    /// Bytes of the call's stream.
    pub(crate) fn stream(&mut self, at: Duration, bytes: &[u8]) {
        self.input(at, Input::Stream(bytes));
    }

    /// The end of the call, asked for by us.
    pub(crate) fn end(&mut self, at: Duration, reason: EndReason) {
        self.input(at, Input::Command(Command::End(reason)));
    }

    /// Asks for frames at `moment` and whole packet times before and after it.
    pub(crate) fn set_ticks(&mut self, at: Duration, moment: Duration) {
        self.run_until(at);
        let start = self.epoch.instant;
        self.engine.set_ticks(start + at, start + moment);
        self.give(at, Input::Timeout);
    }

    /// Wakes the engine exactly when it asks, up to `at` and then included.
    pub(crate) fn run_until(&mut self, at: Duration) {
        while let Some(wake) = self.wake.filter(|wake| *wake <= at) {
            assert!(wake >= self.now, "it asked at {:?} to be woken at {wake:?}", self.now);
            self.wakes += 1;
            self.give(wake, Input::Timeout);
            assert!(self.wake.is_none_or(|next| next > wake), "woken at {wake:?} for nothing");
        }
    }

    /// Gives the engine an input at a time of the test's own, whatever it asked for before.
    pub(crate) fn give(&mut self, at: Duration, input: Input<'_>) {
        self.now = self.now.max(at);
        self.engine.handle_input(self.epoch.instant + at, input);
        let drained_at = self.now;
        loop {
            match self.engine.poll_output(&mut self.workbench) {
                Output::Transmit(bytes) => {
                    if self.keeps_sent {
                        self.done.push((drained_at, Done::Sent(bytes.to_vec())));
                    }
                }
                Output::Event(event) => self.done.push((drained_at, Done::Told(event))),
                Output::Wait(wake) => {
                    self.wake = wake.map(|at| at.saturating_duration_since(self.epoch.instant));
                    return;
                }
                Output::Ended => {
                    if !matches!(self.done.last(), Some((_, Done::Ended))) {
                        self.done.push((drained_at, Done::Ended));
                    }
                    self.wake = None;
                    return;
                }
            }
        }
    }

    /// When the engine wants to be woken.
    pub(crate) fn wake(&self) -> Option<Duration> {
        self.wake
    }

    /// What the chain has seen.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no script panicked")
    }

    pub(crate) fn stats(&self) -> CallStats {
        self.engine.stats()
    }

    /// What was sent, and when.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (Duration, &[u8])> {
        self.done.iter().filter_map(|(at, done)| match done {
            Done::Sent(bytes) => Some((*at, &bytes[..])),
            _ => None,
        })
    }

    /// What was sent, as RTP.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (Duration, RtpPacket<'_>)> {
        self.sent().map(|(at, bytes)| (at, RtpPacket::parse(bytes).expect("we send RTP")))
    }

    /// Events told to the outside, and when.
    pub(crate) fn events(&self) -> impl Iterator<Item = (Duration, &EventKind)> {
        self.done.iter().filter_map(|(at, done)| match done {
            Done::Told(event) => Some((*at, &event.kind)),
            _ => None,
        })
    }

    /// How many events told to the outside are so.
    pub(crate) fn count(&self, is: impl Fn(&EventKind) -> bool) -> usize {
        self.events().filter(|(_, kind)| is(kind)).count()
    }

    /// Why the call ended, after a check that it ended once, properly, and for good.
    pub(crate) fn ended(&self) -> EndReason {
        let mut reasons = self.done.iter().filter_map(|(_, done)| match done {
            Done::Told(Event { kind: EventKind::CallEnded { reason, .. }, .. }) => Some(*reason),
            _ => None,
        });
        let reason = reasons.next().expect("the call ended");
        assert_eq!(reasons.next(), None, "the call ended twice");
        assert!(matches!(self.done.last(), Some((_, Done::Ended))));
        let seen = self.seen();
        assert!(seen.finished.len() <= 1, "finished {} times", seen.finished.len());
        assert_eq!(seen.after_finish, 0, "the chain was used after its end");
        reason
    }

    /// What was sent after the event of the call's end.
    pub(crate) fn sent_after_end(&self) -> Vec<&[u8]> {
        let end = self.done.iter().position(|(_, done)| {
            matches!(done, Done::Told(Event { kind: EventKind::CallEnded { .. }, .. }))
        });
        let after = &self.done[end.expect("the call ended")..];
        after
            .iter()
            .filter_map(|(_, done)| match done {
                Done::Sent(bytes) => Some(&bytes[..]),
                _ => None,
            })
            .collect()
    }
}

/// Checks that frames heard live never go back or overlap.
pub(crate) fn assert_in_order(seen: &Seen) {
    let mut end = 0;
    for kept in seen.of(Track::Uplink) {
        assert!(kept.position >= end, "{} lies before {end}", kept.position);
        end = kept.end();
    }
}
