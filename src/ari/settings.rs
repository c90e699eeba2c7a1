use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::client::AriError;
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

impl AsteriskSettings {
    /// An Asterisk at a URL that holds user and password, `http://user:password@host:8088`, with what
    /// is not letters or digits in them percent-encoded; both are empty where it does not.
    ///
    /// # Errors
    /// [`AriError::Url`] where it cannot be used.
    pub fn at(url: &str) -> Result<Self, AriError> {
        // The URL itself is not told: it may hold a password.
        let wrong =
            |reason: &str| AriError::Url { actual: String::new(), reason: reason.to_owned() };
        let mut parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        let decoded = |text: &str| decode(text).ok_or_else(|| wrong("no percent-encoded UTF-8"));
        let user = decoded(parsed.username())?;
        let password = Secret::new(decoded(parsed.password().unwrap_or_default())?);
        // Only a URL without a host has no place for them.
        let bare = parsed.set_username("").and_then(|()| parsed.set_password(None));
        bare.map_err(|()| wrong("it has no host"))?;
        let url = parsed.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, user, password, ..Self::default() })
    }

    /// Host and port of the URL.
    ///
    /// # Errors
    /// [`AriError::Url`] where it has none.
    pub fn host(&self) -> Result<(String, u16), AriError> {
        let parsed = Url::parse(&self.url).ok();
        let found = parsed
            .as_ref()
            .and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
        let reason = || "it has no host".to_owned();
        found.ok_or_else(|| AriError::Url { actual: self.url.clone(), reason: reason() })
    }
}

/// Text that was percent-encoded (RFC 3986 section 2.1), if it was.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, code)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(code.get(..2)?, 16).ok()?);
        rest = &code[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
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
    fn a_url_holds_user_and_password_and_loses_them() {
        let settings =
            AsteriskSettings::at("http://al%69ce:p%40ss%20%C3%BC@192.0.2.1:8088/").unwrap();
        assert_eq!(settings.url, "http://192.0.2.1:8088");
        assert_eq!((settings.user.as_str(), settings.password.reveal()), ("alice", "p@ss ü"));
        assert_eq!(settings.host().unwrap(), ("192.0.2.1".to_owned(), 8088));
        let bare = AsteriskSettings::at("https://pbx/ari").unwrap();
        assert_eq!((bare.url.as_str(), bare.user.as_str()), ("https://pbx/ari", ""));
        assert_eq!(bare.host().unwrap(), ("pbx".to_owned(), 443));
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for url in ["", "pbx:8088", "http://", "data:,x", "http://a:%ff@pbx", "http://a:%4@pbx"] {
            let error = AsteriskSettings::at(url).unwrap_err();
            assert!(!error.to_string().contains("%"), "{error}");
        }
    }
}
