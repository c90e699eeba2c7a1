use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audio::MediaFormat;
use crate::call::Transport;

/// What becomes of a caller whom we no longer serve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEnd {
    /// The channel is hung up.
    Hangup,
    /// The channel goes on in the dialplan, at the priority after `Stasis()`.
    Continue,
}

impl OnEnd {
    /// The word for it in the configuration and in the arguments of `Stasis()`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hangup => "hangup",
            Self::Continue => "continue",
        }
    }
}

/// Text that must not be shown: its `Debug` form says nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One Asterisk, and how its callers are served.
#[derive(Clone, PartialEq, Debug)]
pub struct AsteriskSettings {
    /// What logs and metrics call this Asterisk.
    pub name: String,
    /// Its HTTP server: `http://host:port` or `https://host:port`, with the prefix of its
    /// `http.conf` if it has one, without `/ari`.
    pub url: String,
    /// The ARI user, a section of its `ari.conf`.
    pub user: String,
    /// The ARI user's password.
    pub password: Secret,
    /// Name of our Stasis application: letters, digits, `-` and `_`. No other program may use it,
    /// no second Sidetone either: Asterisk gives an application's events to the last comer alone.
    pub app: String,
    /// How audio travels, where the dialplan does not say.
    pub media: Transport,
    /// Format on the wire, where the dialplan does not say.
    pub format: MediaFormat,
    /// Pipeline, where the dialplan does not say.
    pub pipeline: String,
    /// What becomes of the caller after a call, where the dialplan does not say.
    pub on_end: OnEnd,
    /// What becomes of a caller whom we cannot serve, or find in our application after a crash.
    pub stranded: OnEnd,
    /// Certificate authorities (PEM) that may have signed Asterisk's certificate; `None`: those
    /// of the system.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer to a request, connecting included.
    pub request_timeout: Duration,
    /// Time between pings on the event stream; it counts as dead after two of them in silence.
    pub ping_every: Duration,
    /// Upper bound of the first pause before the event stream is opened again.
    pub reconnect_min: Duration,
    /// Upper bound of every later pause.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_in_the_debug_form() {
        let settings = AsteriskSettings { password: "hunter2".into(), ..Default::default() };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2") && shown.contains("Secret(..)"), "{shown}");
    }
}
