use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audio::MediaFormat;
use crate::call::Transport;
use crate::runtime::Secret;

/// What becomes of a caller whom we are done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEnd {
    /// The caller's channel is hung up.
    Hangup,
    /// The caller goes on in the dialplan, behind `Stasis()`.
    Continue,
}

/// One Asterisk, and what its callers get unless their `Stasis()` says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsteriskSettings {
    /// Our name for it, in logs and metrics.
    pub name: String,
    /// Where its HTTP server is: `http://host:8088` or `https://host:8089`.
    pub url: String,
    /// ARI user.
    pub user: String,
    /// The ARI user's password.
    pub password: Secret,
    /// Name of the Stasis application: letters, digits, `-` and `_`.
    pub app: String,
    /// How audio travels.
    pub media: Transport,
    /// Format of the audio.
    pub format: MediaFormat,
    /// Pipeline that serves callers.
    pub pipeline: String,
    /// What becomes of a caller at the end of a call.
    pub on_end: OnEnd,
    /// What becomes of callers that we cannot serve, or find waiting after a crash of ours.
    pub stranded: OnEnd,
    /// PEM file with the certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Most time that one request may take.
    pub request_timeout: Duration,
    /// How often the event stream is pinged; it counts as dead after twice that without a sign.
    pub ping_every: Duration,
    /// Shortest pause before the event stream is connected again.
    pub reconnect_min: Duration,
    /// Longest pause before the event stream is connected again.
    pub reconnect_max: Duration,
}

impl Default for AsteriskSettings {
    fn default() -> Self {
        Self {
            name: "asterisk".to_owned(),
            url: "http://127.0.0.1:8088".to_owned(),
            user: "sidetone".to_owned(),
            password: Secret::default(),
            app: "sidetone".to_owned(),
            media: Transport::Rtp,
            format: MediaFormat::Ulaw,
            pipeline: "echo".to_owned(),
            on_end: OnEnd::Hangup,
            stranded: OnEnd::Continue,
            ca_file: None,
            request_timeout: Duration::from_secs(5),
            ping_every: Duration::from_secs(10),
            reconnect_min: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(10),
        }
    }
}
