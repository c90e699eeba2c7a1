//! Our own HTTP API: health, calls, metrics.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 while calls are served, 503 while the server stops |
//! | `GET /v1/calls` | the calls that run, oldest first |
//! | `DELETE /v1/calls/{id}` | 202: the call is being ended |
//! | `GET /metrics` | every counter, as OpenMetrics text |
//!
//! Bodies are JSON, but for the metrics; those of errors are `{"error": "…"}`. `docs/api.md` shows
//! each. There is no authentication: the API listens on loopback unless configured otherwise.

mod metrics;
mod routes;
mod settings;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;

pub use self::metrics::RecordingCollector;
pub use self::settings::ApiSettings;

use crate::ari::AriHandle;
use crate::runtime::MediaHandle;
use crate::runtime::recording::RecordingMetrics;
use crate::runtime::stt::SttService;

/// What the API shows and does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api(Arc<State>);

#[derive(Debug)]
struct State {
    media: MediaHandle,
    asterisk: Vec<AriHandle>,
    metrics: prometheus_client::registry::Registry,
    stopping: AtomicBool,
}

impl Api {
    /// An API over these parts of the server.
    #[must_use]
    pub fn new(
        media: MediaHandle,
        recordings: Arc<RecordingMetrics>,
        stt: Vec<SttService>,
        asterisk: Vec<AriHandle>,
    ) -> Self {
        let metrics = metrics::registry(&media, recordings, stt, asterisk.clone());
        Self(Arc::new(State { media, asterisk, metrics, stopping: AtomicBool::new(false) }))
    }

    /// Makes `GET /health` answer 503 from now on, so that load balancers look elsewhere.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Serves a listener until `shutdown` is done and the requests under way are answered.
    ///
    /// # Errors
    /// None today; errors of single connections do not end it.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        axum::serve(listener, routes::router(self)).with_graceful_shutdown(shutdown).await
    }
}

/// Binds the API's port; `None` where it is switched off.
///
/// # Errors
/// What the kernel says.
pub async fn bind(settings: &ApiSettings) -> io::Result<Option<(TcpListener, SocketAddr)>> {
    if !settings.enabled {
        return Ok(None);
    }
    let listener = TcpListener::bind(settings.bind).await?;
    let address = listener.local_addr()?;
    Ok(Some((listener, address)))
}
