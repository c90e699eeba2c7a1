//! Both ways: what the caller says reaches the bot whole, and the other way round, however it comes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use sidetone::audio::SampleRate;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::media_rig::block_on;
use crate::rig::{Rig, quick, sounds};
use crate::steady::steady;
use crate::websocket_peer::{Behaviour, Peer, Trade};

type Socket = WebSocketStream<TcpStream>;

/// A bot that takes one connection, and does `talk` on it.
async fn bot<F, T>(talk: impl FnOnce(Socket) -> F + Send + 'static) -> (String, JoinHandle<T>)
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/talk?call={{call_id}}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        talk(tokio_tungstenite::accept_async(stream).await.unwrap()).await
    });
    (url, task)
}

/// The next message of that type.
async fn next(socket: &mut Socket, wanted: &str) -> Value {
    loop {
        let message = socket.next().await.expect("the connection is open").unwrap();
        if let Message::Text(text) = message {
            let told: Value = serde_json::from_str(text.as_str()).unwrap();
            if told["type"] == wanted {
                return told;
            }
        }
    }
}

async fn wish(socket: &mut Socket, wish: &str) {
    socket.send(Message::text(wish.to_owned())).await.unwrap();
}

/// So many samples, none of which is silence.
fn audio(samples: usize) -> Message {
    Message::binary([0x11, 0x22].repeat(samples))
}

#[test]
fn a_bot_that_says_what_it_hears_is_an_echo_to_the_last_sample() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::EchoBot, &[Behaviour::Good]).await;
            let rig = Rig::start(quick(&peer.url())).await;
            let (call, other) = tokio::join!(rig.call("bot", 150, 1), rig.call("bot", 150, 2));
            for call in [&call, &other] {
                assert!(sounds(&call.heard) == call.said, "something is lost or changed");
            }
            rig.stop().await;
        });
    });
}

#[test]
fn a_bot_of_another_rate_hears_and_speaks_at_its_own() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::EchoBot, &[Behaviour::Good]).await;
            let mut settings = quick(&peer.url());
            settings.rate = Some(SampleRate::HZ_24000);
            let rig = Rig::start(settings).await;
            let call = rig.call("bot", 150, 1).await;
            let start: Value = serde_json::from_str(&peer.texts()[0]).unwrap();
            assert_eq!(start["audio"]["rate_hz"], 24_000);
            // Three times as many samples, from the call's begin on, silence included.
            let heard = peer.heard(0).len();
            assert!(heard >= 3 * call.said.len(), "{heard} samples");
            // The same loudness comes back, but for what a filter takes of noise.
            let power =
                |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
            let ratio = power(&call.heard) / power(&call.said);
            assert!((0.7..1.0).contains(&ratio), "{ratio}");
            rig.stop().await;
        });
    });
}

#[test]
fn a_bot_may_send_faster_than_it_is_played_and_is_told_what_the_caller_heard() {
    steady(|| {
        block_on(async {
            let (url, bot) = bot(|mut socket| async move {
                let start = next(&mut socket, "start").await;
                // 30 s in one message, then more in small ones.
                socket.send(audio(240_000)).await.unwrap();
                let xoff = next(&mut socket, "xoff").await;
                wish(&mut socket, r#"{"type":"mark","name":"end"}"#).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                wish(&mut socket, r#"{"type":"clear"}"#).await;
                let cleared = next(&mut socket, "playback").await;
                let mark = next(&mut socket, "mark").await;
                let xon = next(&mut socket, "xon").await;
                for _ in 0..50 {
                    socket.send(audio(80)).await.unwrap();
                }
                wish(&mut socket, r#"{"type":"mark","name":"again"}"#).await;
                let again = next(&mut socket, "mark").await;
                wish(&mut socket, r#"{"type":"hangup"}"#).await;
                let stop = next(&mut socket, "stop").await;
                [start, xoff, xon, cleared, mark, again, stop]
            })
            .await;
            let rig = Rig::start(quick(&url)).await;
            let call = rig.call("bot", 250, 1).await;
            let [_, xoff, _, cleared, mark, again, stop] = bot.await.unwrap();
            let ms = |told: &Value, key: &str| told[key].as_u64().unwrap();
            assert!((29_000..=30_000).contains(&ms(&xoff, "queued_ms")), "{xoff}");
            assert_eq!(
                (&cleared["state"], &cleared["reason"]),
                (&"cleared".into(), &"asked".into())
            );
            let played = ms(&cleared, "played_ms");
            assert_eq!(played + ms(&cleared, "discarded_ms"), 30_000);
            assert!((400..1_000).contains(&played), "{cleared}");
            assert_eq!((&mark["name"], &mark["played"]), (&"end".into(), &false.into()));
            assert_eq!((&again["name"], &again["played"]), (&"again".into(), &true.into()));
            assert_eq!(stop["reason"], "processor");
            // What was told to be played is what was heard.
            let heard = sounds(&call.heard).len() as u64 / 8;
            assert!(heard.abs_diff(played + 500) <= 20, "{heard} ms of {played} and 500");
            rig.stop().await;
        });
    });
}

#[test]
fn a_bot_of_which_far_too_much_waits_is_read_no_further_until_there_is_room() {
    steady(|| {
        block_on(async {
            let (url, bot) = bot(|mut socket| async move {
                next(&mut socket, "start").await;
                // 200 s: a hundred messages of 2 s, of which the call takes 2 s at a time.
                let sending = async {
                    for _ in 0..100 {
                        if socket.send(audio(16_000)).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::time::timeout(Duration::from_secs(2), sending).await.is_err()
            })
            .await;
            let mut settings = quick(&url);
            settings.session.max_queued = Duration::from_secs(2);
            settings.behaviour.xoff = Duration::from_secs(1);
            settings.behaviour.xon = Duration::from_millis(500);
            let rig = Rig::start(settings).await;
            let call = rig.call("bot", 100, 1).await;
            let received = rig.bot.metrics();
            let received = received.received_samples.load(std::sync::atomic::Ordering::Relaxed);
            // What was played, what waits, and a message on its way.
            assert!(received <= (3 + 2 + 2) * 8_000, "{received} samples were taken");
            assert!(sounds(&call.heard).len() > 8_000);
            drop(bot);
            rig.stop().await;
        });
    });
}
