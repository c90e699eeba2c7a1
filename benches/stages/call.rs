//! A call, driven as a shard drives it, in virtual time.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::Transport;
use sidetone::dsp::opus;
use sidetone::engine::{Command, Engine, Input, Output, Workbench};
use sidetone::media::{MediaSettings, Packetizer};
use sidetone::processor::{EchoFactory, EchoSettings, Pipeline, ProcessorFactory};
use sidetone::wire::audiosocket::encode_audio;

use crate::common::recycling;
use crate::driver::speech::frame_samples;
use crate::driver::{self, MAX_FRAME_BYTES, SEED, ms, peer};

const RATE: SampleRate = SampleRate::HZ_8000;

/// Frames after which nothing allocates any more, and clocks and delays are learnt.
const WARM_UP_FRAMES: u32 = 100;

/// When a packet comes, behind the tick of the playout clock.
const PHASE: Duration = ms(7);

/// What the callers say, over and over: one second.
pub(crate) fn speech() -> Vec<i16> {
    // Behind the pause that the fixture begins with.
    driver::speech::speech(RATE, 2.0).split_off(RATE.hz() as usize)
}

/// The same in µ-law.
pub(crate) fn ulaw_payloads() -> Vec<Vec<u8>> {
    let settings = opus::Settings::default();
    driver::speech::payloads(MediaFormat::Ulaw, RATE, &settings, &speech())
}

/// How the callers' frames come in.
#[derive(Clone)]
pub(crate) enum Frames {
    /// In RTP: the payloads.
    Ulaw(Rc<[Vec<u8>]>),
    /// In AudioSocket: the frames as they are on the wire.
    Slin(Rc<[Vec<u8>]>),
}

impl Frames {
    pub(crate) fn ulaw() -> Self {
        Self::Ulaw(ulaw_payloads().into())
    }

    pub(crate) fn slin() -> Self {
        let frame = |samples: &[i16]| {
            let mut frame = Vec::new();
            encode_audio(RATE, samples, &mut frame);
            frame
        };
        Self::Slin(speech().chunks_exact(frame_samples(RATE)).map(frame).collect())
    }
}

/// What the caller is heard by.
#[derive(Clone, Copy)]
pub(crate) enum Heard {
    Echo,
    EchoAndRecorder,
}

impl Heard {
    pub(crate) fn pipeline(self) -> Pipeline {
        let echo: Arc<dyn ProcessorFactory> = Arc::new(EchoFactory::new(EchoSettings::default()));
        driver::pipeline(match self {
            Self::Echo => vec![echo],
            Self::EchoAndRecorder => vec![recycling::recorder(), echo],
        })
    }
}

/// What the calls of a shard share.
#[derive(Default)]
pub(crate) struct Shared {
    /// The datagram that came in last.
    received: Vec<u8>,
    workbench: Workbench,
}

/// An engine and its caller.
pub(crate) struct Call {
    engine: Engine,
    start: Instant,
    wake: Option<Instant>,
    /// Frames that the caller has sent.
    frames: u32,
    packetizer: Packetizer,
    said: Frames,
}

impl Call {
    /// A call that has begun just now.
    fn new(said: Frames, pipeline: Pipeline) -> Self {
        let (epoch, settings) = (driver::epoch(), MediaSettings::default());
        let engine = match said {
            Frames::Ulaw(_) => {
                let info = driver::call(Transport::Rtp, Some(MediaFormat::Ulaw));
                Engine::rtp(epoch, info, pipeline, settings, SEED)
            }
            Frames::Slin(_) => {
                let info = driver::call(Transport::AudioSocket, Some(MediaFormat::Slin(RATE)));
                Engine::audiosocket(epoch, info, pipeline, settings, MAX_FRAME_BYTES)
            }
        };
        let mut call = Self {
            engine,
            start: epoch.instant,
            wake: None,
            frames: 0,
            packetizer: Packetizer::new(MediaFormat::Ulaw, SEED),
            said,
        };
        let first = match call.said {
            Frames::Ulaw(_) => Input::Command(Command::SetPeer(peer())),
            Frames::Slin(_) => Input::Timeout,
        };
        let (workbench, ignored) = (&mut Workbench::default(), &mut |_: &[u8]| {});
        give(&mut call.engine, workbench, &mut call.wake, epoch.instant, first, ignored);
        call
    }

    /// A call that is warm.
    pub(crate) fn warm(said: Frames, pipeline: Pipeline) -> Self {
        let mut call = Self::new(said, pipeline);
        let (mut shared, mut audible) = (Shared::default(), 0);
        for _ in 0..WARM_UP_FRAMES {
            call.frame_to(&mut shared, |sent| {
                let middle = sent.len() / 2;
                audible += u32::from(sent[middle..].iter().any(|byte| *byte != sent[middle]));
            });
        }
        assert!(2 * audible > WARM_UP_FRAMES, "only {audible} frames of echo");
        let stats = call.engine.stats();
        assert_eq!(stats.packets_received, u64::from(WARM_UP_FRAMES));
        assert_eq!(stats.frames_skipped + stats.rejected.total(), 0);
        call
    }

    /// One tick out, and one frame in, over what calls share.
    pub(crate) fn frame(&mut self, shared: &mut Shared) {
        self.frame_to(shared, |sent| {
            black_box(sent);
        });
    }

    /// The same, with what is to be done with what is sent.
    fn frame_to(
        &mut self,
        Shared { received, workbench }: &mut Shared,
        mut transmit: impl FnMut(&[u8]),
    ) {
        let Self { engine, start, wake, frames, packetizer, said } = self;
        *frames += 1;
        let now = *start + ms(20) * *frames + PHASE;
        let mut sent = 0;
        let mut transmit = |bytes: &[u8]| {
            sent += 1;
            transmit(bytes);
        };
        while let Some(at) = wake.filter(|at| *at <= now) {
            give(engine, workbench, wake, at, Input::Timeout, &mut transmit);
        }
        let input = match said {
            Frames::Ulaw(payloads) => {
                let payload = &payloads[*frames as usize % payloads.len()];
                received.clear();
                received.extend_from_slice(&packetizer.header());
                received.extend_from_slice(payload);
                packetizer.sent(160);
                Input::Datagram { from: peer(), bytes: received }
            }
            Frames::Slin(stream) => Input::Stream(&stream[*frames as usize % stream.len()]),
        };
        give(engine, workbench, wake, now, input, &mut transmit);
        assert_eq!(sent, 1, "a frame leaves in each 20 ms");
    }
}

/// Hands an engine one input and does what it wants.
fn give(
    engine: &mut Engine,
    workbench: &mut Workbench,
    wake: &mut Option<Instant>,
    at: Instant,
    input: Input<'_>,
    transmit: &mut impl FnMut(&[u8]),
) {
    engine.handle_input(at, input);
    loop {
        match engine.poll_output(workbench) {
            Output::Transmit(bytes) => transmit(bytes),
            Output::Event(_) => {}
            Output::Wait(next) => {
                *wake = next;
                return;
            }
            Output::Ended => panic!("the call has ended"),
        }
    }
}
