//! The event stream: one WebSocket per Asterisk and application, connected again and again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use rustls::ClientConfig;
use thiserror::Error as ThisError;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};
use tracing::{debug, error, info, warn};

use super::metrics::AriMetrics;
use super::settings::AsteriskSettings;
use super::tls;
use super::types::AriEvent;
use crate::runtime::Clock;

/// Longest event that is read. Asterisk's own are a few kilobytes.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// How long Asterisk may take to close its side of the stream.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// What the event stream tells.
#[derive(Debug)]
pub(super) enum StreamEvent {
    /// It is there: events come from now on.
    Connected,
    /// Something happened in Asterisk.
    Event(AriEvent),
    /// It broke: what happens until the next `Connected` is not told.
    Disconnected,
}

/// Why the event stream was lost.
#[derive(Debug, ThisError)]
enum Lost {
    #[error("another program has taken our application over")]
    Replaced,
    #[error("Asterisk closed it")]
    Closed,
    #[error("no sign of life")]
    Silent,
    #[error("nobody listens any more")]
    Unheard,
    #[error(transparent)]
    Broken(#[from] Error),
}

/// How to connect.
pub(super) struct EventStream {
    pub(super) settings: AsteriskSettings,
    pub(super) url: String,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) metrics: Arc<AriMetrics>,
    pub(super) clock: Clock,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl EventStream {
    /// Connects, reads until the stream breaks, pauses, and does it again, until nobody listens.
    pub(super) async fn run(self, events: UnboundedSender<StreamEvent>) {
        let mut failures = 0_u32;
        while !events.is_closed() {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = events.closed() => return,
            };
            match connected {
                Ok(socket) => {
                    let since = self.clock.now();
                    info!(asterisk = self.settings.name, "event stream connected");
                    self.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    self.metrics.connected.store(true, Ordering::Relaxed);
                    let _ = events.send(StreamEvent::Connected);
                    let lost = self.read(socket, &events).await;
                    self.metrics.connected.store(false, Ordering::Relaxed);
                    let _ = events.send(StreamEvent::Disconnected);
                    // One that is taken and closed again at once is a failure, too.
                    let lasted = self.clock.now().saturating_duration_since(since);
                    failures = if lasted < self.settings.reconnect_max { failures + 1 } else { 0 };
                    warn!(asterisk = self.settings.name, reason = %lost, "event stream lost");
                    if matches!(lost, Lost::Replaced) {
                        // Two servers would take it from each other for ever.
                        tokio::select! {
                            () = sleep(self.settings.reconnect_max) => {}
                            () = events.closed() => {}
                        }
                    }
                }
                Err(reason) => {
                    failures += 1;
                    // The first of a row, then one in about ten.
                    if failures % 10 == 1 {
                        error!(
                            asterisk = self.settings.name,
                            url = self.settings.url,
                            failures,
                            reason,
                            "event stream cannot be connected"
                        );
                    }
                }
            }
            tokio::select! {
                () = sleep(self.pause(failures)) => {}
                () = events.closed() => {}
            }
        }
    }

    async fn connect(&self) -> Result<Socket, String> {
        let mut request = self.url.as_str().into_client_request().map_err(|e| e.to_string())?;
        let AsteriskSettings { user, password, .. } = &self.settings;
        let credentials = BASE64.encode(format!("{user}:{}", password.reveal()));
        let mut header = HeaderValue::from_str(&format!("Basic {credentials}"))
            .map_err(|error| error.to_string())?;
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_EVENT_BYTES))
            .max_frame_size(Some(MAX_EVENT_BYTES));
        let connector = Connector::Rustls(Arc::clone(&self.tls));
        let connecting =
            connect_async_tls_with_config(request, Some(config), true, Some(connector));
        match timeout(self.settings.request_timeout, connecting).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) => Err(match response.status().as_u16() {
                401 | 403 => format!(
                    "Asterisk refuses the user {user:?}; check user and password against ari.conf"
                ),
                status => format!("Asterisk answered {status}; is ARI enabled, and url right?"),
            }),
            Ok(Err(error)) => Err(tls::explain(&error).unwrap_or_else(|| error.to_string())),
            Err(_) => Err("no answer within the request time-out".to_owned()),
        }
    }

    /// Reads events until the stream breaks, and answers why it did.
    async fn read(&self, mut socket: Socket, events: &UnboundedSender<StreamEvent>) -> Lost {
        let mut ping = interval(self.settings.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_pings = 0;
        loop {
            tokio::select! {
                () = events.closed() => {
                    // The application is gone when Asterisk has closed its side.
                    let closing = async {
                        let _ = socket.close(None).await;
                        while let Some(Ok(_)) = socket.next().await {}
                    };
                    let _ = timeout(CLOSE_LIMIT, closing).await;
                    return Lost::Unheard;
                }
                _ = ping.tick() => {
                    if silent_pings >= 2 {
                        return Lost::Silent;
                    }
                    silent_pings += 1;
                    if let Err(error) = socket.send(Message::Ping(Bytes::new())).await {
                        return error.into();
                    }
                }
                message = socket.next() => {
                    silent_pings = 0;
                    match message {
                        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                            Ok(AriEvent::Other) => {}
                            Ok(AriEvent::ApplicationReplaced) => return Lost::Replaced,
                            Ok(event) => {
                                let _ = events.send(StreamEvent::Event(event));
                            }
                            Err(error) => {
                                self.metrics.bad_events.fetch_add(1, Ordering::Relaxed);
                                debug!(asterisk = self.settings.name, %error, "an event makes no sense");
                            }
                        },
                        Some(Ok(Message::Close(_))) | None => return Lost::Closed,
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return error.into(),
                    }
                }
            }
        }
    }

    /// Exponential back-off with full jitter between the settings' limits, so that many servers do
    /// not come back at the same moment.
    fn pause(&self, failures: u32) -> Duration {
        let AsteriskSettings { reconnect_min: min, reconnect_max: max, .. } = self.settings;
        let ceiling = min.saturating_mul(2_u32.saturating_pow(failures)).clamp(min, max.max(min));
        min + (ceiling - min).mul_f64(rand::rng().random::<f64>())
    }
}
