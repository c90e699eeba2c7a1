//! A shard's thread with calls over real sockets, recorded by the real writer, whose events
//! somebody reads.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, SampleRate};
use sidetone::call::{CallInfo, Transport};
use sidetone::event::{CallEvent, EventKind};
use sidetone::media::{DigitSource, MediaSettings};
use sidetone::processor::recorder::{RecorderFactory, RecorderSettings};
use sidetone::processor::{
    Context, EchoFactory, EchoSettings, Pipeline, Processor, ProcessorFactory, Setup,
};
use sidetone::runtime::recording::Recordings;
use sidetone::runtime::{
    AudioSocketSettings, CallSpec, Clock, MediaHandle, RtpSettings, Runtime, RuntimeSettings,
};
use sidetone::wire::audiosocket::encode_uuid;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::counting::{watch_this_thread, watched};
use crate::driver::{Sender, call, ms, pipeline};
use crate::steady::steady_alone;
use crate::stream_frame;

const CALLS_OF_EACH: usize = 20;
const WARM_UP_FRAMES: u64 = 150;
const COUNTED_FRAMES: u64 = 500;
/// What comes together as never before needs room for the first time: blocks of a recording whose
/// writer was not run for long, wake-ups of a shard that was not. That is warm-up, too, and must be
/// over by then; what is allocated for a frame, or once a second, is in every one of these.
const MOST_ROUNDS: usize = 4;
const RATE: SampleRate = SampleRate::HZ_8000;

/// A frame of AudioSocket and a packet of RTP, as they are on the wire.
const STREAM_FRAME_BYTES: usize = 3 + 320;
const PACKET_BYTES: usize = 12 + 160;

/// Has the thread watched that it runs on, which is the shard's, and tells something of each frame:
/// so often, that the warm-up is long enough for the channel of a call's events to get its blocks.
struct Watch;

impl Processor for Watch {
    fn uplink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        watch_this_thread();
        let source = DigitSource::Inband;
        cx.emit(EventKind::Dtmf { digit: '5', source, duration_ms: None });
    }
}

struct WatchFactory;

impl ProcessorFactory for WatchFactory {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Watch)
    }
}

/// One caller, with the socket and the events of its call.
struct Caller {
    line: Line,
    told: UnboundedReceiver<CallEvent>,
    frames_heard: u64,
    events_heard: u64,
}

enum Line {
    Rtp { socket: UdpSocket, to: SocketAddr, sender: Sender },
    AudioSocket { stream: TcpStream, frames: u64, bytes: usize },
}

impl Caller {
    fn new(media: &Media, transport: Transport) -> Self {
        let (spec, told) = media.spec(transport);
        let line = match transport {
            Transport::Rtp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
                socket.set_nonblocking(true).expect("a socket can be told");
                let id = spec.info.id;
                let to = media.handle().open_rtp(spec).expect("there is room");
                media.handle().set_peer(id, socket.local_addr().expect("it is bound"));
                let sender = Sender::new(MediaFormat::Ulaw);
                Line::Rtp { socket, to: to.parse().expect("an address"), sender }
            }
            Transport::AudioSocket => {
                let mut uuid = Vec::new();
                encode_uuid(spec.info.id.uuid(), &mut uuid);
                let to = media.handle().expect_audiosocket(spec).expect("there is a listener");
                let mut stream = TcpStream::connect(to).expect("it listens");
                stream.write_all(&uuid).expect("the kernel takes it");
                stream.set_nodelay(true).expect("a socket can be told");
                stream.set_nonblocking(true).expect("a socket can be told");
                Line::AudioSocket { stream, frames: 0, bytes: 0 }
            }
        };
        Self { line, told, frames_heard: 0, events_heard: 0 }
    }

    /// Says a frame, and hears what has come.
    fn turn(&mut self) {
        match &mut self.line {
            Line::Rtp { socket, to, sender } => {
                socket.send_to(&sender.packet(), *to).expect("the kernel takes a packet");
                let mut packet = [0; 2 * PACKET_BYTES];
                while let Some(length) = there(socket.recv(&mut packet)) {
                    assert_eq!(length, PACKET_BYTES);
                    self.frames_heard += 1;
                }
            }
            Line::AudioSocket { stream, frames, bytes } => {
                stream.write_all(&stream_frame(RATE, *frames)).expect("the kernel takes a frame");
                *frames += 1;
                let mut buffer = [0; 4 * STREAM_FRAME_BYTES];
                while let Some(length) = there(stream.read(&mut buffer)) {
                    assert!(length > 0, "the call ended");
                    *bytes += length;
                }
                self.frames_heard = (*bytes / STREAM_FRAME_BYTES) as u64;
            }
        }
        while let Ok(told) = self.told.try_recv() {
            self.events_heard += u64::from(matches!(told.event.kind, EventKind::Dtmf { .. }));
        }
    }
}

/// What was read; `None` where nothing is there.
fn there(read: io::Result<usize>) -> Option<usize> {
    match read {
        Ok(length) => Some(length),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("a caller's socket: {error}"),
    }
}

/// The media side of a server, with one shard.
struct Media {
    runtime: Runtime,
    pipeline: Pipeline,
}

impl Media {
    async fn start(recordings: &Recordings) -> Self {
        let pipeline = pipeline(vec![
            Arc::new(WatchFactory),
            Arc::new(RecorderFactory::new(Arc::new(recordings.clone()))),
            Arc::new(EchoFactory::new(EchoSettings::default())),
        ]);
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = RuntimeSettings {
            shards: 1,
            max_lateness: Duration::ZERO,
            rtp: RtpSettings { port: 0, ..RtpSettings::default() },
            audiosocket: AudioSocketSettings { bind: any_port, ..AudioSocketSettings::default() },
            ..RuntimeSettings::default()
        };
        let media = MediaSettings::default();
        let (recordings, clock) = (recordings.clone(), Clock::new());
        let runtime = Runtime::start(&settings, &media, pipeline.clone(), recordings, clock).await;
        Self { runtime: runtime.expect("loopback has free ports"), pipeline }
    }

    fn handle(&self) -> &MediaHandle {
        self.runtime.handle()
    }

    fn spec(&self, transport: Transport) -> (CallSpec, UnboundedReceiver<CallEvent>) {
        let format = match transport {
            Transport::Rtp => MediaFormat::Ulaw,
            Transport::AudioSocket => MediaFormat::Slin(RATE),
        };
        let id = self.handle().new_call_id();
        let info = CallInfo { id, ..call(transport, Some(format)) };
        let (events, told) = unbounded_channel();
        (CallSpec { info, pipeline: self.pipeline.clone(), events: Some(events) }, told)
    }
}

/// Lets every caller have its turn, each 20 ms.
fn talk(callers: &mut [Caller], frames: u64) {
    let clock = Clock::new();
    let start = clock.now();
    for frame in 0..frames {
        callers.iter_mut().for_each(Caller::turn);
        while let Some(left) = (start + ms(20 * (frame + 1))).checked_duration_since(clock.now()) {
            thread::park_timeout(left);
        }
    }
}

fn heard(callers: &[Caller]) -> Vec<[u64; 2]> {
    callers.iter().map(|caller| [caller.frames_heard, caller.events_heard]).collect()
}

/// Seconds of each recording.
fn recorded(folder: &Path) -> Vec<f64> {
    let files = fs::read_dir(folder).expect("the folder of the recordings");
    let paths = files.map(|file| file.expect("an entry").path());
    let wavs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "wav"));
    let seconds = |path| {
        let wav = hound::WavReader::open(path).expect("a recording is readable");
        f64::from(wav.duration()) / f64::from(wav.spec().sample_rate)
    };
    wavs.map(seconds).collect()
}

#[test]
fn a_shard_with_calls_over_sockets_allocates_nothing_once_they_are_warm() {
    steady_alone(|| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let directory = folder.path().to_owned();
        let settings = RecorderSettings { directory, ..RecorderSettings::default() };
        let recordings = Recordings::start(settings, Clock::new()).expect("a thread");
        let control = tokio::runtime::Runtime::new().expect("threads");
        let media = control.block_on(Media::start(&recordings));

        let before = watched();
        let transports = [Transport::Rtp, Transport::AudioSocket];
        let callers = transports.map(|it| (0..CALLS_OF_EACH).map(move |_| it));
        let callers = callers.into_iter().flatten();
        let mut callers: Vec<_> = callers.map(|it| Caller::new(&media, it)).collect();
        talk(&mut callers, WARM_UP_FRAMES);
        assert!(watched() > before, "the shard is watched: it has allocated while calls began");
        let mut counts = Vec::new();
        while counts.len() < MOST_ROUNDS && counts.last() != Some(&0) {
            let (before, heard_before) = (watched(), heard(&callers));
            talk(&mut callers, COUNTED_FRAMES);
            counts.push(watched() - before);
            // The calls were alive, and so was who reads their events.
            for (before, after) in heard_before.iter().zip(heard(&callers)) {
                let [frames, events] = [0, 1].map(|n: usize| after[n] - before[n]);
                assert!(frames.abs_diff(COUNTED_FRAMES) <= 5, "{frames} frames came back");
                assert!(events.abs_diff(COUNTED_FRAMES) <= 5, "{events} events");
            }
        }
        println!("allocations by round: {counts:?}");
        drop(callers);
        control.block_on(media.runtime.stop());
        recordings.shutdown();
        let recorded = recorded(folder.path());
        assert_eq!(recorded.len(), 2 * CALLS_OF_EACH);
        let frames = WARM_UP_FRAMES + COUNTED_FRAMES * counts.len() as u64;
        let seconds = ms(20 * frames).as_secs_f64();
        assert!(recorded.iter().all(|it| (it - seconds).abs() < 0.5), "{recorded:?}");
        assert_eq!(counts.last(), Some(&0), "allocations by round: {counts:?}");
    });
}
