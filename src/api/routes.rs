use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get};
use serde::Serialize;
use uuid::Uuid;

use super::Api;
use crate::call::{CallId, EndReason};
use crate::runtime::CallSummary;

/// The text form that `prometheus-client` writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/calls", get(calls))
        .route("/v1/calls/{id}", delete(end_call))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .with_state(api)
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    calls: usize,
    asterisk: Vec<Connection<'a>>,
}

#[derive(Serialize)]
struct Connection<'a> {
    name: &'a str,
    connected: bool,
}

/// A lost Asterisk does not make us unhealthy: to start us again would end the calls that run.
async fn health(State(Api(state)): State<Api>) -> Response {
    let (code, status) = if state.stopping.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else {
        (StatusCode::OK, "serving")
    };
    let asterisk = state
        .asterisk
        .iter()
        .map(|handle| Connection { name: handle.name(), connected: handle.is_connected() })
        .collect();
    let health = Health { status, calls: state.media.call_count(), asterisk };
    (code, Json(health)).into_response()
}

#[derive(Serialize)]
struct Calls {
    calls: Vec<CallSummary>,
}

async fn calls(State(Api(state)): State<Api>) -> Json<Calls> {
    Json(Calls { calls: state.media.calls() })
}

#[derive(Serialize)]
struct Ending {
    id: CallId,
}

async fn end_call(
    State(Api(state)): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let uuid = match id.map(|Path(id)| (id.parse::<Uuid>(), id)) {
        Ok((Ok(uuid), _)) => uuid,
        Ok((Err(_), id)) => {
            return error(
                StatusCode::BAD_REQUEST,
                format!("{id:?} is no call id, which is a UUID"),
            );
        }
        Err(rejection) => return error(StatusCode::BAD_REQUEST, rejection.body_text()),
    };
    let id = CallId::new(uuid);
    if !state.media.has_call(id) {
        return error(StatusCode::NOT_FOUND, format!("there is no call {id}"));
    }
    state.media.end(id, EndReason::Requested);
    (StatusCode::ACCEPTED, Json(Ending { id })).into_response()
}

async fn metrics(State(Api(state)): State<Api>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &state.metrics) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()),
    }
}

async fn not_found(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}

#[derive(Serialize)]
struct Problem {
    error: String,
}

fn error(status: StatusCode, error: String) -> Response {
    (status, Json(Problem { error })).into_response()
}
