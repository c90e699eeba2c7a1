//! Drives an engine in virtual time, as a shard does in real time, and keeps what it does.
//!
//! Moments are durations since the call's start. Nothing here waits or reads a clock, but for one
//! arbitrary moment to count from.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, Origin, Position, SampleRate};
use sidetone::call::{CallId, CallInfo, EndReason, Transport};
use sidetone::dsp::{g711, l16};
use sidetone::engine::{Command, Engine, Epoch, Input, Output};
use sidetone::event::{Event, EventKind};
use sidetone::media::{CallStats, MediaSettings, PacketizerSeed};
use sidetone::processor::{
    Context, End, Pipeline, Processor, ProcessorFactory, Registry,
};
use sidetone::runtime::Clock;
use sidetone::wire::rtp::{self, RtpHeader};
use sidetone::wire::{PayloadType, RtpPacket, RtpTs, Seq, Ssrc};
use uuid::Uuid;

/// Longest AudioSocket frame, as the configuration has it.
pub(crate) const MAX_FRAME_BYTES: usize = 8192;
/// Where our own RTP stream begins: both numbers wrap within a few packets.
pub(crate) const SEED: PacketizerSeed =
    PacketizerSeed { ssrc: Ssrc(0xcafe), seq: Seq(65_533), timestamp: RtpTs(u32::MAX - 500) };

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Where the call's packets come from.
pub(crate) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4000))
}

/// Which way a frame went through the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Track {
    Uplink,
    Late,
    Downlink,
}

/// A frame that came through the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) track: Track,
    pub(crate) position: u64,
    pub(crate) origin: Origin,
    /// Media time at which it came.
    pub(crate) now: u64,
    pub(crate) samples: Vec<i16>,
}

impl Kept {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.samples.len() as u64
    }
}

/// What a chain has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) frames: Vec<Kept>,
    pub(crate) events: Vec<EventKind>,
    /// How often the call was finished, and what of the call was known then.
    pub(crate) finished: Vec<(Duration, CallStats)>,
    /// Frames or events after the call was finished.
    pub(crate) after_finish: u32,
}

impl Seen {
    pub(crate) fn of(&self, track: Track) -> impl Iterator<Item = &Kept> {
        self.frames.iter().filter(move |kept| kept.track == track)
    }
}

/// What a script reacts to.
pub(crate) enum Moment<'a, 'f> {
    Uplink(&'a AudioFrame<'f>),
    Late(&'a AudioFrame<'f>),
    Downlink(&'a AudioFrame<'f>),
    Event(&'a EventKind),
}

/// What a processor does beside collecting.
pub(crate) type Script = Box<dyn FnMut(Moment<'_, '_>, &mut Context<'_>) + Send>;

/// A script that does nothing.
pub(crate) fn idle() -> Script {
    Box::new(|_, _| {})
}

struct Collector {
    seen: Arc<Mutex<Seen>>,
    script: Script,
    keeps_frames: bool,
}

impl Collector {
    fn keep(&mut self, track: Track, frame: &AudioFrame<'_>, cx: &Context<'_>) {
        assert!(!frame.samples.is_empty(), "a frame is never empty");
        let mut seen = self.seen.lock().unwrap();
        seen.after_finish += u32::from(!seen.finished.is_empty());
        if self.keeps_frames {
            seen.frames.push(Kept {
                track,
                position: frame.position.0,
                origin: frame.origin,
                now: cx.now().0,
                samples: frame.samples.to_vec(),
            });
        }
    }
}

impl Processor for Collector {
    fn uplink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.keep(Track::Uplink, frame, cx);
        (self.script)(Moment::Uplink(frame), cx);
    }

    fn late(&mut self, frame: &AudioFrame<'_>, cx: &mut Context<'_>) {
        self.keep(Track::Late, frame, cx);
        (self.script)(Moment::Late(frame), cx);
    }

    fn downlink(&mut self, frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.keep(Track::Downlink, frame, cx);
        (self.script)(Moment::Downlink(frame), cx);
    }

    fn event(&mut self, event: &EventKind, cx: &mut Context<'_>) {
        {
            let mut seen = self.seen.lock().unwrap();
            seen.after_finish += u32::from(!seen.finished.is_empty());
            seen.events.push(event.clone());
        }
        (self.script)(Moment::Event(event), cx);
    }

    fn finish(&mut self, _call: &CallInfo, end: &End<'_>) {
        self.seen.lock().unwrap().finished.push((end.duration, *end.stats));
    }
}

struct CollectorFactory {
    seen: Arc<Mutex<Seen>>,
    script: Mutex<Option<Script>>,
    keeps_frames: bool,
}

impl ProcessorFactory for CollectorFactory {
    fn create(&self, _call: &CallInfo, _rate: SampleRate) -> Box<dyn Processor> {
        let script = self.script.lock().unwrap().take().expect("a chain is built once per call");
        Box::new(Collector {
            seen: Arc::clone(&self.seen),
            script,
            keeps_frames: self.keeps_frames,
        })
    }
}

/// A pipeline of one factory.
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
        Self::new(script, true, |epoch, pipeline| {
            let info = call(Transport::AudioSocket, rate.map(MediaFormat::Slin));
            Engine::audiosocket(epoch, info, pipeline, settings, MAX_FRAME_BYTES)
        })
    }

    fn new(
        script: Script,
        keeps_frames: bool,
        make: impl FnOnce(Epoch, Pipeline) -> Engine,
    ) -> Self {
        let (seen, epoch) = (Arc::default(), epoch());
        let factory = CollectorFactory {
            seen: Arc::clone(&seen),
            script: Mutex::new(Some(script)),
            keeps_frames,
        };
        let engine = make(epoch, pipeline(vec![Arc::new(factory)]));
        let mut rig = Self {
            engine,
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
            match self.engine.poll_output() {
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
        self.seen.lock().unwrap()
    }

    pub(crate) fn stats(&self) -> CallStats {
        *self.engine.stats()
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

/// The bits that a test stream has at a place, and hardly at any other.
pub(crate) fn noise(place: u64) -> u16 {
    let mixed = (place ^ 0x5bf0_3635).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40 & 0xffff) as u16
}

/// The sample that a test stream of `format` has at `place` once it is decoded.
pub(crate) fn sample(format: MediaFormat, place: u64) -> i16 {
    let code = [(noise(place) & 0xff) as u8];
    let mut sample = [0];
    match format {
        MediaFormat::Ulaw => g711::ulaw_decode(&code, &mut sample),
        MediaFormat::Alaw => g711::alaw_decode(&code, &mut sample),
        MediaFormat::Slin(_) => return noise(place).cast_signed(),
    };
    sample[0]
}

/// A peer that sends RTP. Its samples tell their places in its stream.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) format: MediaFormat,
    pub(crate) ssrc: u32,
    pub(crate) seq: u16,
    pub(crate) ts: u32,
    /// Place in the stream of the next sample.
    pub(crate) place: u64,
    /// Samples of one packet.
    pub(crate) samples: usize,
}

impl Sender {
    /// A sender of packets of 20 ms.
    pub(crate) fn new(format: MediaFormat) -> Self {
        let samples = format.sample_rate().hz() as usize / 50;
        Self { format, ssrc: 0x1234_5678, seq: 100, ts: 5_000, place: 0, samples }
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let places = self.place..self.place + self.samples as u64;
        let payload: Vec<u8> = match self.format {
            MediaFormat::Slin(_) => {
                let samples: Vec<i16> = places.map(|place| sample(self.format, place)).collect();
                let mut payload = vec![0; 2 * samples.len()];
                l16::encode_be(&samples, &mut payload);
                payload
            }
            _ => places.map(|place| (noise(place) & 0xff) as u8).collect(),
        };
        let packet = self.write(self.format.payload_type(), &payload);
        self.seq = self.seq.wrapping_add(1);
        self.pause(self.samples as u64);
        packet
    }

    /// The next packet, of another payload type and beside the audio.
    pub(crate) fn side(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let packet = self.write(payload_type, payload);
        self.seq = self.seq.wrapping_add(1);
        packet
    }

    /// Lets the time of so many samples pass without a packet.
    pub(crate) fn pause(&mut self, samples: u64) {
        self.ts = self.ts.wrapping_add((samples & 0xffff_ffff) as u32);
        self.place += samples;
    }

    fn write(&self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let header = RtpHeader {
            marker: false,
            payload_type: PayloadType::new(payload_type).expect("a payload type has 7 bits"),
            seq: Seq(self.seq),
            timestamp: RtpTs(self.ts),
            ssrc: Ssrc(self.ssrc),
        };
        let mut packet = Vec::new();
        rtp::write(&header, payload, &mut packet);
        packet
    }
}

/// Checks that frames heard live never go back or overlap.
pub(crate) fn assert_in_order(seen: &Seen) {
    let mut end = Position(0);
    for kept in seen.of(Track::Uplink) {
        assert!(kept.position >= end.0, "{} lies before {}", kept.position, end.0);
        end = Position(kept.end());
    }
}
