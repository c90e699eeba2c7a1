use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::warn;

use super::client::{AriClient, AriError};
use super::metrics::AriMetrics;
use super::session::Session;
use super::settings::AsteriskSettings;
use super::stream::EventStream;
use crate::processor::Registry;
use crate::runtime::MediaHandle;
use crate::runtime::link::{TlsError, tls};

/// Why a session did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The URL.
    #[error(transparent)]
    Client(#[from] AriError),
}

/// What may be known of a session from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AriHandle {
    name: Arc<str>,
    metrics: Arc<AriMetrics>,
}

impl AriHandle {
    /// Our name for this Asterisk.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its event stream is there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.metrics.connected.load(Ordering::Relaxed)
    }

    /// What is counted about it.
    #[must_use]
    pub fn metrics(&self) -> &Arc<AriMetrics> {
        &self.metrics
    }
}

/// The control of one Asterisk: a task that runs until it is stopped.
#[derive(Debug)]
pub struct AriSession {
    handle: AriHandle,
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
}

impl AriSession {
    /// Starts the control of one Asterisk, whether or not that is there yet.
    ///
    /// # Errors
    /// [`StartError`] where the settings cannot be used.
    pub fn start(
        settings: AsteriskSettings,
        media: MediaHandle,
        registry: Arc<Registry>,
    ) -> Result<Self, StartError> {
        let tls = tls::client_config(settings.ca_file.as_deref())?;
        let client = AriClient::new(&settings, &tls)?;
        let metrics = Arc::new(AriMetrics::default());
        let handle =
            AriHandle { name: settings.name.as_str().into(), metrics: Arc::clone(&metrics) };
        let (events, stream) = unbounded_channel();
        let source = EventStream {
            settings: settings.clone(),
            url: client.events_url().into(),
            tls,
            metrics: Arc::clone(&metrics),
            clock: media.clock(),
        };
        let source = tokio::spawn(source.run(events));
        let (stop, stopped) = oneshot::channel();
        let session = Session::new(settings, client, media, registry, metrics);
        let task = tokio::spawn(session.run(stream, source, stopped));
        Ok(Self { handle, stop, task })
    }

    /// What may be known from outside.
    #[must_use]
    pub fn handle(&self) -> &AriHandle {
        &self.handle
    }

    /// Turns new callers away, lets calls end by themselves for `grace`, then ends them, and
    /// returns when nothing of ours is left in Asterisk, or that cannot be had.
    pub async fn stop(self, grace: Duration) {
        // A session that is gone has nothing to stop.
        let _ = self.stop.send(grace);
        if let Err(error) = self.task.await {
            warn!(asterisk = %self.handle.name, %error, "the control of an Asterisk failed");
        }
    }
}
