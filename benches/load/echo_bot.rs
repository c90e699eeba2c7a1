//! A bot that says what it hears: every binary message goes back as it came.

use std::net::TcpListener;
use std::thread;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Messages that are kept back, once, when a call begins: what comes a little late has gone by then
/// otherwise, and the caller hears a gap.
const CUSHION: usize = 3;

/// Serves any number of calls, on a thread of its own, as long as the process runs.
pub(crate) struct EchoBot {
    pub(crate) url: String,
}

impl EchoBot {
    /// One that stays on this thread's core.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        listener.set_nonblocking(true).expect("a socket can be told so");
        let url = format!("ws://{}/", listener.local_addr().expect("bound"));
        thread::spawn(move || {
            let threads = tokio::runtime::Builder::new_current_thread().enable_io().build();
            threads.expect("a runtime").block_on(serve(listener));
        });
        Self { url }
    }
}

async fn serve(listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime is there");
    loop {
        let (stream, _) = listener.accept().await.expect("there are descriptors left");
        // However it ends, the callers notice.
        tokio::spawn(talk(stream));
    }
}

/// One call, to its end.
async fn talk(stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut socket = accept_async(stream).await?;
    let mut kept = Vec::new();
    let mut keeps = true;
    while let Some(message) = socket.next().await {
        let message = message?;
        if !matches!(message, Message::Binary(_)) {
            continue;
        }
        if !keeps {
            socket.send(message).await?;
            continue;
        }
        kept.push(message);
        if kept.len() == CUSHION {
            keeps = false;
            for message in kept.drain(..) {
                socket.feed(message).await?;
            }
            socket.flush().await?;
        }
    }
    Ok(())
}
