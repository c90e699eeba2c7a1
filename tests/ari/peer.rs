//! A small peer that speaks ARI as Asterisk 22 does, and fails as told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

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
                connections.spawn(connection(stream, Arc::clone(&shared), port));
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

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>, media_port: u16) {
    let mut start = [0; 16];
    let expected = b"GET /ari/events?";
    // A request line may come in pieces; ours do not.
    match stream.peek(&mut start).await {
        Ok(length) if length > 0 => {}
        _ => return,
    }
    if start == *expected {
        events(stream, state).await;
    } else {
        requests(stream, state, media_port).await;
    }
}

#[allow(clippy::result_large_err, reason = "the signature that the library wants")]
async fn events(stream: TcpStream, state: Arc<Mutex<State>>) {
    let authorized = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let header = request.headers().get("authorization");
        let given = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut state = lock(&state);
        if state.refuse_user || given != credentials() {
            state.refused += 1;
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::UNAUTHORIZED;
            return Err(refusal);
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, authorized).await else { return };
    let (sender, mut wire) = unbounded_channel();
    let mute = {
        let mut state = lock(&state);
        state.streams += 1;
        let replaced = json!({"type": "ApplicationReplaced", "application": APP});
        state.tell(&replaced);
        state.stream = Some(sender);
        state.mute
    };
    if mute {
        std::future::pending::<()>().await;
    }
    loop {
        tokio::select! {
            out = wire.recv() => match out {
                Some(Wire::Text(text)) => {
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Wire::Cut) => return,
                // Another stream has taken the application; this one stays open, as Asterisk's.
                None => std::future::pending().await,
            },
            message = socket.next() => match message {
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

fn credentials() -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!("Basic {encoded}")
}

async fn requests(mut stream: TcpStream, state: Arc<Mutex<State>>, media_port: u16) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let mut more = [0; 4096];
            match stream.read(&mut more).await {
                Ok(length) if length > 0 => read.extend_from_slice(&more[..length]),
                _ => return,
            }
        };
        let head = String::from_utf8(read.drain(..end + 4).take(end).collect()).unwrap();
        let mut lines = head.split("\r\n");
        let mut line = lines.next().unwrap().split(' ');
        let (method, target) = (line.next().unwrap().to_owned(), line.next().unwrap().to_owned());
        let header = |name: &str| {
            head.lines().skip(1).find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let body: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
        assert_eq!(body, 0, "no request of ours has a body");
        let authorized = header("authorization") == Some(&credentials());
        let Some((status, text)) = answer(&state, &method, &target, authorized, media_port).await
        else {
            return;
        };
        let answer = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The answer to a request; `None`: the connection is closed instead.
async fn answer(
    state: &Arc<Mutex<State>>,
    method: &str,
    target: &str,
    authorized: bool,
    media_port: u16,
) -> Option<(u16, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path: Vec<_> = path.strip_prefix("/ari/").unwrap_or_default().split('/').collect();
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("%3A", ":")))
        .collect();
    if !authorized || lock(state).refuse_user {
        lock(state).refused += 1;
        return Some((401, r#"{"message":"Authentication required"}"#.to_owned()));
    }
    let of_external = |id: Option<&str>| id.is_some_and(|id| id.starts_with("sidetone."));
    let step = match (method, path.as_slice()) {
        ("GET", _) => Step::List,
        ("POST", ["channels", "externalMedia"]) => Step::CreateExternal,
        ("POST", ["channels", _, "answer"]) => Step::Answer,
        ("POST", ["channels", _, "continue"]) => Step::Release,
        ("DELETE", ["channels", id]) if of_external(Some(*id)) => Step::RemoveExternal,
        ("DELETE", ["channels", _]) => Step::Release,
        ("POST", ["bridges", _, "addChannel"]) => {
            let external = of_external(query.get("channel").map(String::as_str));
            if external { Step::JoinExternal } else { Step::JoinCaller }
        }
        ("POST", ["bridges", ..]) => Step::CreateBridge,
        ("DELETE", ["bridges", _]) => Step::RemoveBridge,
        other => panic!("no such request: {other:?}"),
    };
    let fault = lock(state).fault(step);
    let carry = {
        let (state, query) = (Arc::clone(state), query.clone());
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        let method = method.to_owned();
        move || carry_out(&mut lock(&state), &state, step, &method, &path, &query, media_port)
    };
    match fault {
        None => Some(carry()),
        Some(Fault::Status(status)) => Some((status, r#"{"message":"told to fail"}"#.to_owned())),
        Some(Fault::DropBefore) => None,
        Some(Fault::DropAfter) => {
            carry();
            None
        }
        Some(Fault::NoAnswer) => {
            carry();
            std::future::pending().await
        }
        Some(Fault::LateAndNoAnswer(delay)) => {
            // Asterisk carries a request out although the one who asked has hung up.
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                carry();
            });
            std::future::pending().await
        }
        Some(Fault::Garbage) => {
            carry();
            Some((200, "<html>".to_owned()))
        }
        Some(Fault::CallerHangsUp) => {
            let callers: Vec<_> = {
                let state = lock(state);
                state.channels.keys().filter(|id| !of_external(Some(id))).cloned().collect()
            };
            for caller in callers {
                lock(state).leave(&caller, true);
            }
            Some(carry())
        }
        Some(Fault::ExternalDies) => {
            let external: Vec<_> = {
                let state = lock(state);
                state.channels.keys().filter(|id| of_external(Some(id))).cloned().collect()
            };
            for channel in external {
                lock(state).leave(&channel, true);
            }
            Some(carry())
        }
        Some(Fault::StreamCut) => {
            lock(state).cut();
            Some(carry())
        }
    }
}

fn carry_out(
    state: &mut State,
    shared: &Arc<Mutex<State>>,
    step: Step,
    method: &str,
    path: &[String],
    query: &BTreeMap<String, String>,
    media_port: u16,
) -> (u16, String) {
    let none = (204, String::new());
    let missing = (404, r#"{"message":"not found"}"#.to_owned());
    let id = path.get(1).cloned().unwrap_or_default();
    state.carried.push((step, id.clone()));
    match step {
        Step::List => list(state, shared, path),
        Step::Answer if state.is_in_app(&id) => none,
        Step::Answer => missing,
        Step::CreateBridge => {
            let id = query.get("bridgeId").cloned().unwrap_or(id);
            if state.bridges.contains_key(&id) {
                return (409, r#"{"message":"already exists"}"#.to_owned());
            }
            state.bridges.insert(id.clone(), BTreeSet::new());
            (200, json!({"id": id, "channels": []}).to_string())
        }
        Step::CreateExternal => {
            let id = query["channelId"].clone();
            state.enter(&id, &[], true);
            let mut channel = channel_json(&id, &state.channels[&id]);
            channel["channelvars"] = json!({
                "UNICASTRTP_LOCAL_ADDRESS": "0.0.0.0",
                "UNICASTRTP_LOCAL_PORT": media_port.to_string(),
            });
            (200, channel.to_string())
        }
        Step::JoinCaller | Step::JoinExternal => {
            let channel = query["channel"].clone();
            if !state.is_in_app(&channel) {
                return (422, r#"{"message":"Channel not in Stasis application"}"#.to_owned());
            }
            let Some(members) = state.bridges.get_mut(&id) else { return missing };
            members.insert(channel);
            none
        }
        Step::Release if method == "POST" => {
            if !state.is_in_app(&id) {
                return missing;
            }
            state.leave(&id, false);
            state.continued.push(id);
            none
        }
        Step::Release | Step::RemoveExternal => {
            if state.leave(&id, true) {
                none
            } else {
                missing
            }
        }
        Step::RemoveBridge => {
            if state.bridges.remove(&id).is_some() {
                none
            } else {
                missing
            }
        }
    }
}

fn list(state: &mut State, shared: &Arc<Mutex<State>>, path: &[String]) -> (u16, String) {
    match path[0].as_str() {
        "channels" => {
            if let Some(delay) = state.slips_in.take() {
                state.enter("slipped.1", &["echo"], false);
                let shared = Arc::clone(shared);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let state = lock(&shared);
                    let channel = &state.channels["slipped.1"];
                    state.tell_of("StasisStart", "slipped.1", channel, &["echo"]);
                });
            }
            let channels: Vec<_> =
                state.channels.iter().map(|(id, channel)| channel_json(id, channel)).collect();
            (200, Value::from(channels).to_string())
        }
        "bridges" => {
            let bridges: Vec<_> = state
                .bridges
                .iter()
                .map(|(id, channels)| json!({"id": id, "channels": channels}))
                .collect();
            (200, Value::from(bridges).to_string())
        }
        "applications" => {
            let inside = state.channels.iter().filter(|(_, channel)| channel.in_app);
            let ids: Vec<_> = inside.map(|(id, _)| id.clone()).collect();
            if ids.is_empty() && state.stream.is_none() {
                return (404, r#"{"message":"Application not found"}"#.to_owned());
            }
            let bridges: Vec<_> = state.bridges.keys().cloned().collect();
            (200, json!({"name": APP, "channel_ids": ids, "bridge_ids": bridges}).to_string())
        }
        other => panic!("no such list: {other}"),
    }
}
