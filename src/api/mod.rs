//! Our own HTTP API: health, calls, metrics.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 while calls are served, 503 while the server stops |
//! | `GET /v1/calls` | the calls that run, oldest first |
//! | `DELETE /v1/calls/{id}` | 202: the call is being ended |
//! | `GET /v1/bots/{name}` | a WebSocket, over which the bot has the oldest call that waits for it |
//! | `POST /2010-04-01/Accounts/{sid}/Calls/{sid}.json` | the call is ended, as clients of Twilio do |
//! | `GET /metrics` | every counter, as OpenMetrics text |
//!
//! Bodies are JSON, but for the metrics; those of errors are `{"error": "…"}`, or what Twilio's clients
//! expect. `docs/api.md` shows each. There is no authentication but Twilio's: the API listens on
//! loopback unless configured otherwise.

mod bots;
mod metrics;
mod problem;
mod routes;
mod settings;
#[cfg(test)]
mod tests;
mod twilio;
mod upgrade;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

pub use self::metrics::RecordingCollector;
pub use self::settings::ApiSettings;
pub use self::twilio::TwilioAccount;

use crate::ari::AriHandle;
use crate::runtime::MediaHandle;
use crate::runtime::bot::{BotService, WaitingRoom};
use crate::runtime::recording::RecordingMetrics;
use crate::runtime::stt::SttService;

/// The parts of the server that the API shows and drives.
#[derive(Debug)]
pub struct ApiParts {
    /// The calls.
    pub media: MediaHandle,
    /// What became of recordings.
    pub recordings: Arc<RecordingMetrics>,
    /// The speech-to-text services.
    pub stt: Vec<SttService>,
    /// The bots.
    pub bots: Vec<BotService>,
    /// The sessions with Asterisk.
    pub asterisk: Vec<AriHandle>,
    /// Where calls wait for bots that connect to us, by the bots' names.
    pub rooms: BTreeMap<String, WaitingRoom>,
    /// Who may end calls as clients of Twilio do.
    pub accounts: Vec<TwilioAccount>,
}

/// What the API shows and does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api(Arc<State>);

#[derive(Debug)]
struct State {
    media: MediaHandle,
    asterisk: Vec<AriHandle>,
    rooms: BTreeMap<String, WaitingRoom>,
    accounts: Vec<TwilioAccount>,
    metrics: prometheus_client::registry::Registry,
    stopping: AtomicBool,
}

impl Api {
    /// An API over these parts of the server.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        let ApiParts { media, recordings, stt, bots, asterisk, rooms, accounts } = parts;
        let metrics = metrics::registry(&media, recordings, stt, bots, asterisk.clone());
        let stopping = AtomicBool::new(false);
        Self(Arc::new(State { media, asterisk, rooms, accounts, metrics, stopping }))
    }

    /// Makes `GET /health` answer 503 from now on, so that load balancers look elsewhere.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Serves a listener until `shutdown` is done and the requests under way are answered. The
    /// WebSockets of bots are none of them: they end with their calls.
    ///
    /// # Errors
    /// None today; errors of single connections do not end it.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let listener = listener.tap_io(|stream| {
            // Frames of bots would wait for one another; one that is gone is noticed soon enough.
            let _ = stream.set_nodelay(true);
        });
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
