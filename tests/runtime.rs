//! Threads and sockets of the media side, over real loopback sockets: limits, refusals, panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::audio::{AudioFrame, MediaFormat, SampleRate};
use sidetone::call::{CallInfo, EndReason, Transport};
use sidetone::event::{CallEvent, EventKind};
use sidetone::media::{MediaSettings, Rejected};
use sidetone::processor::recorder::RecorderSettings;
use sidetone::processor::{
    Context, EchoFactory, Pipeline, Processor, ProcessorFactory, Registry, Setup, Waker,
};
use sidetone::runtime::recording::Recordings;
use sidetone::runtime::{
    Accept, AudioSocketSettings, CallSpec, Clock, MediaHandle, OpenError, Refused, RtpSettings,
    Runtime, RuntimeSettings,
};
use sidetone::wire::audiosocket::{encode_audio, encode_uuid};
use sidetone::wire::rtp::{self, RtpHeader};
use sidetone::wire::{PayloadType, RtpPacket, RtpTs, Seq, Ssrc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(10);
const SLIN: MediaFormat = MediaFormat::Slin(SampleRate::HZ_8000);

/// Panics at the caller's first frame.
struct Faulty;

impl Processor for Faulty {
    fn uplink(&mut self, _frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        panic!("a fault of the test's own");
    }
}

impl ProcessorFactory for Faulty {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Self)
    }
}

/// Panics when it is made.
struct Stillborn;

impl ProcessorFactory for Stillborn {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        panic!("another fault of the test's own");
    }
}

/// Takes longer for each frame than a shard with many calls has.
struct Slow;

impl Processor for Slow {
    fn downlink(&mut self, _frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        let until = Clock::new().now() + Duration::from_millis(2);
        while Clock::new().now() < until {
            std::hint::spin_loop();
        }
    }
}

impl ProcessorFactory for Slow {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Self)
    }
}

/// Tells what a thread of its own sends it, one after another.
#[derive(Default)]
struct Courier {
    parcels: Arc<Mutex<VecDeque<u32>>>,
    waker: Arc<Mutex<Waker>>,
}

struct Delivery(Arc<Mutex<VecDeque<u32>>>);

impl Processor for Delivery {
    fn woken(&mut self, cx: &mut Context<'_>) {
        while let Some(parcel) = self.0.lock().unwrap().pop_front() {
            cx.emit(EventKind::Mark { name: parcel.to_string(), played: true });
        }
    }
}

impl ProcessorFactory for Courier {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        *self.waker.lock().unwrap() = setup.waker.clone();
        Box::new(Delivery(Arc::clone(&self.parcels)))
    }
}

struct Media {
    runtime: Runtime,
    recordings: Recordings,
    registry: Registry,
    courier: Arc<Courier>,
    _folder: tempfile::TempDir,
}

impl Media {
    async fn start(change: impl FnOnce(&mut RuntimeSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_owned();
        let settings = RecorderSettings { directory, ..RecorderSettings::default() };
        let recordings = Recordings::start(settings, Clock::new()).unwrap();
        let mut registry = Registry::default();
        registry.add_processor("echo", Arc::new(EchoFactory::default()));
        registry.add_processor("faulty", Arc::new(Faulty));
        registry.add_processor("stillborn", Arc::new(Stillborn));
        registry.add_processor("slow", Arc::new(Slow));
        let courier = Arc::new(Courier::default());
        registry.add_processor("courier", Arc::clone(&courier) as _);
        for name in ["echo", "faulty", "stillborn", "slow", "courier"] {
            registry.add_pipeline(name, &[name]).unwrap();
        }
        let mut settings = RuntimeSettings {
            max_lateness: Duration::ZERO,
            shards: 1,
            rtp: RtpSettings { port: 0, ..RtpSettings::default() },
            audiosocket: AudioSocketSettings {
                bind: SocketAddr::from(([127, 0, 0, 1], 0)),
                ..AudioSocketSettings::default()
            },
            ..RuntimeSettings::default()
        };
        change(&mut settings);
        let runtime = Runtime::start(
            &settings,
            &MediaSettings::default(),
            registry.pipeline("echo").unwrap(),
            recordings.clone(),
            Clock::new(),
        )
        .await
        .unwrap();
        Self { runtime, recordings, registry, courier, _folder: folder }
    }

    fn handle(&self) -> &MediaHandle {
        self.runtime.handle()
    }

    fn spec(
        &self,
        transport: Transport,
        format: MediaFormat,
        pipeline: &str,
    ) -> (CallSpec, UnboundedReceiver<CallEvent>) {
        let pipeline: Pipeline = self.registry.pipeline(pipeline).unwrap();
        let (events, told) = unbounded_channel();
        let info = CallInfo {
            id: self.handle().new_call_id(),
            transport,
            format: Some(format),
            pipeline: Arc::clone(pipeline.name()),
            parameters: BTreeMap::new(),
            caller: None,
            stream_uuid: None,
        };
        (CallSpec { info, pipeline, events: Some(events) }, told)
    }

    /// A connection that has said its UUID.
    async fn connect(&self, uuid: Uuid) -> TcpStream {
        let mut stream =
            TcpStream::connect(self.runtime.audiosocket_address().unwrap()).await.unwrap();
        let mut frame = Vec::new();
        encode_uuid(uuid, &mut frame);
        stream.write_all(&frame).await.unwrap();
        stream
    }

    async fn stop(self) {
        timeout(SOON, self.runtime.stop()).await.expect("it stops");
        let recordings = self.recordings;
        tokio::task::spawn_blocking(move || recordings.shutdown()).await.unwrap();
    }
}

/// Reads until the server closes, and answers whether its last frame was a hangup.
async fn hung_up(stream: &mut TcpStream) -> bool {
    let mut all = Vec::new();
    // A reset is a close, too.
    let _ = timeout(SOON, stream.read_to_end(&mut all)).await.expect("it is closed");
    all.ends_with(&[0, 0, 0])
}

async fn next(told: &mut UnboundedReceiver<CallEvent>) -> EventKind {
    timeout(SOON, told.recv()).await.expect("an event in time").expect("an event").event.kind
}

async fn end_of(told: &mut UnboundedReceiver<CallEvent>) -> EndReason {
    loop {
        if let EventKind::CallEnded { reason, .. } = next(told).await {
            return reason;
        }
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test]
async fn a_processor_is_woken_for_all_that_came_and_no_more_once_its_call_is_over() {
    let media = Media::start(|_| {}).await;
    let (spec, mut told) = media.spec(Transport::Rtp, MediaFormat::Ulaw, "courier");
    let id = spec.info.id;
    media.handle().open_rtp(spec).unwrap();
    assert!(matches!(next(&mut told).await, EventKind::CallStarted { .. }));
    until("the chain is built", || Arc::strong_count(&media.courier.parcels) > 1).await;

    let waker = media.courier.waker.lock().unwrap().clone();
    let parcels = Arc::clone(&media.courier.parcels);
    let (sender, sent) = (waker.clone(), 10_000);
    let thread = std::thread::spawn(move || {
        for parcel in 0..sent {
            parcels.lock().unwrap().push_back(parcel);
            sender.wake();
        }
    });
    for expected in 0..sent {
        let EventKind::Mark { name, .. } = next(&mut told).await else { panic!("another event") };
        assert_eq!(name, expected.to_string());
    }
    thread.join().unwrap();

    media.handle().end(id, EndReason::Requested);
    assert_eq!(end_of(&mut told).await, EndReason::Requested);
    until("the call is gone", || media.handle().call_count() == 0).await;
    media.courier.parcels.lock().unwrap().push_back(0);
    waker.wake();
    // The shard still works, and nothing was told.
    let (spec, mut told_next) = media.spec(Transport::Rtp, MediaFormat::Ulaw, "echo");
    media.handle().open_rtp(spec).unwrap();
    assert!(matches!(next(&mut told_next).await, EventKind::CallStarted { .. }));
    assert!(told.try_recv().is_err(), "a call that is over told something");
    media.stop().await;
    waker.wake();
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_hung_up_and_counted() {
    let media = Media::start(|settings| settings.audiosocket.max_connections = 2).await;
    let (one, two) = (media.connect(Uuid::nil()).await, media.connect(Uuid::nil()).await);
    until("two calls", || media.handle().call_count() == 2).await;
    let mut three = media.connect(Uuid::nil()).await;
    assert!(hung_up(&mut three).await);
    assert_eq!(media.handle().metrics().refused(Refused::Full), 1);
    drop(one);
    until("one call", || media.handle().call_count() == 1).await;
    let _four = media.connect(Uuid::nil()).await;
    until("its place is taken again", || media.handle().call_count() == 2).await;
    drop(two);
    media.stop().await;
}

#[tokio::test]
async fn a_connection_that_does_not_say_its_uuid_is_closed_in_time() {
    let wait = Duration::from_millis(50);
    let media = Media::start(|settings| settings.audiosocket.uuid_timeout = wait).await;
    let address = media.runtime.audiosocket_address().unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&[1, 0]).await.unwrap();
    assert!(hung_up(&mut silent).await && hung_up(&mut slow).await);
    assert_eq!(media.handle().metrics().refused(Refused::UuidTimeout), 2);

    let mut rude = TcpStream::connect(address).await.unwrap();
    rude.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    hung_up(&mut rude).await;
    assert_eq!(media.handle().metrics().refused(Refused::NoUuid), 1);
    assert_eq!(media.handle().call_count(), 0);
    media.stop().await;
}

#[tokio::test]
async fn only_announced_uuids_are_served_where_that_is_configured() {
    let media = Media::start(|s| s.audiosocket.accept = Accept::Registered).await;
    assert!(hung_up(&mut media.connect(Uuid::from_u128(1)).await).await);
    assert_eq!(media.handle().metrics().refused(Refused::UnknownUuid), 1);

    let (spec, mut told) = media.spec(Transport::AudioSocket, SLIN, "echo");
    let id = spec.info.id;
    let address = media.handle().expect_audiosocket(spec).unwrap();
    assert_eq!(address, media.runtime.audiosocket_address().unwrap().to_string());
    let mut stream = media.connect(id.uuid()).await;
    assert!(matches!(next(&mut told).await, EventKind::CallStarted { .. }));
    // Silence comes before anything is said.
    let mut frame = [0; 323];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..3], [0x10, 1, 64]);
    // Announced once, served once.
    assert!(hung_up(&mut media.connect(id.uuid()).await).await);
    media.handle().end(id, EndReason::Requested);
    assert_eq!(end_of(&mut told).await, EndReason::Requested);
    assert!(hung_up(&mut stream).await);
    media.stop().await;
}

#[tokio::test]
async fn an_announcement_that_is_withdrawn_is_told_once_and_becomes_nobodys_call() {
    let media = Media::start(|s| s.audiosocket.accept = Accept::Any).await;
    let (spec, mut told) = media.spec(Transport::AudioSocket, SLIN, "echo");
    let id = spec.info.id;
    media.handle().expect_audiosocket(spec).unwrap();
    media.handle().end(id, EndReason::CallerGone);
    media.handle().end(id, EndReason::CallerGone);
    assert_eq!(end_of(&mut told).await, EndReason::CallerGone);
    assert!(timeout(SOON, told.recv()).await.unwrap().is_none(), "nothing more comes");
    assert!(hung_up(&mut media.connect(id.uuid()).await).await);
    media.stop().await;
}

#[tokio::test]
async fn a_frame_beyond_the_limit_ends_the_connection() {
    let media = Media::start(|_| {}).await;
    let (spec, mut told) = media.spec(Transport::AudioSocket, SLIN, "echo");
    let id = spec.info.id;
    media.handle().expect_audiosocket(spec).unwrap();
    let mut stream = media.connect(id.uuid()).await;
    stream.write_all(&[0x10, 0xff, 0xff]).await.unwrap();
    assert_eq!(end_of(&mut told).await, EndReason::ProtocolError);
    hung_up(&mut stream).await;
    media.stop().await;
}

#[tokio::test]
async fn a_panic_ends_its_own_call_and_no_other() {
    let media = Media::start(|_| {}).await;
    let (healthy, mut healthy_told) = media.spec(Transport::AudioSocket, SLIN, "echo");
    let healthy_id = healthy.info.id;
    media.handle().expect_audiosocket(healthy).unwrap();
    let mut stream = media.connect(healthy_id.uuid()).await;

    let (stillborn, mut stillborn_told) =
        media.spec(Transport::Rtp, MediaFormat::Ulaw, "stillborn");
    media.handle().open_rtp(stillborn).unwrap();
    assert_eq!(end_of(&mut stillborn_told).await, EndReason::Panicked);

    let (faulty, mut faulty_told) = media.spec(Transport::AudioSocket, SLIN, "faulty");
    let faulty_id = faulty.info.id;
    media.handle().expect_audiosocket(faulty).unwrap();
    let mut doomed = media.connect(faulty_id.uuid()).await;
    let mut frame = Vec::new();
    encode_audio(SampleRate::HZ_8000, &[7; 160], &mut frame);
    doomed.write_all(&frame).await.unwrap();
    assert_eq!(end_of(&mut faulty_told).await, EndReason::Panicked);
    hung_up(&mut doomed).await;

    // The other call still echoes.
    stream.write_all(&frame).await.unwrap();
    let echoed = async {
        let mut heard = vec![0; frame.len()];
        while heard != frame {
            stream.read_exact(&mut heard).await.unwrap();
        }
    };
    timeout(SOON, echoed).await.expect("the echo");
    until("both panics are counted", || media.handle().metrics().panicked() == 2).await;
    assert_eq!(media.handle().call_count(), 1);
    media.stop().await;
    assert_eq!(end_of(&mut healthy_told).await, EndReason::ShuttingDown);
}

#[tokio::test]
async fn calls_over_rtp_are_limited_and_formats_that_do_not_travel_are_refused() {
    let media = Media::start(|settings| settings.rtp.max_calls = 1).await;
    let (law, _) = media.spec(Transport::AudioSocket, MediaFormat::Ulaw, "echo");
    assert!(matches!(media.handle().expect_audiosocket(law), Err(OpenError::Format { .. })));

    let (first, mut told) = media.spec(Transport::Rtp, MediaFormat::Ulaw, "echo");
    let id = first.info.id;
    media.handle().open_rtp(first).unwrap();
    let (second, _) = media.spec(Transport::Rtp, MediaFormat::Ulaw, "echo");
    let full = OpenError::Full { transport: Transport::Rtp, limit: 1 };
    assert_eq!(media.handle().open_rtp(second), Err(full));
    media.handle().end(id, EndReason::Requested);
    assert_eq!(end_of(&mut told).await, EndReason::Requested);
    until("its place is free", || media.handle().call_count() == 0).await;
    let (third, _) = media.spec(Transport::Rtp, MediaFormat::Ulaw, "echo");
    media.handle().open_rtp(third).unwrap();
    media.handle().stop_accepting();
    let (late, _) = media.spec(Transport::Rtp, MediaFormat::Ulaw, "echo");
    assert_eq!(media.handle().open_rtp(late), Err(OpenError::Stopping));
    media.stop().await;
}

#[tokio::test]
async fn a_shard_that_is_too_late_takes_no_more_calls_until_it_is_in_time_again() {
    let media = Media::start(|settings| settings.max_lateness = Duration::from_millis(20)).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut running = Vec::new();
    for _ in 0..25 {
        let (spec, told) = media.spec(Transport::Rtp, MediaFormat::Alaw, "slow");
        let id = spec.info.id;
        media.handle().open_rtp(spec).unwrap();
        media.handle().set_peer(id, peer.local_addr().unwrap());
        running.push((id, told));
    }
    // 25 calls with 50 frames of 2 ms each are two and a half seconds a second.
    until("the shard is overloaded", || {
        let (spec, _) = media.spec(Transport::AudioSocket, SLIN, "echo");
        let expected = media.handle().expect_audiosocket(spec);
        expected == Err(OpenError::Overloaded)
    })
    .await;
    let (spec, _) = media.spec(Transport::Rtp, MediaFormat::Alaw, "echo");
    assert_eq!(media.handle().open_rtp(spec), Err(OpenError::Overloaded));
    let mut stranger = media.connect(Uuid::from_u128(5)).await;
    assert!(hung_up(&mut stranger).await);
    assert_eq!(media.handle().metrics().refused(Refused::Overloaded), 1);
    assert_eq!(media.handle().call_count(), 25, "those that run are left alone");

    for (id, _) in &running[5..] {
        media.handle().end(*id, EndReason::Requested);
    }
    until("the shard is in time again", || {
        let (spec, _) = media.spec(Transport::Rtp, MediaFormat::Alaw, "echo");
        media.handle().open_rtp(spec).is_ok()
    })
    .await;
    media.stop().await;
}

#[tokio::test]
async fn an_ipv4_peer_is_known_to_a_port_that_serves_both_families() {
    let both = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let media = Media::start(|settings| settings.rtp.bind = both).await;
    let (spec, mut told) = media.spec(Transport::Rtp, MediaFormat::Alaw, "echo");
    let id = spec.info.id;
    media.handle().open_rtp(spec).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    media.handle().set_peer(id, socket.local_addr().unwrap());
    let mut answer = [0; 2048];
    timeout(SOON, socket.recv(&mut answer)).await.expect("silence at once").unwrap();
    let port = media.runtime.rtp_addresses()[0].port();
    socket.send_to(&alaw_packet(), (Ipv4Addr::LOCALHOST, port)).await.unwrap();
    while !matches!(next(&mut told).await, EventKind::MediaReady { .. }) {}
    media.stop().await;
}

fn alaw_packet() -> Vec<u8> {
    let mut packet = Vec::new();
    let header = RtpHeader {
        marker: false,
        payload_type: PayloadType::from(MediaFormat::Alaw),
        seq: Seq(1),
        timestamp: RtpTs(160),
        ssrc: Ssrc(1),
    };
    rtp::write(&header, &[0xd5; 160], &mut packet);
    packet
}

#[tokio::test]
async fn a_stranger_becomes_a_call_only_where_that_is_configured() {
    for (accept, calls) in [(Accept::Registered, 0), (Accept::Any, 1)] {
        let media = Media::start(|settings| settings.rtp.accept = accept).await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = media.runtime.rtp_addresses()[0];
        socket.send_to(&alaw_packet(), port).await.unwrap();
        socket.send_to(b"nonsense", port).await.unwrap();
        if calls == 1 {
            let mut answer = [0; 2048];
            let length = timeout(SOON, socket.recv(&mut answer)).await.unwrap().unwrap();
            let answer = RtpPacket::parse(&answer[..length]).unwrap();
            assert!(answer.marker());
            assert_eq!(answer.payload_type(), PayloadType::from(MediaFormat::Alaw));
            assert_eq!(answer.payload(), [0xd5; 160]);
        } else {
            until("both are counted", || {
                media.handle().metrics().stray().of(Rejected::ForeignSource) == 2
            })
            .await;
        }
        assert_eq!(media.handle().call_count(), calls);
        media.stop().await;
    }
}
