//! Bots: for each call a task that drives one WebSocket and one
//! [`Session`](crate::processor::bot::Session).
//!
//! We connect to the bot, or it connects to us through the API and takes a call that waits for it
//! in the bot's [`WaitingRoom`].

mod collector;
mod line;
mod metrics;
mod settings;
mod signature;
mod task;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::time::sleep;

pub use collector::BotCollector;
pub use metrics::BotMetrics;
pub use settings::BotSettings;
pub use signature::twilio_signature;
pub use waiting::WaitingRoom;

pub(crate) use waiting::{NoPlace, Place, Waiter};

use self::line::{Line, LineEnd};
use self::task::Task;
use crate::audio::SampleRate;
use crate::call::CallInfo;
use crate::processor::Setup;
use crate::processor::bot::{BotLine, Dialect, OpenBot, Template};
use crate::runtime::clock::Clock;
use crate::runtime::link::{Backoff, LinkRequest, TlsError, Way, tls};
use crate::runtime::{Secret, Throttle};

/// How often a bot that is stopping looks whether calls are left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One bot, and the way of calls to it. Cheap to clone.
#[derive(Clone)]
pub struct BotService(Arc<Service>);

struct Service {
    name: Arc<str>,
    settings: BotSettings,
    tls: Arc<ClientConfig>,
    room: WaitingRoom,
    metrics: BotMetrics,
    clock: Clock,
    /// Carries the tasks.
    control: Handle,
    log: Throttle,
}

impl BotService {
    /// A bot of this name. Connects when a call needs it. Must be called in a tokio runtime, which
    /// carries the connections.
    ///
    /// # Errors
    /// [`TlsError`] where the settings' certificates cannot be used.
    pub fn new(name: &str, settings: BotSettings, clock: Clock) -> Result<Self, TlsError> {
        let tls = tls::client_config(settings.ca_file.as_deref())?;
        Ok(Self(Arc::new(Service {
            name: name.into(),
            room: WaitingRoom::new(settings.link),
            settings,
            tls,
            metrics: BotMetrics::default(),
            clock,
            control: Handle::current(),
            log: Throttle::default(),
        })))
    }

    /// The bot's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the bot is configured to be.
    #[must_use]
    pub fn settings(&self) -> &BotSettings {
        &self.0.settings
    }

    /// Where calls wait for the bot to connect to us; `None` where we connect to it.
    #[must_use]
    pub fn waiting_room(&self) -> Option<&WaitingRoom> {
        self.0.settings.url.is_none().then_some(&self.0.room)
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> &BotMetrics {
        &self.0.metrics
    }

    /// Returns when every call that is over has told its bot so, or that has taken too long.
    pub async fn finish(&self) {
        while self.0.metrics.open.load(Ordering::Relaxed) > 0 {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Service {
    /// How the bot of one call is reached.
    fn way(&self, call: &CallInfo) -> Way {
        let Some(url) = &self.settings.url else {
            return Way::Wait(self.room.wait(call.id));
        };
        let url = url.expand_url(call);
        let headers = self.settings.headers.iter().map(|(name, value)| {
            let template: Option<Template> = value.reveal().parse().ok();
            let expanded = |template: Template| Secret::new(visible(&template.expand(call)));
            (name.clone(), template.map_or_else(|| value.clone(), expanded))
        });
        let mut headers: Vec<_> = headers.collect();
        if let Some(token) = &self.settings.token {
            headers.push(match self.settings.session.dialect {
                Dialect::Sidetone => {
                    let value = format!("Bearer {}", token.reveal());
                    ("authorization".to_owned(), Secret::new(value))
                }
                Dialect::Twilio => {
                    let value = twilio_signature(token, &url);
                    ("x-twilio-signature".to_owned(), Secret::new(value))
                }
            });
        }
        let connect_timeout = self.settings.connect_timeout;
        Way::Dial {
            request: LinkRequest { url, headers, connect_timeout },
            settings: self.settings.link,
            tls: Arc::clone(&self.tls),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff { min: self.settings.reconnect_min, max: self.settings.reconnect_max }
    }
}

/// What of a text may stand in a header: a name may hold anything.
fn visible(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

impl OpenBot for BotService {
    fn rate(&self, call: SampleRate) -> SampleRate {
        let settings = &self.0.settings;
        settings.session.dialect.rate().or(settings.rate).unwrap_or(call)
    }

    fn chunk(&self) -> Duration {
        self.0.settings.session.chunk
    }

    fn open(&self, setup: &Setup<'_>, rate: SampleRate) -> Box<dyn BotLine> {
        let session = &self.0.settings.session;
        let max_queued = setup.rate.length_of(session.max_queued);
        let line = Line::new(rate.length_of(session.chunk), max_queued, setup.waker.clone());
        let line = Arc::new(line);
        self.0.metrics.open.fetch_add(1, Ordering::Relaxed);
        let task = Task::new(Arc::clone(&self.0), Arc::clone(&line), setup, rate);
        self.0.control.spawn(task.run(self.0.way(setup.call)));
        Box::new(LineEnd(line))
    }
}

impl fmt::Debug for BotService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotService")
            .field("name", &self.0.name)
            .field("settings", &self.0.settings)
            .field("metrics", &self.0.metrics)
            .finish_non_exhaustive()
    }
}
