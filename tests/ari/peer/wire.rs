//! The peer's sockets: requests and event streams.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::{APP, Fault, PASSWORD, State, Step, USER, Wire, lock};

/// Serves one connection.
pub(super) async fn connection(stream: TcpStream, state: Arc<Mutex<State>>, media_port: u16) {
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
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect();
    if !authorized || lock(state).refuse_user {
        lock(state).refused += 1;
        return Some((401, r#"{"message":"Authentication required"}"#.to_owned()));
    }
    let of_external = |id: Option<&str>| id.is_some_and(|id| id.starts_with("sidetone."));
    let step = match (method, path.as_slice()) {
        ("GET", ["channels", _, "variable"]) => Step::LookUp,
        ("GET", _) => Step::List,
        ("POST", ["channels", "externalMedia"]) => Step::CreateExternal,
        ("POST", ["channels", _, "answer"]) => Step::Answer,
        ("POST", ["channels", _, "continue"]) => Step::Release,
        ("POST", ["channels", _, "dtmf"]) => Step::Press,
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
        move || lock(&state).carry_out(&state, step, &method, &path, &query, media_port)
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

/// What is percent-encoded in requests of ours.
fn decoded(value: &str) -> String {
    [("%3A", ":"), ("%28", "("), ("%2C", ","), ("%29", ")"), ("%23", "#")]
        .iter()
        .fold(value.to_owned(), |text, (code, character)| text.replace(code, character))
}
