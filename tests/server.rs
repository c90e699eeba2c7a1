//! The server as a whole, embedded in a program: calls over AudioSocket, the API, start and stop.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use sidetone::audio::AudioFrame;
use sidetone::config::Config;
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};
use sidetone::server::{Server, ServerError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const UUID: &str = "01934a5b-0000-7000-8000-000000000001";
const UUID_FRAME: [u8; 19] =
    [1, 0, 16, 0x01, 0x93, 0x4a, 0x5b, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
/// Far beyond what any step takes.
const LIMIT: Duration = Duration::from_secs(20);

/// One shard, free ports on loopback, recordings in a folder of the test.
fn config(folder: &tempfile::TempDir) -> Config {
    let mut config = Config::default();
    config.runtime.shards = 1;
    config.runtime.rtp.port = 0;
    config.runtime.audiosocket.bind = free();
    config.api.bind = free();
    config.recorder.directory = folder.path().to_owned();
    config.server.grace = LIMIT;
    config
}

fn free() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

async fn start(config: &Config) -> Server {
    Server::start(config, |_| {}).await.expect("the server starts")
}

/// A call over AudioSocket, with the first audio in both directions behind it.
async fn call(server: &Server) -> TcpStream {
    let address = server.audiosocket_address().expect("a listener");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(&UUID_FRAME).await.expect("the UUID is sent");
    let mut frame = vec![0x10, 0x01, 0x40];
    frame.resize(3 + 320, 0);
    stream.write_all(&frame).await.expect("audio is sent");
    let mut heard = [0; 323];
    timeout(LIMIT, stream.read_exact(&mut heard)).await.expect("in time").expect("audio");
    assert_eq!(heard[..3], [0x10, 0x01, 0x40], "20 ms of 8 kHz audio");
    stream
}

/// Reads a call's connection to its end.
async fn ended(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // However it is closed, it is closed.
    let _ = timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("the call is ended");
}

/// Status and body of a request to the API.
async fn request(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("the API listens");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("in time").expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

async fn json(address: SocketAddr, method: &str, path: &str) -> (u16, Value) {
    let (status, body) = request(address, method, path).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("JSON: {body}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_listed_and_ended_through_the_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&config(&folder)).await;
    let api = server.api_address().expect("an API");

    let (status, health) = json(api, "GET", "/health").await;
    assert_eq!((status, &health["status"], &health["calls"]), (200, &"serving".into(), &0.into()));

    let stream = call(&server).await;
    let (status, calls) = json(api, "GET", "/v1/calls").await;
    assert_eq!(status, 200);
    assert_eq!(calls["calls"].as_array().map(Vec::len), Some(1), "{calls}");
    let listed = &calls["calls"][0];
    assert_eq!(listed["transport"], "audiosocket");
    assert_eq!(listed["pipeline"], "echo");
    let id = listed["id"].as_str().expect("an id");

    let (status, body) = json(api, "DELETE", &format!("/v1/calls/{id}")).await;
    assert_eq!((status, &body["id"]), (202, &id.into()));
    ended(stream).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_cannot_do_is_told_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&config(&folder)).await;
    let api = server.api_address().expect("an API");
    for (method, path, status) in [
        ("DELETE", format!("/v1/calls/{UUID}"), 404),
        ("DELETE", "/v1/calls/x".to_owned(), 400),
        ("DELETE", "/v1/calls/%ff".to_owned(), 400),
        ("GET", "/nothing".to_owned(), 404),
        ("GET", "/v1/bots/nobody".to_owned(), 404),
        ("POST", "/health".to_owned(), 405),
    ] {
        let (actual, body) = json(api, method, &path).await;
        assert_eq!(actual, status, "{method} {path}");
        assert!(body["error"].as_str().is_some_and(|text| text.len() > 5), "{path}: {body}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_every_room_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&folder);
    config.asterisk = vec![sidetone::ari::AsteriskSettings {
        // Nobody listens there.
        url: "http://127.0.0.1:9".to_owned(),
        ..Default::default()
    }];
    let server = start(&config).await;
    let api = server.api_address().expect("an API");
    let (status, text) = request(api, "GET", "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "sidetone_calls{transport=\"rtp\"} 0",
        "sidetone_recordings 0",
        "sidetone_receive_overruns_total{transport=\"rtp\"} 0",
        "sidetone_tick_lateness_seconds_bucket{le=\"+Inf\"} 0",
        "sidetone_connections_refused_total{reason=\"overloaded\"} 0",
        "sidetone_recordings_ended_total{result=\"failed\"} 0",
        "sidetone_recording_samples_total{state=\"dropped\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is missing in\n{text}");
    }
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains("sidetone_build_info{") && text.contains(&version), "{text}");
    assert!(text.contains("sidetone_ari_connected"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    let (status, health) = json(api, "GET", "/health").await;
    assert_eq!(status, 200, "an Asterisk that is away does not make us unhealthy");
    assert_eq!(health["asterisk"][0]["connected"], false);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_calls_and_takes_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&config(&folder)).await;
    let api = server.api_address().expect("an API");
    let audiosocket = server.audiosocket_address().expect("a listener");
    let stream = call(&server).await;
    let mut stopping = tokio::spawn(server.stop());
    // The state is set before anything is waited for; the task may not have begun yet.
    let health = async {
        loop {
            let (status, health) = json(api, "GET", "/health").await;
            if status == 503 {
                return health;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = timeout(LIMIT, health).await.expect("the stop is told");
    assert_eq!((&health["status"], &health["calls"]), (&"stopping".into(), &1.into()));
    assert!(!stopping.is_finished());
    let refused = async {
        // The listener goes as soon as its task sees the stop.
        while let Ok(late) = TcpStream::connect(audiosocket).await {
            ended(late).await;
        }
    };
    timeout(LIMIT, refused).await.expect("no more calls");

    drop(stream);
    timeout(LIMIT, &mut stopping).await.expect("in time").expect("stopped");
    assert!(TcpStream::connect(api).await.is_err(), "the API is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_ended_and_their_recordings_complete_when_the_grace_period_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&folder);
    config.server.grace = Duration::from_millis(100);
    config.pipelines.default = "echo-record".to_owned();
    let server = start(&config).await;
    let stream = call(&server).await;
    let id = server.media().calls()[0].id;
    timeout(LIMIT, server.run_until(async {})).await.expect("stopped");
    ended(stream).await;
    let text = std::fs::read(folder.path().join(format!("{id}.json"))).expect("its JSON");
    let told: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(told["complete"], true, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_fails_the_start_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind(free()).await.expect("a port");
    let address = taken.local_addr().expect("its address");

    let mut of_api = config(&folder);
    of_api.api.bind = address;
    let error = Server::start(&of_api, |_| {}).await.expect_err("the port is taken");
    assert!(matches!(error, ServerError::Api { address: told, .. } if told == address), "{error}");

    let mut of_audiosocket = config(&folder);
    of_audiosocket.runtime.audiosocket.bind = address;
    // A port that is free now, to see whether it is again.
    let rtp = UdpSocket::bind(free()).and_then(|socket| socket.local_addr()).expect("a port");
    of_audiosocket.runtime.rtp.port = rtp.port();
    let error = Server::start(&of_audiosocket, |_| {}).await.expect_err("the port is taken");
    assert!(error.to_string().starts_with("cannot bind audiosocket.bind"), "{error}");
    UdpSocket::bind(rtp).expect("the RTP port is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_an_asterisk_that_cannot_be_used_fail_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&folder);
    config.asterisk = vec![sidetone::ari::AsteriskSettings {
        name: "pbx".to_owned(),
        url: "https://127.0.0.1:9".to_owned(),
        ca_file: Some(folder.path().join("none.pem")),
        ..Default::default()
    }];
    let starting = timeout(LIMIT, Server::start(&config, |_| {})).await.expect("in time");
    let error = starting.expect_err("there is no such file");
    assert!(error.to_string().starts_with("asterisk \"pbx\": "), "{error}");
}

/// Counts the frames of every call.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl ProcessorFactory for Counter {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(self.clone())
    }
}

impl Processor for Counter {
    fn uplink(&mut self, _frame: &mut AudioFrame<'_>, _cx: &mut Context<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_can_add_processors_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&folder);
    config.server.grace = Duration::ZERO;
    config.pipelines.named.insert("counted".to_owned(), vec!["counter".to_owned()]);
    config.pipelines.default = "counted".to_owned();
    let error = Server::start(&config, |_| {}).await.expect_err("no such processor");
    assert!(matches!(error, ServerError::Pipeline(_)), "{error}");

    let counter = Counter::default();
    let factory = Arc::new(counter.clone());
    let server = Server::start(&config, |registry| registry.add_processor("counter", factory));
    let server = server.await.expect("the server starts");
    let stream = call(&server).await;
    server.stop().await;
    ended(stream).await;
    assert_eq!(counter.0.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_played_to_a_caller_and_nothing_outside_of_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples: Vec<i16> = (1..=4_000).collect();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let path = folder.path().join("hello.wav");
    let mut writer = hound::WavWriter::create(&path, spec).expect("the folder is writable");
    samples.iter().for_each(|sample| writer.write_sample(*sample).expect("written"));
    writer.finalize().expect("written");
    let mut config = config(&folder);
    config.player.root = Some(folder.path().to_owned());
    config.pipelines.default = "announce".to_owned();
    config.pipelines.named.insert("announce".to_owned(), vec!["player".to_owned()]);

    config.player.play = Some("hello.wav".parse().expect("a name"));
    let server = start(&config).await;
    let mut stream = call(&server).await;
    let mut heard = Vec::new();
    let mut frame = [0; 323];
    while heard.len() < samples.len() {
        timeout(LIMIT, stream.read_exact(&mut frame)).await.expect("in time").expect("audio");
        let (pairs, _) = frame[3..].as_chunks();
        let sound = pairs.iter().map(|pair| i16::from_le_bytes(*pair));
        let begun = !heard.is_empty();
        heard.extend(sound.skip_while(|sample| !begun && *sample == 0));
    }
    assert!(heard[..samples.len()] == samples, "every sample, in order");
    drop(stream);
    server.stop().await;

    config.player.play = Some("../hello.wav".parse().expect("a name"));
    let server = start(&config).await;
    let stream = call(&server).await;
    let failed = || server.media().metrics().media().playbacks_failed;
    timeout(LIMIT, async {
        while failed() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the failure is counted");
    drop(stream);
    server.stop().await;
}
