use std::sync::Arc;

use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::{AriClient, AriError};
use super::handle::StartError;
use super::ids::Ids;
use super::metrics::AriMetrics;
use super::settings::AsteriskSettings;
use super::stream::{EventStream, StreamEvent};
use crate::runtime::Clock;
use crate::runtime::link::tls;

/// Why Asterisk cannot be had.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The settings cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Asterisk refuses us, or does not answer.
    #[error(transparent)]
    Ari(#[from] AriError),
    /// Requests are answered, but no events come.
    #[error("the event stream was not there within the request time-out")]
    NoEvents,
}

/// Requests to one Asterisk and the events of one application, for who makes calls of their own
/// instead of taking them.
#[derive(Debug)]
pub struct AriConnection {
    client: AriClient,
    ids: Ids,
    events: UnboundedReceiver<StreamEvent>,
    source: JoinHandle<()>,
}

impl AriConnection {
    /// Connects, and returns when events come.
    ///
    /// # Errors
    /// [`ConnectError`]; then nothing is left.
    pub async fn open(settings: &AsteriskSettings, clock: Clock) -> Result<Self, ConnectError> {
        let tls = tls::client_config(settings.ca_file.as_deref()).map_err(StartError::from)?;
        let client = AriClient::new(settings, &tls).map_err(StartError::from)?;
        // Tells what is wrong, where the event stream would be tried again and again.
        client.channels().await?;
        let (sender, mut events) = unbounded_channel();
        let source = EventStream {
            settings: settings.clone(),
            url: client.events_url().into(),
            tls,
            metrics: Arc::new(AriMetrics::default()),
            clock,
        };
        let source = tokio::spawn(source.run(sender));
        match timeout(settings.request_timeout, events.recv()).await {
            Ok(Some(StreamEvent::Connected)) => {
                let ids = Ids::new(&settings.app);
                Ok(Self { client, ids, events, source })
            }
            _ => Err(ConnectError::NoEvents),
        }
    }

    /// The way to ask for something.
    #[must_use]
    pub fn client(&self) -> &AriClient {
        &self.client
    }

    /// The names of this application's channels and bridges.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The next event.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> StreamEvent {
        // The stream ends only when nobody listens.
        self.events.recv().await.unwrap_or(StreamEvent::Disconnected)
    }

    /// Asks for the names of all channels and bridges of this application that are there.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn list(&self) -> Result<[Vec<String>; 2], AriError> {
        let (channels, bridges) = tokio::try_join!(self.client.channels(), self.client.bridges())?;
        let channels = channels.into_iter().map(|channel| channel.id);
        let bridges = bridges.into_iter().map(|bridge| bridge.id);
        let ours = |name: &String| self.ids.parse(name).is_some();
        Ok([channels.filter(ours).collect(), bridges.filter(ours).collect()])
    }

    /// Closes the event stream, and returns when the application is gone from Asterisk.
    pub async fn close(self) {
        drop(self.events);
        // A stream that panicked is closed, too.
        let _ = self.source.await;
    }
}
