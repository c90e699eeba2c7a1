//! Speech-to-text services: for each call a task that drives one WebSocket and one
//! [`Session`](crate::processor::stt::Session).
//!
//! A task takes audio out of its line as soon as it is there, so that what waits for a slow
//! service waits in the session, where it is bounded, and the shard finds room always.

mod collector;
mod line;
mod metrics;
mod settings;
mod task;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::time::sleep;

pub use collector::SttCollector;
pub use metrics::SttMetrics;
pub use settings::SttSettings;

use self::line::{Line, LineEnd};
use self::task::Task;
use crate::audio::SampleRate;
use crate::processor::Setup;
use crate::processor::stt::{AudioLine, OpenLine};
use crate::runtime::clock::Clock;
use crate::runtime::link::{Backoff, LinkRequest, TlsError, Way, tls};
use crate::runtime::listeners::Listeners;
use crate::runtime::{Secret, Throttle};

/// How often a service that is stopping looks whether calls are left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One service, and the way of calls to it. Cheap to clone.
#[derive(Clone)]
pub struct SttService(Arc<Service>);

struct Service {
    name: Arc<str>,
    settings: SttSettings,
    tls: Arc<ClientConfig>,
    listeners: Listeners,
    metrics: SttMetrics,
    clock: Clock,
    /// Carries the tasks.
    control: Handle,
    log: Throttle,
}

impl SttService {
    /// A service of this name. Connects when a call needs it. Must be called in a tokio runtime,
    /// which carries the connections.
    ///
    /// # Errors
    /// [`TlsError`] where the settings' certificates cannot be used.
    pub fn new(
        name: &str,
        settings: SttSettings,
        listeners: Listeners,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let tls = tls::client_config(settings.ca_file.as_deref())?;
        Ok(Self(Arc::new(Service {
            name: name.into(),
            settings,
            tls,
            listeners,
            metrics: SttMetrics::default(),
            clock,
            control: Handle::current(),
            log: Throttle::default(),
        })))
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> &SttMetrics {
        &self.0.metrics
    }

    /// Returns when the last words of every call that is over have come, or have taken too long.
    pub async fn finish(&self) {
        while self.0.metrics.open.load(Ordering::Relaxed) > 0 {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Service {
    /// How the service is reached by a call whose audio has this rate.
    fn way(&self, rate: SampleRate) -> Way {
        let SttSettings { session, url, token, headers, .. } = &self.settings;
        let mut headers = headers.clone();
        if let Some(token) = token {
            let value = session.dialect.authorization(token.reveal());
            headers.push(("authorization".to_owned(), Secret::new(value)));
        }
        let request = LinkRequest {
            url: session.dialect.url(url, rate, session.encoding),
            headers,
            connect_timeout: self.settings.connect_timeout,
        };
        Way::Dial { request, settings: self.settings.link, tls: Arc::clone(&self.tls) }
    }

    fn backoff(&self) -> Backoff {
        Backoff { min: self.settings.reconnect_min, max: self.settings.reconnect_max }
    }
}

impl OpenLine for SttService {
    fn rate(&self, call: SampleRate) -> SampleRate {
        let SttSettings { session, rate, .. } = &self.0.settings;
        session.encoding.rate_for(rate.unwrap_or(call))
    }

    fn chunk_samples(&self, rate: SampleRate) -> usize {
        rate.length_of(self.0.settings.chunk).max(1)
    }

    fn open(&self, setup: &Setup<'_>, rate: SampleRate) -> Box<dyn AudioLine> {
        let SttSettings { session, chunk, .. } = &self.0.settings;
        let pieces = session.buffer.as_millis() / chunk.as_millis().max(1);
        let pieces = usize::try_from(pieces).unwrap_or(usize::MAX);
        let line = Arc::new(Line::new(rate, pieces, setup.waker.clone()));
        self.0.metrics.open.fetch_add(1, Ordering::Relaxed);
        let task = Task::new(Arc::clone(&self.0), Arc::clone(&line), setup.call.id, rate);
        self.0.control.spawn(task.run(self.0.way(rate)));
        Box::new(LineEnd(line))
    }
}

impl fmt::Debug for SttService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SttService")
            .field("name", &self.0.name)
            .field("settings", &self.0.settings)
            .field("metrics", &self.0.metrics)
            .finish_non_exhaustive()
    }
}
