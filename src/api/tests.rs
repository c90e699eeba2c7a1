//! What bots and clients of Twilio ask for, over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use futures_util::FutureExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::call::CallId;
use crate::media::MediaSettings;
use crate::processor::recorder::RecorderSettings;
use crate::processor::{EchoFactory, Registry};
use crate::runtime::link::{Link, LinkError, LinkEvent, LinkRequest, LinkSettings, tls};
use crate::runtime::recording::Recordings;
use crate::runtime::{AudioSocketSettings, Clock, RtpSettings, Runtime, RuntimeSettings, Secret};

/// Far beyond what any step takes.
const LIMIT: Duration = Duration::from_secs(20);

const LINKS: LinkSettings =
    LinkSettings { write_timeout: LIMIT, ping_every: LIMIT, max_message_bytes: 64 << 10 };

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const OPEN_ACCOUNT: &str = "AC00000000000000000000000000000002";

/// The media side with its API, a bot named `helpdesk` and two accounts.
struct Rig {
    runtime: Runtime,
    recordings: Recordings,
    room: WaitingRoom,
    address: SocketAddr,
    _folder: TempDir,
}

/// Status, head and body of an answer.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().to_owned();
        let clock = Clock::new();
        let settings = RecorderSettings { directory, ..RecorderSettings::default() };
        let recordings = Recordings::start(settings, clock).expect("a thread");
        let mut registry = Registry::default();
        registry.add_processor("echo", Arc::new(EchoFactory::default()));
        registry.add_pipeline("echo", &["echo"]).expect("it is there");
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = RuntimeSettings {
            shards: 1,
            rtp: RtpSettings { port: 0, ..RtpSettings::default() },
            audiosocket: AudioSocketSettings { bind: free, ..AudioSocketSettings::default() },
            ..RuntimeSettings::default()
        };
        let pipeline = registry.pipeline("echo").expect("it is there");
        let media = MediaSettings::default();
        let runtime = Runtime::start(&settings, &media, pipeline, recordings.clone(), clock)
            .await
            .expect("free ports");
        let room = WaitingRoom::new(LINKS);
        let account = |sid: &str, token: Option<&str>| TwilioAccount {
            account_sid: sid.to_owned(),
            auth_token: token.map(Secret::new),
        };
        let api = Api::new(ApiParts {
            media: runtime.handle().clone(),
            recordings: Arc::clone(recordings.metrics()),
            stt: Vec::new(),
            asterisk: Vec::new(),
            bots: Vec::new(),
            rooms: BTreeMap::from([("helpdesk".to_owned(), room.clone())]),
            accounts: vec![account(ACCOUNT, Some("token")), account(OPEN_ACCOUNT, None)],
        });
        let settings = ApiSettings { enabled: true, bind: free };
        let (listener, address) = bind(&settings).await.expect("a free port").expect("enabled");
        tokio::spawn(api.serve(listener, std::future::pending()));
        Self { runtime, recordings, room, address, _folder: folder }
    }

    /// A call over AudioSocket.
    async fn call(&self) -> (CallId, TcpStream) {
        let media = self.runtime.handle();
        let listener = self.runtime.audiosocket_address().expect("a listener");
        let mut stream = TcpStream::connect(listener).await.expect("a connection");
        stream.write_all(&[&[1, 0, 16][..], &[7; 16]].concat()).await.expect("open");
        // The call is there when it is heard.
        stream.read_exact(&mut [0; 3]).await.expect("silence");
        (media.calls().last().expect("a call").id, stream)
    }

    /// Asks for something, with further lines of the head.
    async fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{more}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut text = String::new();
        timeout(LIMIT, stream.read_to_string(&mut text)).await.expect("in time").expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answer {
            status: status.expect("a status"),
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).expect("JSON"),
        }
    }

    /// What a client of Twilio posts.
    async fn update(&self, account: &str, sid: &str, login: Option<&str>, form: &str) -> Answer {
        let path = format!("/2010-04-01/Accounts/{account}/Calls/{sid}.json");
        let login = login.map(|login| format!("Authorization: Basic {}\r\n", BASE64.encode(login)));
        let more = format!(
            "Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n{}",
            login.unwrap_or_default()
        );
        self.ask("POST", &path, &more, form).await
    }

    /// Connects as the bot of this name and query.
    async fn connect(&self, bot: &str) -> Result<Link, LinkError> {
        let request = LinkRequest {
            url: format!("ws://{}/v1/bots/{bot}", self.address),
            headers: Vec::new(),
            connect_timeout: LIMIT,
        };
        Link::connect(&request, &LINKS, &tls::client_config(None).expect("TLS")).await
    }

    async fn stop(self) {
        timeout(LIMIT, self.runtime.stop()).await.expect("it stops");
        let recordings = self.recordings;
        tokio::task::spawn_blocking(move || recordings.shutdown()).await.expect("it stops");
    }
}

/// What comes first on a link, besides that something has left.
async fn heard(link: &mut Link) -> Result<LinkEvent, LinkError> {
    loop {
        let event = link.next().await;
        if event != Ok(LinkEvent::Free) {
            return event;
        }
    }
}

/// The name by which clients of Twilio know a call.
fn sid(call: CallId) -> String {
    format!("CA{}", call.uuid().simple())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_connects_has_the_oldest_call_or_the_one_that_it_asks_for() {
    let rig = Rig::start().await;
    let [old, middle, new] = [1, 2, 3].map(|number| CallId::new(Uuid::from_u128(number)));
    let mut waiters = [new, old, middle].map(|call| rig.room.wait(call));
    let asked = rig.connect(&format!("helpdesk?call={new}")).await.expect("it waits");
    let oldest = rig.connect("helpdesk").await.expect("two wait");
    let [asked_for, oldest_one, left] = &mut waiters;
    let text = |text: &str| Ok(LinkEvent::Text(text.into()));
    for (waiter, mut bot) in [(asked_for, asked), (oldest_one, oldest)] {
        let mut link = timeout(LIMIT, waiter.link()).await.expect("the bot has come");
        link.send("to the bot");
        bot.send("to the call");
        let heard = tokio::join!(heard(&mut link), heard(&mut bot));
        assert_eq!(heard, (text("to the call"), text("to the bot")));
        link.close().await;
    }
    assert!(left.link().now_or_never().is_none());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bot_cannot_have_is_refused() {
    let rig = Rig::start().await;
    let absent = Uuid::from_u128(1);
    for (bot, status) in [
        ("nobody".to_owned(), 404),
        ("helpdesk".to_owned(), 404),
        (format!("helpdesk?call={absent}"), 404),
        ("helpdesk?call=x".to_owned(), 400),
        ("helpdesk?call=".to_owned(), 400),
        ("%ff".to_owned(), 400),
    ] {
        let refused = rig.connect(&bot).await.err();
        assert_eq!(refused, Some(LinkError::Refused { status }), "{bot}");
    }
    let call = CallId::new(Uuid::from_u128(2));
    let mut waiter = rig.room.wait(call);
    let bot = rig.connect("helpdesk").await.expect("it waits");
    let refused = rig.connect(&format!("helpdesk?call={call}")).await.err();
    assert_eq!(refused, Some(LinkError::Refused { status: 409 }));
    drop((timeout(LIMIT, waiter.link()).await.expect("the bot has come"), bot));

    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (head, status) in [
        ("Connection: close\r\n".to_owned(), 426),
        (format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\nConnection: close\r\n"), 426),
        (format!("{upgrade}{version}Connection: close\r\n"), 400),
        (format!("{upgrade}{version}{key}Origin: null\r\nConnection: close\r\n"), 403),
    ] {
        let Answer { status: actual, head: told, body } =
            rig.ask("GET", "/v1/bots/helpdesk", &head, "").await;
        assert_eq!(actual, status, "{head}: {told}");
        assert!(body["error"].as_str().is_some_and(|text| text.len() > 5), "{body}");
        assert_eq!(told.contains("\r\nupgrade: websocket"), status == 426, "{told}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_listed_with_the_bot_that_it_waits_for() {
    let rig = Rig::start().await;
    let (call, _stream) = rig.call().await;
    let list = async || {
        let mut answer = rig.ask("GET", "/v1/calls", "Connection: close\r\n", "").await;
        let call = answer.body["calls"][0].take();
        assert_eq!(call["pipeline"], "echo", "{call}");
        call["waits_for"].clone()
    };
    assert_eq!(list().await, Value::Null);
    let waiter = rig.room.wait(call);
    assert_eq!(list().await, "helpdesk");
    drop(waiter);
    assert_eq!(list().await, Value::Null);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_ended_as_clients_of_twilio_end_it() {
    let rig = Rig::start().await;
    for (account, login, form) in [
        (ACCOUNT, Some("AC00000000000000000000000000000001:token"), "Status=completed"),
        (OPEN_ACCOUNT, None, "Status=canceled"),
    ] {
        let (call, mut stream) = rig.call().await;
        let sid = sid(call);
        let Answer { status, body, .. } = rig.update(account, &sid, login, form).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!((&body["sid"], &body["account_sid"]), (&sid.clone().into(), &account.into()));
        assert_eq!(body["status"], "completed");
        let uri = format!("/2010-04-01/Accounts/{account}/Calls/{sid}.json");
        assert_eq!(body["uri"], uri);
        let mut rest = Vec::new();
        // However it is closed, it is closed.
        let _ = timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("the call is ended");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_twilio_are_refused_in_words_that_they_know() {
    let rig = Rig::start().await;
    let (call, _stream) = rig.call().await;
    let (good, gone) = (sid(call), sid(CallId::new(Uuid::from_u128(1))));
    let login = Some("AC00000000000000000000000000000001:token");
    let ends = "Status=completed";
    for (account, sid, login, form, status, code) in [
        (ACCOUNT, &good, None, ends, 401, 20_003),
        (ACCOUNT, &good, Some("AC00000000000000000000000000000001:tokem"), ends, 401, 20_003),
        (ACCOUNT, &good, Some("AC00000000000000000000000000000002:token"), ends, 401, 20_003),
        (ACCOUNT, &good, Some("no colon"), ends, 401, 20_003),
        ("AC3", &good, login, ends, 404, 20_404),
        (ACCOUNT, &gone, login, ends, 404, 20_404),
        (ACCOUNT, &"CA1".to_owned(), login, ends, 404, 20_404),
        (ACCOUNT, &call.to_string(), login, ends, 404, 20_404),
        (ACCOUNT, &good, login, "", 400, 20_001),
        (ACCOUNT, &good, login, "Status=busy", 400, 20_001),
        (ACCOUNT, &good, login, "Twiml=%3CResponse%2F%3E", 400, 20_001),
        (ACCOUNT, &good, login, "Status=completed&Url=http%3A%2F%2Fbot", 400, 20_001),
    ] {
        let answer = rig.update(account, sid, login, form).await;
        let Answer { status: actual, head, body } = answer;
        assert_eq!(actual, status, "{account} {sid} {login:?} {form}: {body}");
        assert_eq!((&body["code"], &body["status"]), (&code.into(), &status.into()), "{form}");
        assert!(body["message"].as_str().is_some_and(|text| text.len() > 5), "{body}");
        let more = format!("https://www.twilio.com/docs/errors/{code}");
        assert_eq!(body["more_info"], more);
        assert_eq!(head.contains("www-authenticate: basic"), status == 401, "{head}");
    }
    assert!(rig.runtime.handle().has_call(call), "it goes on");
    rig.stop().await;
}
