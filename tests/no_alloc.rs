//! Once warm, a call's media path does not allocate: counted, not believed.

#[path = "no_alloc/bot.rs"]
mod bot;
#[path = "../benches/common/counting.rs"]
mod counting;
#[path = "common/driver.rs"]
mod driver;
#[path = "common/emulator.rs"]
mod emulator;
#[path = "../benches/common/recycling.rs"]
mod recycling;
#[path = "no_alloc/sockets.rs"]
mod sockets;
#[path = "common/steady.rs"]
mod steady;

use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::{EndReason, Transport};
use sidetone::dsp::codec::Decoder;
use sidetone::dsp::opus;
use sidetone::dsp::vad::DetectorKind;
use sidetone::engine::{Command, Engine, Input, Output, Workbench};
use sidetone::event::EventKind;
use sidetone::media::{MediaSettings, ReturnFormat};
use sidetone::processor::recorder::{RecorderFactory, RecorderSettings};
use sidetone::processor::stt::{Dialect, SessionSettings, TranscriberFactory};
use sidetone::processor::vad::{VadFactory, VadSettings};
use sidetone::processor::{EchoFactory, Pipeline, ProcessorFactory};
use sidetone::runtime::recording::Recordings;
use sidetone::runtime::stt::{SttService, SttSettings};
use sidetone::runtime::{Clock, Listeners};
use sidetone::wire::audiosocket::encode_audio;
use sidetone::wire::rtp;

use counting::{Counting, allocations};
use driver::speech::{self, speech};
use driver::{MAX_FRAME_BYTES, SEED, Sender, call, epoch, ms, peer, pipeline, sample};
use emulator::{Emulator, Loss, Path};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_counter_catches_every_way_to_allocate() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0_u8; 100]))), 1);
    let mut grown = Vec::<u8>::with_capacity(1);
    assert_eq!(allocations(|| grown.extend_from_slice(&[0; 100])), 1);
    assert_eq!(allocations(|| grown.clear()), 0);
}

#[test]
fn the_counter_catches_a_call_that_is_not_warm() {
    let mut drive = Drive::rtp(MediaFormat::Ulaw, ReturnFormat::Auto, recycling());
    let packet = Sender::new(MediaFormat::Ulaw).packet();
    let count = allocations(|| {
        drive.input(ms(10), Input::Datagram { from: peer(), bytes: &packet });
    });
    assert!(count > 0);
}

/// A recorder whose recording nobody keeps, and echo.
fn recycling() -> Pipeline {
    with_echo(recycling::recorder())
}

fn with_echo(recorder: Arc<dyn ProcessorFactory>) -> Pipeline {
    pipeline(vec![recorder, Arc::new(EchoFactory::default())])
}

/// Drives an engine as a shard does, and keeps nothing but sums.
struct Drive {
    engine: Engine,
    workbench: Workbench,
    start: std::time::Instant,
    wake: Option<std::time::Instant>,
    transmitted: u64,
    audible: u64,
    /// Begins and ends of speech that were told.
    edges: u64,
    listener: Listener,
}

/// The peer's ears.
enum Listener {
    Rtp(Decoder, Vec<i16>),
    AudioSocket,
}

impl Listener {
    /// Whether what was sent is more than silence and a codec's noise in it.
    fn hears(&mut self, sent: &[u8]) -> bool {
        match self {
            Self::Rtp(decoder, samples) => {
                decoder.decode(&sent[rtp::HEADER_BYTES..], samples).expect("we send payloads");
                samples.iter().any(|sample| sample.unsigned_abs() > 100)
            }
            Self::AudioSocket => {
                let middle = sent.len() / 2;
                sent[middle..].iter().any(|byte| *byte != sent[middle])
            }
        }
    }
}

impl Drive {
    fn rtp(format: MediaFormat, return_format: ReturnFormat, pipeline: Pipeline) -> Self {
        let info = call(Transport::Rtp, Some(format));
        let epoch = epoch();
        let settings = MediaSettings { return_format, ..MediaSettings::default() };
        let returned = return_format.of(format, settings.rate_of(format));
        let decoder = Decoder::new(returned, settings.rate_of(returned)).expect("a rate it has");
        let engine = Engine::rtp(epoch, info, pipeline, settings, SEED);
        let mut drive = Self {
            engine,
            workbench: Workbench::default(),
            start: epoch.instant,
            wake: None,
            transmitted: 0,
            audible: 0,
            edges: 0,
            listener: Listener::Rtp(decoder, Vec::new()),
        };
        drive.input(Duration::ZERO, Input::Command(Command::SetPeer(peer())));
        drive
    }

    fn audiosocket(rate: SampleRate, pipeline: Pipeline) -> Self {
        let info = call(Transport::AudioSocket, Some(MediaFormat::Slin(rate)));
        let (epoch, settings) = (epoch(), MediaSettings::default());
        let engine = Engine::audiosocket(epoch, info, pipeline, settings, MAX_FRAME_BYTES);
        Self {
            engine,
            workbench: Workbench::default(),
            start: epoch.instant,
            wake: Some(epoch.instant),
            transmitted: 0,
            audible: 0,
            edges: 0,
            listener: Listener::AudioSocket,
        }
    }

    fn input(&mut self, at: Duration, input: Input<'_>) {
        let at = self.start + at;
        while let Some(wake) = self.wake.filter(|wake| *wake <= at) {
            self.give(wake, Input::Timeout);
        }
        self.give(at, input);
    }

    fn give(&mut self, at: std::time::Instant, input: Input<'_>) {
        self.engine.handle_input(at, input);
        loop {
            match self.engine.poll_output(&mut self.workbench) {
                Output::Transmit(bytes) => {
                    self.transmitted += 1;
                    self.audible += u64::from(self.listener.hears(bytes));
                }
                Output::Event(event) => {
                    let is_edge = matches!(
                        event.kind,
                        EventKind::SpeechStarted { .. } | EventKind::SpeechEnded { .. }
                    );
                    self.edges += u64::from(is_edge);
                }
                Output::Wait(wake) => {
                    self.wake = wake;
                    return;
                }
                Output::Ended => {
                    self.wake = None;
                    return;
                }
            }
        }
    }
}

const WARM_UP: Duration = ms(2_000);
const COUNTED_AUDIO: Duration = ms(60_000);

/// Sends 2 s of packets over a path that is worse than `path`, then 60 s over `path`, and answers
/// what the 60 s allocated.
fn count_rtp(format: MediaFormat, return_format: ReturnFormat, path: Path) -> u64 {
    let mut sender = Sender::new(format);
    let mut packet: Box<dyn FnMut(usize) -> Vec<u8>> = match format {
        _ if has_memory(format) => {
            let rate = MediaSettings::default().rate_of(format);
            let ticks = u64::from(format.clock_rate().hz()) / 50;
            let settings = opus::Settings::default();
            let payloads = speech::payloads(format, rate, &settings, &speech(rate, 4.0));
            Box::new(move |n| sender.carry(&payloads[n % payloads.len()], ticks))
        }
        _ => Box::new(move |_| sender.packet()),
    };
    let loss = if path.loss == Loss::None { Loss::None } else { Loss::Bernoulli { p: 0.2 } };
    let worse = Path { loss, reorder: (20.0 * path.reorder).min(0.5), ..path };
    let mut network = Emulator::new(worse, 1);
    let packets = (WARM_UP + COUNTED_AUDIO).as_millis() / 20;
    for n in 0..u64::try_from(packets).expect("a few thousand") {
        if ms(20 * n) == WARM_UP {
            network.set_path(path);
        }
        network.send(ms(20 * n), &packet(n as usize));
    }
    let deliveries = network.receive_all();
    let (warm_up, counted) =
        deliveries.split_at(deliveries.partition_point(|delivery| delivery.at < WARM_UP));

    let mut drive = Drive::rtp(format, return_format, recycling());
    for delivery in warm_up {
        drive.input(delivery.at, Input::Datagram { from: peer(), bytes: &delivery.bytes });
    }
    let (transmitted, audible) = (drive.transmitted, drive.audible);
    let count = allocations(|| {
        for delivery in counted {
            drive.input(delivery.at, Input::Datagram { from: peer(), bytes: &delivery.bytes });
        }
    });
    // The calls were alive: a frame in every 20 ms, and echo in nearly all of them.
    assert!(drive.transmitted - transmitted >= 2_990);
    let expected = if has_memory(format) { 2_000 } else { 2_800 };
    assert!(drive.audible - audible >= expected, "{} frames of echo", drive.audible - audible);
    let stats = drive.engine.stats();
    assert_eq!(stats.packets_received + stats.rejected.total(), network.statistics().delivered);
    assert_eq!(stats.packets_reordered + stats.packets_late, network.statistics().reordered);
    let is_beyond = path.reorder > 0.0 && path.reorder_by > MediaSettings::default().jitter_max;
    assert_eq!(stats.packets_late > 0, is_beyond, "{} packets late", stats.packets_late);
    count
}

/// A minute of two sentences over and over to a bot that repeats them: what it allocates to hear when
/// somebody speaks. Before that all is heard that comes in the minute: sentences take 6 s, losses
/// come every 1.4 s, so that both together begin anew after 42 s.
fn count_edges(format: MediaFormat, detector: DetectorKind) -> u64 {
    let rate = MediaSettings::default().rate_of(format);
    let ticks = u64::from(format.clock_rate().hz()) / 50;
    let mut spoken = speech(rate, 60.0);
    spoken.resize(rate.samples_in(ms(6_000)) as usize, 0);
    let payloads = speech::payloads(format, rate, &opus::Settings::default(), &spoken);
    let mut sender = Sender::new(format);
    let packets: Vec<_> = (0..5_200)
        .map(|n| (ms(20 * n as u64), sender.carry(&payloads[n % payloads.len()], ticks)))
        // Some are lost.
        .filter(|(at, _)| at.as_millis() % 1_400 != 0)
        .collect();
    let settings = VadSettings { detector, ..VadSettings::default() };
    let echo = Arc::new(EchoFactory::default());
    let chain = pipeline(vec![Arc::new(VadFactory::new(settings)), echo]);
    let mut drive = Drive::rtp(format, ReturnFormat::Auto, chain);
    let mut feed = |packets: &[(Duration, Vec<u8>)]| {
        for (at, bytes) in packets {
            drive.input(*at, Input::Datagram { from: peer(), bytes });
        }
    };
    let (warm_up, counted) = packets.split_at(2_200 * 69 / 70);
    feed(warm_up);
    let count = allocations(|| feed(counted));
    assert!(drive.edges > 30, "{} edges", drive.edges);
    count
}

#[test]
fn a_minute_of_speech_told_from_silence_allocates_nothing() {
    let wide = MediaFormat::Slin(SampleRate::HZ_16000);
    for format in [MediaFormat::Ulaw, MediaFormat::Opus, wide] {
        for (word, detector) in DetectorKind::WORDS {
            assert_eq!(count_edges(format, detector), 0, "{word} of {format}");
        }
    }
}

/// Whether a format's codec has a memory: of those speech is sent, pauses included, of others noise.
fn has_memory(format: MediaFormat) -> bool {
    matches!(format, MediaFormat::G722 | MediaFormat::Opus)
}

const FORMATS: [MediaFormat; 7] = [
    MediaFormat::Ulaw,
    MediaFormat::Alaw,
    MediaFormat::G722,
    MediaFormat::Opus,
    MediaFormat::Slin(SampleRate::HZ_8000),
    MediaFormat::Slin(SampleRate::HZ_16000),
    MediaFormat::Slin(SampleRate::HZ_44100),
];

#[test]
fn a_minute_of_rtp_in_order_allocates_nothing() {
    for format in FORMATS {
        assert_eq!(count_rtp(format, ReturnFormat::Auto, Path::IDEAL), 0, "{format}");
    }
}

#[test]
fn a_minute_of_opus_both_ways_allocates_nothing() {
    assert_eq!(count_rtp(MediaFormat::Opus, ReturnFormat::Same, Path::IDEAL), 0);
}

#[test]
fn a_minute_of_rtp_with_reordering_loss_and_late_packets_allocates_nothing() {
    let reordered = Path { reorder: 0.01, reorder_by: ms(35), ..Path::IDEAL };
    let late = Path { reorder_by: ms(400), ..reordered };
    let lossy = Path { loss: Loss::Bernoulli { p: 0.01 }, ..reordered };
    for path in [reordered, late, lossy] {
        for format in FORMATS {
            assert_eq!(count_rtp(format, ReturnFormat::Auto, path), 0, "{format} over {path:?}");
        }
    }
}

/// The n-th frame of 20 ms of a test stream.
fn stream_frame(rate: SampleRate, n: u64) -> Vec<u8> {
    let (samples, format) = (u64::from(rate.hz()) / 50, MediaFormat::Slin(rate));
    let samples: Vec<i16> =
        (n * samples..(n + 1) * samples).map(|place| sample(format, place)).collect();
    let mut frame = Vec::new();
    encode_audio(rate, &samples, &mut frame);
    frame
}

#[test]
fn a_minute_of_audiosocket_allocates_nothing() {
    for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000, SampleRate::HZ_48000] {
        // Read from the stream in pieces that fit no frame, at the pace of the frames.
        let stream: Vec<u8> = (0..3_101).flat_map(|n| stream_frame(rate, n)).collect();
        let length = stream.len() / 3_101;
        let cut = |n: usize| n / 2 * length + if n.is_multiple_of(2) { 100 } else { 250 };
        let mut drive = Drive::audiosocket(rate, recycling());
        drive.input(Duration::ZERO, Input::Stream(&stream[..cut(0)]));
        let mut pieces = (0..6_200).map(|n| (ms(10 * n as u64 + 10), &stream[cut(n)..cut(n + 1)]));
        let mut feed = |drive: &mut Drive, time: Duration| {
            for (at, bytes) in pieces.by_ref().take(time.as_millis() as usize / 10) {
                drive.input(at, Input::Stream(bytes));
            }
        };
        feed(&mut drive, WARM_UP);
        let transmitted = drive.transmitted;
        let count = allocations(|| feed(&mut drive, COUNTED_AUDIO));
        assert_eq!(count, 0, "{rate}");
        assert!(drive.transmitted - transmitted >= 2_990);
        assert!(drive.audible >= 2_900);
    }
}

/// Waits until the recording claims at least so many frames.
fn wait_for(recording: &FilePath, frames: u64) {
    let deadline = Clock::new().now() + Duration::from_secs(60);
    loop {
        let have = hound::WavReader::open(recording).map_or(0, |wav| u64::from(wav.duration()));
        if have >= frames {
            return;
        }
        assert!(Clock::new().now() < deadline, "{have} of {frames} frames after a minute");
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_call_that_is_really_recorded_allocates_nothing_either() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let settings = RecorderSettings {
        directory: folder.path().to_owned(),
        flush_every: ms(100),
        ..RecorderSettings::default()
    };
    let recordings = Recordings::start(settings, Clock::new()).expect("a thread can be started");
    let recorder = Arc::new(RecorderFactory::new(Arc::new(recordings.clone())));
    let format = MediaFormat::Ulaw;
    let mut drive = Drive::rtp(format, ReturnFormat::Auto, with_echo(recorder));
    let file = folder.path().join(format!("{}.wav", drive.engine.info().id));
    let mut sender = Sender::new(format);
    // The writer's spare blocks last for 800 ms of both directions: it is waited for that often.
    for round in 0..15_u64 {
        let packets: Vec<_> =
            (0..40).map(|n| (ms(800 * round + 20 * n), sender.packet())).collect();
        let count = allocations(|| {
            for (at, bytes) in &packets {
                drive.input(*at, Input::Datagram { from: peer(), bytes });
            }
        });
        assert!(round < 3 || count == 0, "{count} allocations in round {round}");
        wait_for(&file, (800 * round + 600) * 8);
    }
    drive.input(ms(11_990), Input::Command(Command::End(EndReason::Requested)));
    recordings.shutdown();
    let wav = hound::WavReader::open(&file).expect("the recording is readable");
    assert_eq!(wav.duration(), 12_000 * 8);
}

/// A service that takes everything and says nothing, and its URL.
async fn deaf_service() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");
        while let Some(Ok(_)) = socket.next().await {}
    });
    url
}

#[test]
fn a_call_that_is_really_transcribed_allocates_nothing_either() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads can be started");
    let service = threads.block_on(async {
        let settings = SttSettings {
            url: deaf_service().await,
            session: SessionSettings { dialect: Dialect::Raw, ..SessionSettings::default() },
            rate: Some(SampleRate::HZ_16000),
            ..SttSettings::default()
        };
        SttService::new("test", settings, Listeners::default(), Clock::new()).expect("no files")
    });
    let transcriber = Arc::new(TranscriberFactory::new(Arc::new(service.clone())));
    let format = MediaFormat::Ulaw;
    let mut drive = Drive::rtp(format, ReturnFormat::Auto, with_echo(transcriber));
    let mut sender = Sender::new(format);
    // In the first two rounds nothing comes back from the service's task, so that more pieces are made
    // than a round and what is left of the one before can have under way at once.
    let (release, held) = mpsc::channel::<()>();
    let mut release = Some(release);
    let (holds, is_held) = mpsc::channel();
    threads.spawn(async move {
        holds.send(()).expect("the test goes on");
        held.recv().expect_err("nothing is sent");
    });
    is_held.recv().expect("the thread runs");
    // A round is half of the pieces that lie ready: the service's task is waited for that often.
    for round in 0..20_u64 {
        let packets: Vec<_> =
            (0..20).map(|n| (ms(400 * round + 20 * n), sender.packet())).collect();
        let count = allocations(|| {
            for (at, bytes) in &packets {
                drive.input(*at, Input::Datagram { from: peer(), bytes });
            }
        });
        if round == 0 {
            continue;
        }
        drop(release.take());
        assert!(round < 3 || count == 0, "{count} allocations in round {round}");
        // 16 samples in a millisecond; one piece of 100 ms may be still to be filled.
        let whole = (400 * (round + 1) - 100) * 16;
        let deadline = Clock::new().now() + Duration::from_secs(60);
        while service.metrics().sent_samples.load(Ordering::Relaxed) < whole {
            assert!(Clock::new().now() < deadline, "round {round}: {:?}", service.metrics());
            thread::park_timeout(Duration::from_millis(5));
        }
    }
    assert_eq!(service.metrics().dropped_samples.load(Ordering::Relaxed), 0);
}
