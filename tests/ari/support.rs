//! A server with one session, and what the tests of it share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::ari::{AriHandle, AriSession, AsteriskSettings};
use sidetone::audio::AudioFrame;
use sidetone::call::{CallInfo, Destination};
use sidetone::media::MediaSettings;
use sidetone::processor::recorder::RecorderSettings;
use sidetone::processor::{Context, Processor, ProcessorFactory, Registry, Setup};
use sidetone::runtime::recording::Recordings;
use sidetone::runtime::{Clock, MediaHandle, RtpSettings, Runtime, RuntimeSettings, Secret};

use crate::peer::{self, Peer};

const PATIENCE: Duration = Duration::from_secs(20);

/// Does what the arguments of its `Stasis()` say, as soon as it may do anything: `context`, `extension`
/// and `priority` send the caller there, `digits` are pressed before, each by itself.
struct Obedient(CallInfo);

impl Processor for Obedient {
    fn downlink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        let mut told = std::mem::take(&mut self.0.parameters);
        for digit in told.remove("digits").unwrap_or_default().chars() {
            cx.send_dtmf(&digit.to_string()).unwrap();
        }
        let destination = Destination {
            context: told.remove("context"),
            extension: told.remove("extension"),
            priority: told.remove("priority").map(|priority| priority.parse().unwrap()),
        };
        if destination != Destination::default() {
            cx.transfer(destination).unwrap();
        }
    }
}

struct ObedientFactory;

impl ProcessorFactory for ObedientFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Obedient(setup.call.clone()))
    }
}

/// Settings for the peer, with short times.
pub fn settings(peer: &Peer) -> AsteriskSettings {
    AsteriskSettings {
        url: peer.url(),
        user: peer::USER.to_owned(),
        password: Secret::new(peer::PASSWORD),
        app: peer::APP.to_owned(),
        request_timeout: Duration::from_millis(400),
        ping_every: Duration::from_millis(500),
        reconnect_min: Duration::from_millis(20),
        reconnect_max: Duration::from_millis(200),
        ..AsteriskSettings::default()
    }
}

/// The media side, and one session.
pub struct Server {
    runtime: Runtime,
    session: AriSession,
    _recordings: tempfile::TempDir,
}

impl Server {
    pub async fn start(settings: AsteriskSettings) -> Self {
        let clock = Clock::new();
        let folder = tempfile::tempdir().unwrap();
        let recorder =
            RecorderSettings { directory: folder.path().to_owned(), ..Default::default() };
        let recordings = Recordings::start(recorder, clock).unwrap();
        let mut registry = Registry::default();
        registry.add_pipeline::<&str>("echo", &[]).unwrap();
        registry.add_processor("obedient", Arc::new(ObedientFactory));
        registry.add_pipeline("obedient", &["obedient"]).unwrap();
        let mut runtime = RuntimeSettings {
            shards: 1,
            rtp: RtpSettings { port: 0, ..Default::default() },
            ..Default::default()
        };
        runtime.audiosocket.enabled = false;
        let pipeline = registry.pipeline("echo").unwrap();
        let media = MediaSettings::default();
        let runtime = Runtime::start(&runtime, &media, pipeline, recordings, clock).await.unwrap();
        let session =
            AriSession::start(settings, runtime.handle().clone(), Arc::new(registry)).unwrap();
        Self { runtime, session, _recordings: folder }
    }

    pub fn media(&self) -> &MediaHandle {
        self.runtime.handle()
    }

    pub fn is_connected(&self) -> bool {
        self.session.handle().is_connected()
    }

    pub fn handle(&self) -> &AriHandle {
        self.session.handle()
    }

    pub async fn stop(self, grace: Duration) {
        self.session.stop(grace).await;
        self.runtime.stop().await;
    }
}

/// Waits until `condition` holds; fails after [`PATIENCE`].
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let clock = Clock::new();
    let deadline = clock.now() + PATIENCE;
    while !condition() {
        assert!(clock.now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A server whose event stream is open.
pub async fn connected(settings: AsteriskSettings, peer: &Peer) -> Server {
    let server = Server::start(settings).await;
    until("connected", || server.is_connected() && peer.has_stream()).await;
    server
}

/// Waits until neither Asterisk nor the media side has anything of a call.
pub async fn nothing_left(what: &str, server: &Server, peer: &Peer) {
    let clock = Clock::new();
    let deadline = clock.now() + PATIENCE;
    loop {
        let (leftovers, calls) = (peer.leftovers(), server.media().call_count());
        if leftovers.is_empty() && calls == 0 {
            return;
        }
        assert!(clock.now() < deadline, "{what} leaves {leftovers:?}, {calls} calls in media");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Collects what is logged by the thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
