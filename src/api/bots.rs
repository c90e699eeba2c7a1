use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Api;
use super::problem::Problem;
use super::routes::call_id;
use super::upgrade::Upgrade;
use crate::runtime::bot::NoPlace;

#[derive(Deserialize)]
pub(super) struct Wanted {
    call: Option<String>,
}

/// Gives a bot that connects the call that it asks for, or the oldest that waits for it.
pub(super) async fn connect(
    State(Api(state)): State<Api>,
    name: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    upgrade: Result<Upgrade, Problem>,
) -> Result<Response, Problem> {
    let Path(name) = name?;
    let Some(room) = state.rooms.get(&name) else {
        let why = format!("there is no bot {name:?} that connects to us");
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    };
    let upgrade = upgrade?;
    let Query(Wanted { call }) = wanted?;
    let call = call.as_deref().map(call_id).transpose()?;
    Ok(upgrade.fill(room.take(call)?))
}

impl From<NoPlace> for Problem {
    fn from(none: NoPlace) -> Self {
        let status = match none {
            NoPlace::Nobody | NoPlace::Absent { .. } => StatusCode::NOT_FOUND,
            NoPlace::Taken { .. } => StatusCode::CONFLICT,
        };
        Self::new(status, none.to_string())
    }
}
