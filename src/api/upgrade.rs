use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::problem::Problem;
use crate::runtime::bot::Place;
use crate::runtime::link::derive_accept_key;

/// A request to go on as a WebSocket (RFC 6455 section 4.2.1).
pub(super) struct Upgrade {
    key: HeaderValue,
    connection: OnUpgrade,
}

impl Upgrade {
    /// Answers the request; once the answer has left, the call in `place` has its bot.
    pub(super) fn fill(self, place: Place) -> Response {
        let accept = derive_accept_key(self.key.as_bytes());
        let connection = self.connection;
        tokio::spawn(async move {
            let call = place.call();
            match connection.await {
                Ok(stream) => place.fill(TokioIo::new(stream)).await,
                Err(error) => debug!(call.id = %call, %error, "a bot was gone before its answer"),
            }
        });
        let headers = [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_ACCEPT, &accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let refuse = |status, why: &str| Err(Problem::new(status, why));
        let headers = &parts.headers;
        let asked = parts.method == Method::GET
            && has(headers, &header::CONNECTION, "upgrade")
            && has(headers, &header::UPGRADE, "websocket");
        if !asked {
            return refuse(StatusCode::UPGRADE_REQUIRED, "only WebSockets connect here");
        }
        if !has(headers, &header::SEC_WEBSOCKET_VERSION, "13") {
            return refuse(StatusCode::UPGRADE_REQUIRED, "only version 13 of WebSocket is known");
        }
        if is_foreign(headers) {
            return refuse(
                StatusCode::FORBIDDEN,
                "web pages of other origins may not connect here",
            );
        }
        let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).cloned() else {
            return refuse(StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is missing");
        };
        match parts.extensions.remove::<OnUpgrade>() {
            Some(connection) => Ok(Self { key, connection }),
            None => refuse(StatusCode::UPGRADE_REQUIRED, "HTTP/1.1 is needed for a WebSocket"),
        }
    }
}

/// Whether a header's list has this word in it, in whatever case.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
}

/// Whether a browser connects on behalf of a page that is not from here: every page may, and would
/// get what those who reach us from the same machine may have (RFC 6455 section 10.2).
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let text = |value: &HeaderValue| value.to_str().map(str::to_ascii_lowercase).ok();
    let origin = text(origin).and_then(|origin| Some(origin.split_once("://")?.1.to_owned()));
    origin.is_none() || origin != headers.get(header::HOST).and_then(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_is_told_from_all_else() {
        for (origin, foreign) in [
            (None, false),
            (Some("http://127.0.0.1:9093"), false),
            (Some("HTTPS://127.0.0.1:9093"), false),
            (Some("http://127.0.0.1"), true),
            (Some("https://evil.example"), true),
            (Some("null"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:9093"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_foreign(&headers), foreign, "{origin:?}");
        }
    }
}
