//! A small peer that speaks ARI as Asterisk 22 does, and fails as told.

#[path = "peer/requests.rs"]
mod requests;
#[path = "peer/wire.rs"]
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

pub const USER: &str = "sidetone";
pub const PASSWORD: &str = "of the peer";
pub const APP: &str = "sidetone";

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    Answer,
    CreateBridge,
    CreateExternal,
    JoinCaller,
    JoinExternal,
    Release,
    RemoveExternal,
    RemoveBridge,
    /// Looks whether a place is in the dialplan.
    LookUp,
    /// Presses keys towards a caller.
    Press,
    List,
}

/// What goes wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Answered with this status, not carried out.
    Status(u16),
    /// Carried out; the connection is closed instead of an answer.
    DropAfter,
    /// Not carried out; the connection is closed.
    DropBefore,
    /// Carried out and never answered.
    NoAnswer,
    /// Never answered; carried out after that time.
    LateAndNoAnswer(Duration),
    /// Carried out; what is answered is no JSON.
    Garbage,
    /// The caller hangs up first.
    CallerHangsUp,
    /// The external channel dies first.
    ExternalDies,
    /// The event stream is closed first, and what happens until the next one is told to nobody.
    StreamCut,
}

#[derive(Clone, Debug)]
struct PeerChannel {
    in_app: bool,
    app_data: String,
}

/// What the event stream does.
enum Wire {
    Text(String),
    Cut,
}

#[derive(Default)]
struct State {
    channels: BTreeMap<String, PeerChannel>,
    bridges: BTreeMap<String, BTreeSet<String>>,
    faults: VecDeque<(Step, Fault)>,
    carried: Vec<(Step, String)>,
    /// Callers sent on in the dialplan.
    continued: Vec<String>,
    /// The places that they were sent to: `context,extension,priority`, or nothing.
    places: Vec<String>,
    /// What was pressed towards which caller, or `continue`.
    pressed: Vec<(String, String)>,
    /// The only place that is not in the dialplan.
    missing_place: String,
    stream: Option<UnboundedSender<Wire>>,
    /// Event streams opened.
    streams: usize,
    refused: usize,
    /// Event streams are accepted, but neither read nor written.
    mute: bool,
    callers: usize,
    /// Refuses every credential.
    refuse_user: bool,
    /// A caller who comes in while the channels are listed; the event is late.
    slips_in: Option<Duration>,
}

/// The peer; it ends when it is dropped.
pub struct Peer {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    /// The other end of every RTP channel.
    pub media: UdpSocket,
    _tasks: JoinSet<()>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

fn channel_json(id: &str, channel: &PeerChannel) -> Value {
    let app_name = if channel.in_app { "Stasis" } else { "Wait" };
    json!({
        "id": id, "name": format!("Test/{id}"), "state": "Ring",
        "caller": {"name": "", "number": "100"}, "connected": {"name": "", "number": ""},
        "accountcode": "", "creationtime": "2026-11-21T01:46:02.144+0000", "language": "en",
        "dialplan": {"context": "c", "exten": "s", "priority": 1,
            "app_name": app_name, "app_data": channel.app_data},
    })
}

impl State {
    fn tell(&self, event: &Value) {
        if let Some(stream) = &self.stream {
            let _ = stream.send(Wire::Text(event.to_string()));
        }
    }

    fn tell_of(&self, kind: &str, id: &str, channel: &PeerChannel, args: &[&str]) {
        self.tell(&json!({
            "type": kind, "timestamp": "2026-11-21T01:46:02.166+0000", "args": args,
            "application": APP, "asterisk_id": "x", "channel": channel_json(id, channel),
        }));
    }

    fn enter(&mut self, id: &str, args: &[&str], told: bool) {
        let app_data = [&[APP], args].concat().join(",");
        let channel = PeerChannel { in_app: true, app_data };
        if told {
            self.tell_of("StasisStart", id, &channel, args);
        }
        self.channels.insert(id.to_owned(), channel);
    }

    fn leave(&mut self, id: &str, gone: bool) -> bool {
        let Some(mut channel) = self.channels.remove(id) else { return false };
        for members in self.bridges.values_mut() {
            members.remove(id);
        }
        if channel.in_app {
            self.tell_of("StasisEnd", id, &channel, &[]);
        }
        if gone {
            self.tell_of("ChannelDestroyed", id, &channel, &[]);
        } else {
            channel.in_app = false;
            self.channels.insert(id.to_owned(), channel);
        }
        true
    }

    fn is_in_app(&self, id: &str) -> bool {
        self.channels.get(id).is_some_and(|channel| channel.in_app)
    }

    fn cut(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _ = stream.send(Wire::Cut);
        }
    }

    fn fault(&mut self, step: Step) -> Option<Fault> {
        let index = self.faults.iter().position(|(at, _)| *at == step)?;
        self.faults.remove(index).map(|(_, fault)| fault)
    }
}

impl Peer {
    /// Listens on a free port.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens on that port.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let media = UdpSocket::bind("127.0.0.1:0").unwrap();
        media.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let port = media.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(wire::connection(stream, Arc::clone(&shared), port));
            }
        });
        Self { state, address, media, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has this go wrong with the next such request.
    pub fn fail(&self, step: Step, fault: Fault) {
        lock(&self.state).faults.push_back((step, fault));
    }

    /// Faults that have not happened yet.
    pub fn faults_left(&self) -> usize {
        lock(&self.state).faults.len()
    }

    pub fn refuse_user(&self) {
        lock(&self.state).refuse_user = true;
    }

    pub fn mute(&self, mute: bool) {
        lock(&self.state).mute = mute;
    }

    /// The next list of channels has a new caller whose `StasisStart` comes that much later.
    pub fn caller_slips_in(&self, delay: Duration) {
        lock(&self.state).slips_in = Some(delay);
    }

    /// A caller enters `Stasis(sidetone,args…)`.
    pub fn call(&self, args: &[&str]) -> String {
        let mut state = lock(&self.state);
        let id = format!("1795225562.{}", state.callers);
        state.callers += 1;
        state.enter(&id, args, true);
        id
    }

    /// Puts a channel into the application of which no event tells.
    pub fn place_channel(&self, id: &str) {
        lock(&self.state).enter(id, &[], false);
    }

    /// Puts a bridge there.
    pub fn place_bridge(&self, id: &str) {
        lock(&self.state).bridges.insert(id.to_owned(), BTreeSet::new());
    }

    pub fn hang_up(&self, channel: &str) {
        lock(&self.state).leave(channel, true);
    }

    /// The channel goes on in the dialplan, sent by somebody else.
    pub fn leave_app(&self, channel: &str) {
        lock(&self.state).leave(channel, false);
    }

    /// Everything is gone, as after a restart of Asterisk; the stream with it.
    pub fn lose_everything(&self) {
        let mut state = lock(&self.state);
        state.cut();
        state.channels.clear();
        state.bridges.clear();
    }

    pub fn cut_stream(&self) {
        lock(&self.state).cut();
    }

    /// Sends a text on the event stream.
    pub fn say(&self, text: String) {
        if let Some(stream) = &lock(&self.state).stream {
            let _ = stream.send(Wire::Text(text));
        }
    }

    /// Event streams opened so far.
    pub fn streams(&self) -> usize {
        lock(&self.state).streams
    }

    pub fn has_stream(&self) -> bool {
        lock(&self.state).stream.as_ref().is_some_and(|stream| !stream.is_closed())
    }

    /// Requests turned away for their credentials.
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    pub fn has_channel(&self, id: &str) -> bool {
        lock(&self.state).channels.contains_key(id)
    }

    pub fn is_in_app(&self, id: &str) -> bool {
        lock(&self.state).is_in_app(id)
    }

    /// Whether the caller is in a bridge with another channel.
    pub fn is_bridged(&self, caller: &str) -> bool {
        let state = lock(&self.state);
        state.bridges.values().any(|members| members.len() == 2 && members.contains(caller))
    }

    pub fn continued(&self) -> Vec<String> {
        lock(&self.state).continued.clone()
    }

    /// The places that callers were sent to: `context,extension,priority`, or nothing.
    pub fn places(&self) -> Vec<String> {
        lock(&self.state).places.clone()
    }

    /// The keys of each request towards a caller, and `continue` where it was sent on.
    pub fn pressed(&self, caller: &str) -> Vec<String> {
        let state = lock(&self.state);
        let of_caller = state.pressed.iter().filter(|(id, _)| id == caller);
        of_caller.map(|(_, keys)| keys.clone()).collect()
    }

    /// Takes a place, `context,extension,priority`, out of the dialplan.
    pub fn remove_place(&self, place: &str) {
        lock(&self.state).missing_place = place.to_owned();
    }

    /// How often a request of that sort was carried out.
    pub fn carried(&self, step: Step) -> usize {
        lock(&self.state).carried.iter().filter(|(at, _)| *at == step).count()
    }

    /// Channels in the application and bridges.
    pub fn leftovers(&self) -> Vec<String> {
        let state = lock(&self.state);
        let channels = state.channels.iter().filter(|(_, channel)| channel.in_app);
        channels.map(|(id, _)| id.clone()).chain(state.bridges.keys().cloned()).collect()
    }
}
