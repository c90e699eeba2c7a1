use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Exchange;
use super::call::{Call, Maker, Turn};
use crate::ari::{AriConnection, AriError, AriEvent, ConnectError, ExternalMedia, StreamEvent};
use crate::audio::MediaFormat;
use crate::call::{CallId, Transport};
use crate::runtime::Clock;

/// Requests at a time: well below the places that Asterisk's HTTP server has for all its users.
const REQUESTS: usize = 16;

/// How long the ends of all calls may take, and how long what is left then.
const END_LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether anything is left.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a call was not made, or ended.
#[derive(Debug, Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Ari(#[from] AriError),
    #[error("a channel was gone before the call was up: the endpoint did not answer")]
    NotAnswered,
    #[error("Asterisk ended the call")]
    Ended,
    #[error("hung up")]
    HungUp,
}

/// Why no more calls can be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(in crate::cli::load) enum Over {
    #[error("interrupted")]
    Interrupted,
    #[error(
        "Asterisk's event stream was lost: it stopped, or another program took the application"
    )]
    StreamLost,
}

/// Why there is no switchboard.
#[derive(Debug, Error)]
pub(in crate::cli::load) enum SwitchboardError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no thread for the control of Asterisk: {0}")]
    Thread(#[source] io::Error),
    #[error("no socket for its audio: {0}")]
    Socket(#[source] io::Error),
    #[error(transparent)]
    LeftBehind(#[from] LeftBehind),
}

/// What could not be removed from Asterisk.
#[derive(Debug, Error)]
pub(in crate::cli::load) enum LeftBehind {
    #[error("{} channels and bridges of ours are left in Asterisk: {}", .0.len(), .0.join(", "))]
    Names(Vec<String>),
    #[error("nobody knows what is left in Asterisk: {0}")]
    Unknown(#[source] AriError),
}

/// What the callers want.
enum Order {
    Begin { number: u32, id: CallId },
    End { number: u32 },
}

/// What the callers are told.
pub(super) enum News {
    /// The call's channels are in its bridge.
    Up {
        number: u32,
        /// Where Asterisk sends from and listens at, over RTP.
        peer: Option<SocketAddr>,
    },
    Failed {
        number: u32,
        error: CallError,
    },
    Over(Over),
}

/// The callers' end of a switchboard. Dropping it ends all calls.
pub(in crate::cli::load) struct Desk {
    orders: UnboundedSender<Order>,
    news: mpsc::Receiver<News>,
    clock: Clock,
}

/// A thread that makes calls in an Asterisk and ends them.
pub(in crate::cli::load) struct Switchboard(JoinHandle<Result<(), LeftBehind>>);

impl Desk {
    /// Makes a call, and answers its id, which is its stream's UUID.
    pub(super) fn begin(&self, number: u32) -> CallId {
        let id = self.clock.new_call_id();
        // One that is over has told so.
        let _ = self.orders.send(Order::Begin { number, id });
        id
    }

    /// Ends a call; one that is over already is no error.
    pub(super) fn end(&self, number: u32) {
        let _ = self.orders.send(Order::End { number });
    }

    /// The next of what has happened.
    pub(super) fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

impl Switchboard {
    /// Connects to an Asterisk, removes what an earlier run may have left there, and makes calls
    /// whose audio goes to `port` of this machine.
    ///
    /// # Errors
    /// [`SwitchboardError`] where that cannot be.
    pub(in crate::cli::load) fn start(
        exchange: Exchange,
        transport: Transport,
        format: MediaFormat,
        port: u16,
        clock: Clock,
    ) -> Result<(Self, Desk), SwitchboardError> {
        let (orders, ordered) = unbounded_channel();
        let (told, news) = mpsc::channel();
        let (started, start) = mpsc::channel::<Result<(), SwitchboardError>>();
        let threads = Builder::new_current_thread().enable_all().build();
        let runtime = threads.map_err(SwitchboardError::Thread)?;
        let run = move || {
            runtime.block_on(async move {
                let board = async {
                    let interrupt = signal(SignalKind::interrupt());
                    let terminate = signal(SignalKind::terminate());
                    let interrupt = interrupt.map_err(SwitchboardError::Thread)?;
                    let terminate = terminate.map_err(SwitchboardError::Thread)?;
                    let connection = AriConnection::open(&exchange.settings, clock).await?;
                    clear(&connection).await?;
                    let host = exchange.host_port(port);
                    let maker = Maker {
                        client: connection.client().clone(),
                        ids: connection.ids().clone(),
                        endpoint: exchange.endpoint,
                        format,
                        permits: Semaphore::new(REQUESTS),
                    };
                    let board = Board {
                        connection,
                        maker: Arc::new(maker),
                        transport,
                        host,
                        calls: HashMap::new(),
                        by_number: HashMap::new(),
                        tasks: JoinSet::new(),
                        news: told,
                    };
                    Ok::<_, SwitchboardError>((board, [interrupt, terminate]))
                };
                let (board, result) = match board.await {
                    Ok(board) => (Some(board), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                // Who asked waits for it.
                let _ = started.send(result);
                match board {
                    Some((board, signals)) => board.run(ordered, signals).await,
                    None => Ok(()),
                }
            })
        };
        let thread = thread::Builder::new().name("asterisk".to_owned()).spawn(run);
        let thread = thread.map_err(SwitchboardError::Thread)?;
        start.recv().expect("the thread answers before it ends")?;
        Ok((Self(thread), Desk { orders, news, clock }))
    }

    /// Waits until nothing of its calls is left in Asterisk. The desk has to be dropped before.
    ///
    /// # Errors
    /// [`LeftBehind`] where something is.
    pub(in crate::cli::load) fn close(self) -> Result<(), LeftBehind> {
        self.0.join().expect("the control of Asterisk does not panic")
    }
}

/// What runs in the thread.
struct Board {
    connection: AriConnection,
    maker: Arc<Maker>,
    transport: Transport,
    /// Where the audio of all calls goes.
    host: String,
    calls: HashMap<CallId, UnboundedSender<Turn>>,
    by_number: HashMap<u32, CallId>,
    /// Each answers which call is over.
    tasks: JoinSet<(u32, CallId)>,
    news: mpsc::Sender<News>,
}

impl Board {
    async fn run(
        mut self,
        mut orders: UnboundedReceiver<Order>,
        mut signals: [Signal; 2],
    ) -> Result<(), LeftBehind> {
        if let Some(over) = self.serve(&mut orders, &mut signals).await {
            // The callers may be done at the same moment.
            let _ = self.news.send(News::Over(over));
        }
        // Every call hears that nobody is left to tell it anything.
        self.calls.clear();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // What hangs is removed below.
        let _ = timeout(END_LIMIT, ended).await;
        self.tasks.shutdown().await;
        let cleared = clear(&self.connection).await;
        self.connection.close().await;
        cleared
    }

    /// Makes and ends calls until there is nobody to make them for, or it cannot go on.
    async fn serve(
        &mut self,
        orders: &mut UnboundedReceiver<Order>,
        [interrupt, terminate]: &mut [Signal; 2],
    ) -> Option<Over> {
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Some(Over::Interrupted),
                _ = terminate.recv() => return Some(Over::Interrupted),
                order = orders.recv() => match order? {
                    Order::Begin { number, id } => self.begin(number, id),
                    Order::End { number } => {
                        if let Some(id) = self.by_number.get(&number) {
                            self.tell(*id, Turn::HangUp);
                        }
                    }
                },
                event = self.connection.next() => match event {
                    StreamEvent::Connected => {}
                    StreamEvent::Disconnected => return Some(Over::StreamLost),
                    StreamEvent::Event(event) => self.handle(*event),
                },
                Some(ended) = self.tasks.join_next() => {
                    let (number, id) = ended.expect("a call's task does not panic");
                    self.calls.remove(&id);
                    self.by_number.remove(&number);
                }
            }
        }
    }

    fn begin(&mut self, number: u32, id: CallId) {
        let (turns, heard) = unbounded_channel();
        self.calls.insert(id, turns);
        self.by_number.insert(number, id);
        let host = self.host.clone();
        let media = match self.transport {
            Transport::Rtp => ExternalMedia::Rtp { host },
            Transport::AudioSocket => ExternalMedia::AudioSocket { host, uuid: id.uuid() },
        };
        let mut call = Call { maker: Arc::clone(&self.maker), id, media, turns: heard };
        let news = self.news.clone();
        self.tasks.spawn(async move {
            let failed = match call.set_up().await {
                Ok(peer) => {
                    // Callers who are gone need no news.
                    let _ = news.send(News::Up { number, peer });
                    call.wait().await.then_some(CallError::Ended)
                }
                Err(CallError::HungUp) => None,
                Err(error) => Some(error),
            };
            if let Some(error) = failed {
                let _ = news.send(News::Failed { number, error });
            }
            call.remove().await;
            (number, id)
        });
    }

    fn handle(&self, event: AriEvent) {
        let (name, has_entered) = match event {
            AriEvent::StasisStart { channel, .. } => (channel.id, true),
            AriEvent::StasisEnd { channel } | AriEvent::ChannelDestroyed { channel } => {
                (channel.id, false)
            }
            AriEvent::BridgeDestroyed { bridge } => (bridge.id, false),
            AriEvent::ChannelDtmfReceived { .. }
            | AriEvent::ApplicationReplaced
            | AriEvent::Other => return,
        };
        if let Some((id, role)) = self.maker.ids.parse(&name) {
            self.tell(id, if has_entered { Turn::Entered(role) } else { Turn::Gone });
        }
    }

    fn tell(&self, id: CallId, turn: Turn) {
        if let Some(turns) = self.calls.get(&id) {
            // A call that removes itself listens to nothing more.
            let _ = turns.send(turn);
        }
    }
}

/// Removes everything of our application, until nothing is left.
async fn clear(connection: &AriConnection) -> Result<(), LeftBehind> {
    let client = connection.client();
    let mut looks = END_LIMIT.as_millis() / LOOK_EVERY.as_millis();
    loop {
        let [channels, bridges] = connection.list().await.map_err(LeftBehind::Unknown)?;
        if channels.is_empty() && bridges.is_empty() {
            return Ok(());
        }
        if looks == 0 {
            return Err(LeftBehind::Names([channels, bridges].concat()));
        }
        looks -= 1;
        for channel in &channels {
            // The next look tells whether it is gone.
            let _ = client.hangup(channel).await;
        }
        for bridge in &bridges {
            let _ = client.destroy_bridge(bridge).await;
        }
        sleep(LOOK_EVERY).await;
    }
}
