//! The event stream: one WebSocket per Asterisk and application, connected again and again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::metrics::AriMetrics;
use super::settings::AsteriskSettings;
use super::types::AriEvent;
use crate::runtime::link::{Backoff, Link, LinkError, LinkEvent, LinkRequest, LinkSettings};
use crate::runtime::{Clock, Secret};

/// Longest event that is read. Asterisk's own are a few kilobytes.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// What the event stream tells.
#[derive(Debug)]
pub enum StreamEvent {
    /// It is there: events come from now on.
    Connected,
    /// Something happened in Asterisk.
    Event(Box<AriEvent>),
    /// It broke: what happens until the next `Connected` is not told.
    Disconnected,
}

/// Why the event stream was lost.
#[derive(Debug, Error)]
enum Lost {
    #[error("another program has taken our application over")]
    Replaced,
    #[error("nobody listens any more")]
    Unheard,
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// How to connect.
pub(super) struct EventStream {
    pub(super) settings: AsteriskSettings,
    pub(super) url: String,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) metrics: Arc<AriMetrics>,
    pub(super) clock: Clock,
}

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
                Ok(link) => {
                    let since = self.clock.now();
                    info!(asterisk = self.settings.name, "event stream connected");
                    self.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    self.metrics.connected.store(true, Ordering::Relaxed);
                    let _ = events.send(StreamEvent::Connected);
                    let lost = self.read(link, &events).await;
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

    async fn connect(&self) -> Result<Link, String> {
        let AsteriskSettings { user, password, request_timeout, .. } = &self.settings;
        let credentials = BASE64.encode(format!("{user}:{}", password.reveal()));
        let authorization = Secret::new(format!("Basic {credentials}"));
        let request = LinkRequest {
            url: self.url.clone(),
            headers: vec![("authorization".to_owned(), authorization)],
            connect_timeout: *request_timeout,
        };
        let settings = LinkSettings {
            write_timeout: *request_timeout,
            ping_every: self.settings.ping_every,
            max_message_bytes: MAX_EVENT_BYTES,
        };
        Link::connect(&request, &settings, &self.tls).await.map_err(|error| match error {
            LinkError::Refused { status: 401 | 403 } => format!(
                "Asterisk refuses the user {user:?}; check user and password against ari.conf"
            ),
            LinkError::Refused { status } => {
                format!("Asterisk answered {status}; is ARI enabled, and url right?")
            }
            other => other.to_string(),
        })
    }

    /// Reads events until the stream breaks, and answers why it did.
    async fn read(&self, mut link: Link, events: &UnboundedSender<StreamEvent>) -> Lost {
        loop {
            let text = tokio::select! {
                () = events.closed() => {
                    // The application is gone when Asterisk has closed its side.
                    link.close().await;
                    return Lost::Unheard;
                }
                event = link.next() => match event {
                    Ok(LinkEvent::Text(text)) => text,
                    Ok(LinkEvent::Free | LinkEvent::Binary(_)) => continue,
                    Err(error) => return error.into(),
                }
            };
            match serde_json::from_str(&text) {
                Ok(AriEvent::Other) => {}
                Ok(AriEvent::ApplicationReplaced) => return Lost::Replaced,
                Ok(event) => {
                    let _ = events.send(StreamEvent::Event(Box::new(event)));
                }
                Err(error) => {
                    self.metrics.bad_events.fetch_add(1, Ordering::Relaxed);
                    debug!(asterisk = self.settings.name, %error, "an event makes no sense");
                }
            }
        }
    }

    /// How long to wait after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let AsteriskSettings { reconnect_min: min, reconnect_max: max, .. } = self.settings;
        Backoff { min, max }.pause(failures)
    }
}
