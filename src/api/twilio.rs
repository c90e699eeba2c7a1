use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Value, json};

use super::Api;
use crate::call::EndReason;
use crate::processor::bot::CallSid;
use crate::runtime::Secret;

/// The part of Twilio's paths that names the version.
const VERSION: &str = "2010-04-01";

/// Who may end calls as clients of Twilio do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TwilioAccount {
    /// What stands in the path, and is the user.
    pub account_sid: String,
    /// The password; `None`: none is asked for.
    pub auth_token: Option<Secret>,
}

impl TwilioAccount {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.auth_token else { return true };
        let Some((user, password)) = credentials(headers) else { return false };
        // Both are looked at in any case.
        token.matches(&password) & (user == self.account_sid)
    }
}

/// Why Twilio's clients are refused, in the form in which they read it. The codes are Twilio's.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Unknown parameters.
    Parameters(String),
    /// Permission denied.
    Denied,
    /// Not found.
    Absent(String),
}

#[derive(Serialize)]
struct Body {
    code: u32,
    message: String,
    more_info: String,
    status: u16,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Parameters(message) => (StatusCode::BAD_REQUEST, 20_001, message),
            Self::Denied => {
                let message = "the account's SID and its auth token are needed".to_owned();
                (StatusCode::UNAUTHORIZED, 20_003, message)
            }
            Self::Absent(message) => (StatusCode::NOT_FOUND, 20_404, message),
        };
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let body = Json(Body { code, message, more_info, status: status.as_u16() });
        if status == StatusCode::UNAUTHORIZED {
            return (status, [(header::WWW_AUTHENTICATE, "Basic realm=\"sidetone\"")], body)
                .into_response();
        }
        (status, body).into_response()
    }
}

/// Ends a call for a client of Twilio that sets its status.
pub(super) async fn update_call(
    State(Api(state)): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Json<Value>, Refusal> {
    let Path((account, file)) = path.map_err(|fault| Refusal::Absent(fault.body_text()))?;
    let mut accounts =
        state.accounts.iter().filter(|known| known.account_sid == account).peekable();
    if accounts.peek().is_none() {
        return Err(Refusal::Absent(format!("there is no account {account:?}")));
    }
    if !accounts.any(|account| account.admits(&headers)) {
        return Err(Refusal::Denied);
    }
    let sid = file.strip_suffix(".json").unwrap_or(&file);
    let call = sid.parse::<CallSid>().map(CallSid::call).ok();
    let call = call.filter(|call| state.media.has_call(*call));
    let call = call.ok_or_else(|| Refusal::Absent(format!("there is no call {sid:?}")))?;
    let Form(parameters) = form.map_err(|fault| Refusal::Parameters(fault.body_text()))?;
    check(&parameters)?;
    state.media.end(call, EndReason::Requested);
    Ok(Json(completed(&account, sid)))
}

/// Whether the parameters say that the call is to end, and nothing else.
fn check(parameters: &[(String, String)]) -> Result<(), Refusal> {
    let mut ends = false;
    for (name, value) in parameters {
        match (name.as_str(), value.as_str()) {
            ("Status", "completed" | "canceled") => ends = true,
            ("Status", other) => {
                let why = format!("Status may be completed or canceled, not {other:?}");
                return Err(Refusal::Parameters(why));
            }
            (other, _) => {
                let why = format!("only Status can be changed, to completed; not {other}");
                return Err(Refusal::Parameters(why));
            }
        }
    }
    let missing = || Refusal::Parameters("Status is missing; it may be completed".to_owned());
    ends.then_some(()).ok_or_else(missing)
}

/// A call that has just been ended, as Twilio's clients read it; what we do not know is `null`.
fn completed(account: &str, sid: &str) -> Value {
    json!({
        "sid": sid,
        "account_sid": account,
        "status": "completed",
        "api_version": VERSION,
        "uri": format!("/{VERSION}/Accounts/{account}/Calls/{sid}.json"),
        "subresource_uris": {},
        "annotation": null,
        "answered_by": null,
        "caller_name": null,
        "date_created": null,
        "date_updated": null,
        "direction": "inbound",
        "duration": null,
        "end_time": null,
        "forwarded_from": null,
        "from": null,
        "from_formatted": null,
        "group_sid": null,
        "parent_call_sid": null,
        "phone_number_sid": null,
        "price": null,
        "price_unit": null,
        "queue_time": null,
        "start_time": null,
        "to": null,
        "to_formatted": null,
        "trunk_sid": null,
    })
}

/// User and password of a Basic header (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
