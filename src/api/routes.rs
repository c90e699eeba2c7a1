use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use serde::Serialize;
use uuid::Uuid;

use super::problem::Problem;
use super::{Api, bots, twilio};
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
        .route("/v1/bots/{name}", get(bots::connect))
        .route("/2010-04-01/Accounts/{account}/Calls/{file}", post(twilio::update_call))
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
struct Calls<'a> {
    calls: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    call: CallSummary,
    waits_for: Option<&'a str>,
}

async fn calls(State(Api(state)): State<Api>) -> Response {
    let waits_for = |call| {
        let room = state.rooms.iter().find(|(_, room)| room.waits(call));
        room.map(|(name, _)| name.as_str())
    };
    let calls = state.media.calls().into_iter();
    let calls = calls.map(|call| Listed { waits_for: waits_for(call.id), call }).collect();
    Json(Calls { calls }).into_response()
}

#[derive(Serialize)]
struct Ending {
    id: CallId,
}

async fn end_call(
    State(Api(state)): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let id = call_id(&id)?;
    if !state.media.has_call(id) {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no call {id}")));
    }
    state.media.end(id, EndReason::Requested);
    Ok((StatusCode::ACCEPTED, Json(Ending { id })).into_response())
}

/// The call that this names.
pub(super) fn call_id(text: &str) -> Result<CallId, Problem> {
    let refuse = |_| {
        let why = format!("{text:?} is no call id, which is a UUID");
        Problem::new(StatusCode::BAD_REQUEST, why)
    };
    text.parse::<Uuid>().map(CallId::new).map_err(refuse)
}

async fn metrics(State(Api(state)): State<Api>) -> Result<Response, Problem> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &state.metrics)
        .map_err(|fault| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let why = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, why)
}
