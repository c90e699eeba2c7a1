//! A service or a bot of the test's own, that fails as told.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sidetone::audio::SampleRate;
use sidetone::dsp::opus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// What a peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trade {
    /// A recogniser that speaks Vosk's dialect.
    Vosk,
    /// A recogniser that speaks Deepgram's dialect and gets Opus, which it decodes at 8 kHz.
    Deepgram,
    /// A bot that says what it hears, in the dialect `sidetone`.
    EchoBot,
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Every message is answered.
    Good,
    /// The same for ten messages, then it is closed in good order.
    Ends,
    /// The request is refused.
    Refuses,
    /// The connection dies after ten messages.
    Killed,
    /// Nothing is read.
    Stalled,
    /// A message of which one byte comes each second.
    Dribbles,
    /// What comes is not WebSocket.
    Noise,
    /// A message of 100 MB.
    Huge,
    /// Answers that are no JSON.
    Garbage,
    /// Answers of bytes.
    Binary,
}

/// What came on the connections, in their order.
#[derive(Default)]
struct Seen {
    /// Path and query of each request.
    requests: Vec<String>,
    connections: Vec<Vec<i16>>,
    texts: Vec<String>,
}

pub struct Peer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Peer {
    /// A peer whose first connections behave so, and all later ones like the last.
    pub async fn start(trade: Trade, behaviours: &[Behaviour]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (log, behaviours) = (Arc::clone(&seen), behaviours.to_vec());
        let task = tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let behaviour = behaviours[number.min(behaviours.len() - 1)];
                log.lock().unwrap().connections.push(Vec::new());
                tokio::spawn(serve(stream, (trade, behaviour), Arc::clone(&log), number));
            }
        });
        Self { address, seen, task }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The audio that came on a connection.
    pub fn heard(&self, connection: usize) -> Vec<i16> {
        let seen = self.seen.lock().unwrap();
        seen.connections.get(connection).cloned().unwrap_or_default()
    }

    /// Path and query of each request.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// The messages of text that came on all of them.
    pub fn texts(&self) -> Vec<String> {
        self.seen.lock().unwrap().texts.clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections.len()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    (trade, behaviour): (Trade, Behaviour),
    seen: Arc<Mutex<Seen>>,
    number: usize,
) {
    if behaviour == Behaviour::Refuses {
        let _ = stream.read(&mut [0; 2_048]).await;
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        return;
    }
    let log = Arc::clone(&seen);
    #[allow(clippy::result_large_err, reason = "tungstenite's own type of an answer")]
    let note = move |request: &Request, response: Response| {
        log.lock().unwrap().requests.push(request.uri().to_string());
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, note).await else { return };
    match behaviour {
        Behaviour::Stalled => std::future::pending().await,
        Behaviour::Dribbles => {
            let stream = socket.get_mut();
            let mut next: &[u8] = &[0x81, 100];
            while stream.write_all(next).await.is_ok() {
                next = b"{";
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            return;
        }
        Behaviour::Noise => {
            let _ = socket.get_mut().write_all(&[0xff; 300]).await;
            std::future::pending::<()>().await;
        }
        Behaviour::Huge => {
            let mut head = vec![0x81, 127];
            head.extend((100_u64 << 20).to_be_bytes());
            let stream = socket.get_mut();
            let _ = stream.write_all(&head).await;
            for _ in 0..100 {
                if stream.write_all(&vec![b'x'; 1 << 20]).await.is_err() {
                    return;
                }
            }
            return;
        }
        _ => {}
    }
    let mut ear = Ear::of(trade);
    let mut messages = 0;
    while let Some(Ok(message)) = socket.next().await {
        let answer = match message {
            Message::Binary(bytes) => {
                seen.lock().unwrap().connections[number].extend(ear.hear(&bytes));
                messages += 1;
                match (behaviour, messages) {
                    (Behaviour::Killed, 10) => return,
                    (Behaviour::Ends, 10) => {
                        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                        let _ = socket.close(Some(frame)).await;
                        while let Some(Ok(_)) = socket.next().await {}
                        return;
                    }
                    _ => answer(trade, behaviour, messages, bytes),
                }
            }
            Message::Text(text) => {
                let Some(last) = last_answer(trade, &text) else {
                    seen.lock().unwrap().texts.push(text.as_str().to_owned());
                    continue;
                };
                let _ = socket.send(Message::text(last)).await;
                let _ = socket.close(None).await;
                while let Some(Ok(_)) = socket.next().await {}
                return;
            }
            _ => continue,
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}

/// How audio comes.
enum Ear {
    Linear16,
    Opus(opus::Decoder),
}

impl Ear {
    fn of(trade: Trade) -> Self {
        match trade {
            Trade::Vosk | Trade::EchoBot => Self::Linear16,
            Trade::Deepgram => Self::Opus(opus::Decoder::new(SampleRate::HZ_8000).unwrap()),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<i16> {
        match self {
            Self::Linear16 => {
                bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
            }
            Self::Opus(decoder) => {
                let mut samples = Vec::new();
                decoder.decode(bytes, &mut samples).unwrap();
                samples
            }
        }
    }
}

/// The answer to a message of text upon which the peer closes: it says "bye", which its ear hears from
/// 100 ms to 400 ms of the audio.
fn last_answer(trade: Trade, text: &str) -> Option<String> {
    match (trade, text) {
        (Trade::Vosk, r#"{"eof" : 1}"#) => {
            let word = r#"{"conf":1.0,"start":0.1,"end":0.4,"word":"bye"}"#;
            Some(format!(r#"{{"result":[{word}],"text":"bye"}}"#))
        }
        (Trade::Deepgram, r#"{"type":"CloseStream"}"#) => {
            // A decoder of Opus hears everything 6.5 ms later.
            let word = r#"{"confidence":1.0,"start":0.1065,"end":0.4065,"word":"bye"}"#;
            Some(deepgram_results(true, &format!(r#"{{"transcript":"bye","words":[{word}]}}"#)))
        }
        _ => None,
    }
}

fn deepgram_results(is_final: bool, best: &str) -> String {
    format!(
        r#"{{"type":"Results","start":0.0,"duration":0.5,"is_final":{is_final},
        "channel":{{"alternatives":[{best}]}}}}"#
    )
}

fn answer(trade: Trade, behaviour: Behaviour, messages: usize, heard: Bytes) -> Message {
    match (behaviour, trade) {
        (Behaviour::Garbage, _) => Message::text("\u{1}]{"),
        (Behaviour::Binary, _) => Message::binary(vec![0; 5_000]),
        (_, Trade::EchoBot) => Message::Binary(heard),
        (_, Trade::Deepgram) => {
            let best = format!(r#"{{"transcript":"after {messages}"}}"#);
            Message::text(deepgram_results(false, &best))
        }
        (_, Trade::Vosk) => Message::text(format!(r#"{{"partial":"after {messages}"}}"#)),
    }
}
