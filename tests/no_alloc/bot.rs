//! A call that really talks with a bot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::engine::{Command, Input};
use sidetone::media::ReturnFormat;
use sidetone::processor::bot::BotFactory;
use sidetone::processor::player::{LoadPrompt, Prompt};
use sidetone::runtime::Clock;
use sidetone::runtime::bot::{BotService, BotSettings};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::Drive;
use crate::counting::allocations;
use crate::driver::{Sender, ms, peer, pipeline};

/// Frames between which the bot is waited for: all the pieces that its task lays ready, while the call
/// warms up, then half of them.
const WARM_UP: (u64, u64) = (20, 8);
const COUNTED: (u64, u64) = (100, 4);
/// The bot's rate, of samples in a millisecond.
const PER_MS: u64 = 16;

struct NoFiles;

impl LoadPrompt for NoFiles {
    fn load(&self, _name: &str, _rate: SampleRate) -> Arc<Prompt> {
        Arc::default()
    }
}

/// Samples with which the bot begins: nearly as much audio as the call's queue keeps its memory for.
const GREETING: u64 = 900 * PER_MS;

/// A bot that greets, and then says what it hears.
async fn echo_bot() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("ws://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("the service connects");
        let mut socket = accept_async(stream).await.expect("it wants a WebSocket");
        let greeting = vec![0; 2 * GREETING as usize];
        socket.send(Message::binary(greeting)).await.expect("it is read");
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    url
}

#[test]
fn a_call_that_really_talks_with_a_bot_allocates_nothing_either() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads can be started");
    let bot = threads.block_on(async {
        let settings = BotSettings {
            url: Some(echo_bot().await.parse().expect("a template")),
            rate: Some(SampleRate::HZ_16000),
            ..BotSettings::default()
        };
        BotService::new("test", settings, Clock::new()).expect("no files")
    });
    let behaviour = bot.settings().behaviour.clone();
    let factory = BotFactory::new(behaviour, Arc::new(bot.clone()), Arc::new(NoFiles));
    let format = MediaFormat::Ulaw;
    let mut drive = Drive::rtp(format, ReturnFormat::Auto, pipeline(vec![Arc::new(factory)]));
    let mut sender = Sender::new(format);
    let rounds = [WARM_UP, COUNTED].map(|(rounds, frames)| (0..rounds).map(move |_| frames));
    let mut said = 0;
    for (round, frames) in rounds.into_iter().flatten().enumerate() {
        let packets: Vec<_> = (0..frames).map(|n| (ms(20 * (said + n)), sender.packet())).collect();
        said += frames;
        let count = allocations(|| {
            for (at, bytes) in &packets {
                drive.input(*at, Input::Datagram { from: peer(), bytes });
                drive.input(*at, Input::Command(Command::Wake));
            }
        });
        assert!(frames == WARM_UP.1 || count == 0, "{count} allocations in round {round}");
        // A piece may be still to be filled, and the resampler has some of the latest audio.
        let whole = (20 * said).saturating_sub(40) * PER_MS + GREETING;
        let deadline = Clock::new().now() + Duration::from_secs(60);
        while bot.metrics().received_samples.load(Ordering::Relaxed) < whole {
            assert!(Clock::new().now() < deadline, "round {round}: {:?}", bot.metrics());
            thread::park_timeout(Duration::from_millis(5));
        }
    }
    assert_eq!(bot.metrics().dropped_samples.load(Ordering::Relaxed), 0);
    assert!(drive.audible > 0, "the caller heard the bot");
}
