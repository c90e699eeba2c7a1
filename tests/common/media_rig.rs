//! The media side with processors of the test's own, and callers over AudioSocket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::{CallInfo, EndReason, Transport};
use sidetone::event::{CallEvent, Event, EventKind};
use sidetone::media::MediaSettings;
use sidetone::processor::recorder::RecorderSettings;
use sidetone::processor::{EchoFactory, EchoSettings, Registry};
use sidetone::runtime::link::LinkSettings;
use sidetone::runtime::recording::Recordings;
use sidetone::runtime::{
    AudioSocketSettings, CallSpec, Clock, RtpSettings, Runtime, RuntimeSettings,
};
use sidetone::wire::audiosocket::{AudioSocketFrame, FrameDecoder, encode_audio, encode_uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{interval, timeout};
use uuid::Uuid;

pub const SOON: Duration = Duration::from_secs(10);
const RATE: SampleRate = SampleRate::HZ_8000;
const FRAME: usize = 160;

/// A link that loses patience soon.
pub fn impatient(link: LinkSettings) -> LinkSettings {
    LinkSettings {
        write_timeout: Duration::from_millis(500),
        ping_every: Duration::from_millis(250),
        ..link
    }
}

pub struct MediaRig {
    runtime: Runtime,
    recordings: Recordings,
    registry: Registry,
}

/// What a caller said and heard, and what was told of the call.
pub struct Call {
    pub said: Vec<i16>,
    pub heard: Vec<i16>,
    pub told: UnboundedReceiver<CallEvent>,
}

impl MediaRig {
    /// Starts it with the pipeline `echo`, and with what `customise` adds.
    pub async fn start(customise: impl FnOnce(&mut Registry, &Recordings)) -> Self {
        let recordings = Recordings::start(RecorderSettings::default(), Clock::new()).unwrap();
        let mut registry = Registry::default();
        // A cushion against what a busy machine does to the test's own callers.
        let echo = EchoSettings { delay: Duration::from_millis(300) };
        registry.add_processor("echo", Arc::new(EchoFactory::new(echo)));
        registry.add_pipeline("echo", &["echo"]).unwrap();
        customise(&mut registry, &recordings);
        let settings = RuntimeSettings {
            max_lateness: Duration::ZERO,
            shards: 1,
            rtp: RtpSettings { port: 0, ..RtpSettings::default() },
            audiosocket: AudioSocketSettings {
                bind: SocketAddr::from(([127, 0, 0, 1], 0)),
                ..AudioSocketSettings::default()
            },
            ..RuntimeSettings::default()
        };
        let runtime = Runtime::start(
            &settings,
            &MediaSettings::default(),
            registry.pipeline("echo").unwrap(),
            recordings.clone(),
            Clock::new(),
        )
        .await
        .unwrap();
        Self { runtime, recordings, registry }
    }

    /// A call through this pipeline, in which the caller says so many frames, in real time.
    pub async fn call(&self, pipeline: &str, frames: usize, seed: u32) -> Call {
        let pipeline = self.registry.pipeline(pipeline).unwrap();
        let (events, told) = unbounded_channel();
        let info = CallInfo {
            id: self.runtime.handle().new_call_id(),
            transport: Transport::AudioSocket,
            format: Some(MediaFormat::Slin(RATE)),
            pipeline: Arc::clone(pipeline.name()),
            parameters: BTreeMap::new(),
            caller: None,
            stream_uuid: None,
        };
        let uuid = info.id.uuid();
        let spec = CallSpec { info, pipeline, events: Some(events) };
        let address = self.runtime.handle().expect_audiosocket(spec).unwrap();
        let (said, heard) = talk(&address, uuid, frames, seed).await;
        Call { said, heard, told }
    }

    pub async fn stop(self) {
        self.runtime.handle().end_all(EndReason::ShuttingDown);
        timeout(SOON, self.runtime.stop()).await.expect("it stops");
        tokio::task::spawn_blocking(move || self.recordings.shutdown()).await.unwrap();
    }
}

async fn talk(address: &str, uuid: Uuid, frames: usize, seed: u32) -> (Vec<i16>, Vec<i16>) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (reader, mut writer) = stream.into_split();
    let listening = tokio::spawn(listen(reader));
    let mut out = Vec::new();
    encode_uuid(uuid, &mut out);
    writer.write_all(&out).await.unwrap();
    let said: Vec<i16> = noise(seed).take(frames * FRAME).collect();
    let mut ticks = interval(Duration::from_millis(20));
    for frame in said.chunks(FRAME) {
        ticks.tick().await;
        out.clear();
        encode_audio(RATE, frame, &mut out);
        if writer.write_all(&out).await.is_err() {
            // The call was ended.
            break;
        }
    }
    // The echo's cushion.
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(writer);
    (said, timeout(SOON, listening).await.expect("the server closes").unwrap())
}

async fn listen(mut reader: OwnedReadHalf) -> Vec<i16> {
    let mut decoder = FrameDecoder::new(8_192);
    let mut heard = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            bytes = &bytes[decoder.feed(bytes)..];
            while let Ok(Some(frame)) = decoder.next() {
                if let AudioSocketFrame::Audio { payload, .. } = frame {
                    let samples = payload.chunks_exact(2);
                    heard.extend(samples.map(|b| i16::from_le_bytes([b[0], b[1]])));
                }
            }
        }
    }
    heard
}

/// Samples that are never zero, which silence is.
fn noise(seed: u32) -> impl Iterator<Item = i16> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        i16::try_from(state % 20_000).unwrap() - 10_000
    })
    .map(|sample| if sample == 0 { 1 } else { sample })
}

impl Call {
    /// The echo was all that was said, sample for sample, with silence before and behind it.
    pub fn check_echo(&self) {
        let silence = self.heard.iter().take_while(|sample| **sample == 0).count();
        let echo = &self.heard[silence..];
        assert!(echo.len() >= self.said.len(), "{} of {}", echo.len(), self.said.len());
        let same = echo.iter().zip(&self.said).take_while(|(heard, said)| heard == said).count();
        assert_eq!(same, self.said.len(), "the echo differs from this sample on");
        assert!(echo[same..].iter().all(|sample| *sample == 0), "something is behind the echo");
    }

    /// All that was told up to now.
    pub fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.told.try_recv().ok()).map(|told| told.event).collect()
    }

    /// The same without times.
    pub fn events(&mut self) -> Vec<EventKind> {
        self.told().into_iter().map(|event| event.kind).collect()
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    threads.block_on(future)
}
