//! A bot that connects to us, through the API of a whole server.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use sidetone::config::{Config, Override, Sources};
use sidetone::server::Server;
use sidetone::wire::audiosocket::{encode_audio, encode_uuid};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::media_rig::{SOON, block_on};

const CONFIG: &str = "[server]\nshards = 1\ngrace_ms = 0\n[rtp]\nport = 0\n\
                      [audiosocket]\nbind = \"127.0.0.1:0\"\naccept = \"any\"\n\
                      [api]\nbind = \"127.0.0.1:0\"\n[bot.helpdesk]\nrate_hz = 16000\n\
                      [pipelines]\ndefault = \"robot\"\n[pipelines.robot]\nprocessors = [\"bot\"]\n";

async fn serve() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidetone.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let flags: Vec<Override> = Vec::new();
    let sources = Sources { file: Some(&file), environment: Vec::new(), flags };
    let config = Config::load(sources, &Server::PROCESSORS).unwrap();
    Server::start(&config, |_| {}).await.unwrap()
}

/// A caller over AudioSocket who says so many frames, in real time.
async fn caller(address: SocketAddr, frames: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut out = Vec::new();
    encode_uuid(Uuid::from_u128(42), &mut out);
    stream.write_all(&out).await.unwrap();
    for _ in 0..frames {
        encode_audio(sidetone::audio::SampleRate::HZ_8000, &[1_000; 160], &mut out);
        stream.write_all(&out).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    stream
}

#[test]
fn a_bot_that_connects_gets_the_call_that_waits_and_hears_it_from_its_beginning() {
    block_on(async {
        let server = serve().await;
        let api = server.api_address().unwrap();
        let url = format!("ws://{api}/v1/bots/helpdesk");
        let refused = connect_async(&url).await.expect_err("no call waits");
        assert!(refused.to_string().contains("404"), "{refused}");
        let _caller = caller(server.audiosocket_address().unwrap(), 25).await;
        let (mut bot, _) = connect_async(&url).await.expect("a call waits");
        let mut heard = 0;
        let start = loop {
            match timeout(SOON, bot.next()).await.unwrap().unwrap().unwrap() {
                Message::Text(text) => break serde_json::from_str::<Value>(text.as_str()).unwrap(),
                Message::Binary(_) => panic!("audio before its start"),
                _ => {}
            }
        };
        assert_eq!((&start["type"], &start["media_ms"]), (&"start".into(), &0.into()));
        assert_eq!(start["audio"]["rate_hz"], 16_000);
        // Half a second that was said before, at twice the caller's rate.
        while heard < 7_000 {
            if let Message::Binary(bytes) =
                timeout(SOON, bot.next()).await.unwrap().unwrap().unwrap()
            {
                heard += bytes.len() / 2;
            }
        }
        assert!(connect_async(&url).await.is_err(), "the call has its bot");
        bot.send(Message::text(r#"{"type":"hangup"}"#)).await.unwrap();
        let end = async {
            while let Some(Ok(message)) = bot.next().await {
                if message.is_close() {
                    return;
                }
            }
        };
        timeout(SOON, end).await.expect("the bot is let go with the call");
        let gone = async {
            while server.media().call_count() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, gone).await.expect("the call is over");
        server.stop().await;
    });
}
