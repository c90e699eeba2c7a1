//! The whole server: processors, media, recordings, the API, and a session for each Asterisk.
//!
//! A program of its own can hold one, with processors of its own:
//!
//! ```no_run
//! use sidetone::config::{Config, Sources};
//! use sidetone::server::Server;
//!
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(Sources::default(), &Server::PROCESSORS)?;
//! let server = Server::start(&config, |_registry| {}).await?;
//! server.run_until(async { /* whatever tells the end */ }).await;
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{self, JoinHandle};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::api::{self, Api, ApiParts, TwilioAccount};
use crate::ari::{self, AriHandle, AriSession};
use crate::call::EndReason;
use crate::config::Config;
use crate::processor::bot::{BotFactory, Dialect};
use crate::processor::player::PlayerFactory;
use crate::processor::recorder::RecorderFactory;
use crate::processor::stt::TranscriberFactory;
use crate::processor::vad::VadFactory;
use crate::processor::{DtmfFactory, EchoFactory, PipelineError, Registry};
use crate::runtime::bot::{BotService, BotSettings, WaitingRoom};
use crate::runtime::link::TlsError;
use crate::runtime::prompts::Prompts;
use crate::runtime::recording::Recordings;
use crate::runtime::stt::SttService;
use crate::runtime::{self, Clock, MediaHandle, Runtime};

/// How often a server that is stopping looks whether calls are left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long requests to the API that are under way may take once everything else has ended.
const API_GRACE: Duration = Duration::from_secs(1);

/// Why the server did not start. What had been started is stopped again.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The API's port could not be bound.
    #[error("cannot bind api.bind to {address}: {source}")]
    Api {
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The thread that writes recordings could not be started.
    #[error("cannot start the recordings: {0}")]
    Recordings(#[source] io::Error),
    /// The settings of a speech-to-text service cannot be used.
    #[error("stt.{name}: {source}")]
    Stt {
        /// Its name.
        name: String,
        /// Why not.
        source: TlsError,
    },
    /// The settings of a bot cannot be used.
    #[error("bot.{name}: {source}")]
    Bot {
        /// Its name.
        name: String,
        /// Why not.
        source: TlsError,
    },
    /// The thread that reads files to play could not be started.
    #[error("cannot start the player: {0}")]
    Player(#[source] io::Error),
    /// A pipeline names a processor that is not there.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Sockets and threads of the media side.
    #[error(transparent)]
    Media(#[from] runtime::StartError),
    /// The settings of an Asterisk cannot be used.
    #[error("asterisk {name:?}: {source}")]
    Asterisk {
        /// Its name.
        name: String,
        /// Why not.
        source: ari::StartError,
    },
}

/// A server that runs. End it with [`Server::stop`]: dropped, it leaves its threads running.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    recordings: Recordings,
    stt: Vec<SttService>,
    bots: Vec<BotService>,
    sessions: Vec<AriSession>,
    api: Option<RunningApi>,
    grace: Duration,
}

#[derive(Debug)]
struct RunningApi {
    api: Api,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// The processors that every server has: what pipelines of a [`Config`] may name, besides those
    /// that are added at [`Server::start`], and the speech-to-text services and bots of the [`Config`]
    /// itself.
    pub const PROCESSORS: [&str; 5] = ["echo", "recorder", "vad", "dtmf", "player"];

    /// Binds every socket and starts everything. An Asterisk that cannot be reached is no error:
    /// its session tries on.
    ///
    /// `customise` may add processors before the pipelines of `config` are made. Must be called in
    /// a tokio runtime, which carries the control side; media has threads of its own.
    ///
    /// # Errors
    /// [`ServerError`]; then nothing is left running.
    pub async fn start(
        config: &Config,
        customise: impl FnOnce(&mut Registry),
    ) -> Result<Self, ServerError> {
        let clock = Clock::new();
        let bound = api::bind(&config.api)
            .await
            .map_err(|source| ServerError::Api { address: config.api.bind, source })?;
        let recordings =
            Recordings::start(config.recorder.clone(), clock).map_err(ServerError::Recordings)?;
        let stt = services(config, &recordings, clock)?;
        let prompts = Prompts::start(&config.player).map_err(ServerError::Player)?;
        let bots = bots(config, clock)?;
        let registry = Arc::new(registry(config, &recordings, (&stt, &bots), prompts, customise)?);
        let runtime = Runtime::start(
            &config.runtime,
            &config.media,
            registry.pipeline(&config.pipelines.default)?,
            recordings.clone(),
            clock,
        )
        .await?;
        let grace = config.server.grace;
        let (sessions, api) = (Vec::new(), None);
        let mut server = Self { runtime, recordings, stt, bots, sessions, api, grace };
        if let Err(error) = server.connect(config, &registry) {
            server.grace = Duration::ZERO;
            server.stop().await;
            return Err(error);
        }
        if let Some((listener, address)) = bound {
            server.serve_api(listener, address);
        }
        Ok(server)
    }

    fn connect(&mut self, config: &Config, registry: &Arc<Registry>) -> Result<(), ServerError> {
        for settings in &config.asterisk {
            let media = self.runtime.handle().clone();
            let session = AriSession::start(settings.clone(), media, Arc::clone(registry))
                .map_err(|source| ServerError::Asterisk { name: settings.name.clone(), source })?;
            self.sessions.push(session);
        }
        Ok(())
    }

    fn serve_api(&mut self, listener: TcpListener, address: SocketAddr) {
        let api = Api::new(ApiParts {
            media: self.media().clone(),
            recordings: Arc::clone(self.recordings.metrics()),
            stt: self.stt.clone(),
            bots: self.bots.clone(),
            asterisk: self.asterisk().cloned().collect(),
            rooms: rooms(&self.bots),
            accounts: accounts(&self.bots),
        });
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Dropped or told: both mean the end.
            let _ = stopped.await;
        };
        let task = tokio::spawn(api.clone().serve(listener, shutdown));
        self.api = Some(RunningApi { api, address, stop, task });
    }

    /// The speech-to-text services, in the order of their names.
    #[must_use]
    pub fn stt(&self) -> &[SttService] {
        &self.stt
    }

    /// The bots, in the order of their names.
    #[must_use]
    pub fn bots(&self) -> &[BotService] {
        &self.bots
    }

    /// The way to the calls.
    #[must_use]
    pub fn media(&self) -> &MediaHandle {
        self.runtime.handle()
    }

    /// The sessions with Asterisk, in the order of the configuration.
    pub fn asterisk(&self) -> impl Iterator<Item = &AriHandle> {
        self.sessions.iter().map(AriSession::handle)
    }

    /// The RTP ports, one per shard.
    #[must_use]
    pub fn rtp_addresses(&self) -> &[SocketAddr] {
        self.runtime.rtp_addresses()
    }

    /// Where AudioSocket connections are accepted, if they are.
    #[must_use]
    pub fn audiosocket_address(&self) -> Option<SocketAddr> {
        self.runtime.audiosocket_address()
    }

    /// Where the API listens, if it does.
    #[must_use]
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|api| api.address)
    }

    /// Serves until `shutdown` is done, then does as [`Server::stop`].
    ///
    /// # Cancel safety
    /// Dropped before its end, it leaves the media threads running, and Asterisk's channels and
    /// bridges in place.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        shutdown.await;
        self.stop().await;
    }

    /// Takes no more calls, lets those that run end by themselves within the grace period, then
    /// ends them; returns when recordings are closed, and Asterisk has no channel or bridge of ours.
    ///
    /// # Cancel safety
    /// As for [`Server::run_until`].
    pub async fn stop(self) {
        let Self { runtime, recordings, stt, bots, sessions, api, grace } = self;
        let media = runtime.handle();
        info!(calls = media.call_count(), ?grace, "stopping");
        if let Some(running) = &api {
            running.api.set_stopping();
        }
        media.stop_accepting();
        let controlled = join_all(sessions.into_iter().map(|session| session.stop(grace)));
        let others = async {
            if timeout(grace, until_no_call(media)).await.is_err() {
                warn!(calls = media.call_count(), "the grace period is over");
                media.end_all(EndReason::ShuttingDown);
            }
        };
        tokio::join!(controlled, others);
        runtime.stop().await;
        // The last words of calls that have just ended.
        join_all(stt.iter().map(SttService::finish)).await;
        join_all(bots.iter().map(BotService::finish)).await;
        if task::spawn_blocking(move || recordings.shutdown()).await.is_err() {
            error!("closing the recordings panicked");
        }
        if let Some(RunningApi { stop, task, .. }) = api {
            // The API may have ended by itself.
            let _ = stop.send(());
            if timeout(API_GRACE, task).await.is_err() {
                warn!("a request to the API was cut off");
            }
        }
        info!("stopped");
    }
}

async fn until_no_call(media: &MediaHandle) {
    while media.call_count() > 0 {
        sleep(LOOK_EVERY).await;
    }
}

fn services(
    config: &Config,
    recordings: &Recordings,
    clock: Clock,
) -> Result<Vec<SttService>, ServerError> {
    let services = config.stt.iter().map(|(name, settings)| {
        let listeners = recordings.listeners().clone();
        SttService::new(name, settings.clone(), listeners, clock)
            .map_err(|source| ServerError::Stt { name: name.clone(), source })
    });
    services.collect()
}

/// Where calls wait for those bots that connect to us.
fn rooms(bots: &[BotService]) -> BTreeMap<String, WaitingRoom> {
    let rooms = bots.iter().filter_map(|bot| Some((bot.name(), bot.waiting_room()?)));
    rooms.map(|(name, room)| (name.to_owned(), room.clone())).collect()
}

/// The accounts of those bots that think that they are Twilio's.
fn accounts(bots: &[BotService]) -> Vec<TwilioAccount> {
    let twilio = bots.iter().map(BotService::settings);
    let twilio = twilio.filter(|settings| settings.session.dialect == Dialect::Twilio);
    let account = |settings: &BotSettings| TwilioAccount {
        account_sid: settings.session.account_sid.clone(),
        auth_token: settings.token.clone(),
    };
    twilio.map(account).collect()
}

fn bots(config: &Config, clock: Clock) -> Result<Vec<BotService>, ServerError> {
    let bots = config.bots.iter().map(|(name, settings)| {
        BotService::new(name, settings.clone(), clock)
            .map_err(|source| ServerError::Bot { name: name.clone(), source })
    });
    bots.collect()
}

fn registry(
    config: &Config,
    recordings: &Recordings,
    (stt, bots): (&[SttService], &[BotService]),
    prompts: Prompts,
    customise: impl FnOnce(&mut Registry),
) -> Result<Registry, PipelineError> {
    let mut registry = Registry::default();
    registry.add_processor("echo", Arc::new(EchoFactory::new(config.echo)));
    let recorder = RecorderFactory::new(Arc::new(recordings.clone()));
    registry.add_processor("recorder", Arc::new(recorder));
    registry.add_processor("vad", Arc::new(VadFactory::new(config.vad.clone())));
    registry.add_processor("dtmf", Arc::new(DtmfFactory));
    for service in stt {
        let factory = Arc::new(TranscriberFactory::new(Arc::new(service.clone())));
        registry.add_processor(&format!("stt.{}", service.name()), Arc::clone(&factory) as _);
        if stt.len() == 1 {
            registry.add_processor("stt", factory);
        }
    }
    let prompts = Arc::new(prompts);
    for bot in bots {
        let behaviour = bot.settings().behaviour.clone();
        let files = Arc::clone(&prompts) as _;
        let factory = Arc::new(BotFactory::new(behaviour, Arc::new(bot.clone()), files));
        registry.add_processor(&format!("bot.{}", bot.name()), Arc::clone(&factory) as _);
        if bots.len() == 1 {
            registry.add_processor("bot", factory);
        }
    }
    let player = PlayerFactory::new(config.player.clone(), prompts);
    registry.add_processor("player", Arc::new(player));
    customise(&mut registry);
    for (name, processors) in &config.pipelines.named {
        registry.add_pipeline(name, processors)?;
    }
    Ok(registry)
}
