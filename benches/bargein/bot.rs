//! A bot of Twilio Media Streams that plays a tone without end.

use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidetone::audio::SampleRate;
use sidetone::dsp::g711;
use sidetone::dsp::tone::Sine;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const HZ: f64 = 425.0;
/// As a share of full scale: −15 dBov, which is 11 dB louder than speech usually is.
const AMPLITUDE: f64 = 0.2515;

/// Audio of a message: a synthesis sends what it has, much faster than real time.
const SECONDS: usize = 1;

/// More than any trial takes.
const MESSAGES: usize = 10;

/// Listens as long as the process runs.
pub(crate) struct ToneBot {
    pub(crate) url: String,
}

impl ToneBot {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("ws://{}/", listener.local_addr().expect("bound"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    if let Err(error) = talk(stream)
                        && !matches!(error, tungstenite::Error::ConnectionClosed)
                    {
                        println!("the bot's connection: {error}");
                    }
                });
            }
        });
        Self { url }
    }
}

/// One call, to its end.
fn talk(stream: TcpStream) -> Result<(), tungstenite::Error> {
    stream.set_nodelay(true)?;
    let mut socket = tungstenite::accept(stream).map_err(|error| match error {
        tungstenite::HandshakeError::Failure(error) => error,
        tungstenite::HandshakeError::Interrupted(_) => unreachable!("the stream blocks"),
    })?;
    loop {
        let Message::Text(text) = socket.read()? else { continue };
        let message: Value = serde_json::from_str(&text).expect("every message is JSON");
        if message["event"] == "start" {
            play(&mut socket, &message["streamSid"])?;
        }
    }
}

fn play(socket: &mut WebSocket<TcpStream>, stream: &Value) -> Result<(), tungstenite::Error> {
    let mut sine = Sine::new(HZ, SampleRate::HZ_8000, AMPLITUDE);
    for _ in 0..MESSAGES {
        let mut samples = vec![0; SECONDS * 8000];
        sine.fill(&mut samples);
        let mut payload = vec![0; samples.len()];
        g711::ulaw_encode(&samples, &mut payload);
        let media = json!({ "payload": STANDARD.encode(payload) });
        let message = json!({ "event": "media", "streamSid": stream, "media": media });
        socket.send(Message::text(message.to_string()))?;
    }
    Ok(())
}
