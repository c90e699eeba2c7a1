use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::place::Place;
use super::settings::AsteriskSettings;
use super::types::{Bridge, Channel, Variable};
use crate::audio::MediaFormat;
use crate::runtime::Secret;
use crate::runtime::link::tls;

/// Connections to one Asterisk that are kept for the next request. Its HTTP server has 100 places
/// for all its users (`session_limit` in `http.conf`).
const MAX_IDLE: usize = 8;

/// How long such a connection is kept: well below the time after which Asterisk closes it
/// (`session_keep_alive` in `http.conf`, 15 s), so that no request meets a closing connection.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// What Asterisk, or the way to it, says of a request. Every variant names the request.
#[derive(Debug, Error)]
pub enum AriError {
    /// The channel or bridge is not there.
    #[error("{request}: not found")]
    NotFound {
        /// Method and path.
        request: String,
    },
    /// The user or the password is wrong, or the user may not write.
    #[error(
        "{request}: Asterisk refuses the user {user:?}; check user and password against ari.conf"
    )]
    Unauthorized {
        /// Method and path.
        request: String,
        /// The user.
        user: String,
    },
    /// Any other answer that is no success.
    #[error("{request}: {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// Asterisk's own words.
        message: String,
    },
    /// No answer in time.
    #[error("{request}: no answer within the request time-out")]
    Timeout {
        /// Method and path.
        request: String,
    },
    /// The certificate does not fit, or TLS failed otherwise.
    #[error("{request}: {reason}")]
    Tls {
        /// Method and path.
        request: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Asterisk cannot be reached.
    #[error("{request}: {reason}")]
    Unreachable {
        /// Method and path.
        request: String,
        /// What the network says.
        reason: String,
    },
    /// The answer is not what ARI promises.
    #[error("{request}: the answer makes no sense: {reason}")]
    Answer {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The URL of the settings cannot be used.
    #[error(
        "url {actual:?} cannot be used: {reason}; allowed: http://host:port, https://host:port"
    )]
    Url {
        /// The URL.
        actual: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How an external channel shall reach us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExternalMedia {
    /// RTP over UDP to this `host:port`.
    Rtp {
        /// Where to send.
        host: String,
    },
    /// AudioSocket over TCP to this `host:port`.
    AudioSocket {
        /// Where to connect.
        host: String,
        /// The stream's UUID.
        uuid: uuid::Uuid,
    },
}

/// Requests to one Asterisk's REST interface. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AriClient {
    http: reqwest::Client,
    base: Url,
    user: String,
    password: Secret,
    app: String,
}

impl AriClient {
    /// A client for one Asterisk. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AriError::Url`] where the settings' URL cannot be used.
    pub(super) fn new(
        settings: &AsteriskSettings,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, AriError> {
        let wrong = |reason: String| AriError::Url { actual: settings.url.clone(), reason };
        let mut base = Url::parse(&settings.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong("no http or https URL".to_owned()));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(if path.ends_with("/ari") { path } else { path + "/ari" }.as_str());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((**tls).clone())
            .timeout(settings.request_timeout)
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(IDLE_LIMIT)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            http,
            base,
            user: settings.user.clone(),
            password: settings.password.clone(),
            app: settings.app.clone(),
        })
    }

    /// Answers a channel.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn answer(&self, channel: &str) -> Result<(), AriError> {
        self.send(Method::POST, &["channels", channel, "answer"], &[]).await
    }

    /// Makes a mixing bridge of this id.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn create_bridge(&self, id: &str) -> Result<(), AriError> {
        self.send(Method::POST, &["bridges", id], &[("type", "mixing")]).await
    }

    /// Puts a channel into a bridge. A channel that has not entered the application yet: 422.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn add_to_bridge(&self, bridge: &str, channel: &str) -> Result<(), AriError> {
        let query = [("channel", channel)];
        self.send(Method::POST, &["bridges", bridge, "addChannel"], &query).await
    }

    /// Makes an external channel of this id. For RTP, answers the address that Asterisk sends from
    /// and listens at.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn create_external(
        &self,
        id: &str,
        media: &ExternalMedia,
        format: MediaFormat,
    ) -> Result<Option<SocketAddr>, AriError> {
        let format = format.asterisk_name();
        let mut query = vec![("app", self.app.as_str()), ("channelId", id), ("format", format)];
        let data;
        match media {
            ExternalMedia::Rtp { host } => query.push(("external_host", host)),
            ExternalMedia::AudioSocket { host, uuid } => {
                data = uuid.hyphenated().to_string();
                query.extend([
                    ("external_host", host.as_str()),
                    ("encapsulation", "audiosocket"),
                    ("transport", "tcp"),
                    ("data", &data),
                ]);
            }
        }
        let path = ["channels", "externalMedia"];
        let channel: Channel = self.request(Method::POST, &path, &query).await?;
        match media {
            ExternalMedia::AudioSocket { .. } => Ok(None),
            ExternalMedia::Rtp { .. } => self.peer(&channel).await.map(Some),
        }
    }

    /// Makes a channel of this id to an endpoint, such as `PJSIP/alice` or `Local/600@default`, whose
    /// audio has this format where it can. It enters our application when it is answered.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn originate(
        &self,
        id: &str,
        endpoint: &str,
        format: MediaFormat,
    ) -> Result<(), AriError> {
        let query = [
            ("endpoint", endpoint),
            ("app", self.app.as_str()),
            ("channelId", id),
            ("formats", format.asterisk_name()),
        ];
        self.send(Method::POST, &["channels"], &query).await
    }

    /// Hangs a channel up.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn hangup(&self, channel: &str) -> Result<(), AriError> {
        self.send(Method::DELETE, &["channels", channel], &[]).await
    }

    /// Sends a channel on in the dialplan: to `place`, or behind its `Stasis()`. A place that is not
    /// there is no error: Asterisk finds that out once it has let the channel go, and hangs it up.
    ///
    /// # Errors
    /// [`AriError`], as all requests; 409 where the channel is not in an application.
    pub async fn continue_in_dialplan(
        &self,
        channel: &str,
        place: Option<&Place>,
    ) -> Result<(), AriError> {
        let priority = place.map(|place| place.priority.to_string()).unwrap_or_default();
        let query = place.map(|Place { context, extension, .. }| {
            [("context", &**context), ("extension", &**extension), ("priority", &*priority)]
        });
        let query = query.as_ref().map_or(&[][..], |query| query);
        self.send(Method::POST, &["channels", channel, "continue"], query).await
    }

    /// Whether a place is in the dialplan, for this channel: extensions may depend on who calls.
    ///
    /// # Errors
    /// [`AriError`], as all requests; also where Asterisk has no `DIALPLAN_EXISTS()`, which is in its
    /// `func_dialplan.so`.
    pub async fn has_place(&self, channel: &str, place: &Place) -> Result<bool, AriError> {
        // In the arguments of a function it would begin the next one; no name in a dialplan has it.
        if [&place.context, &place.extension].iter().any(|name| name.contains(',')) {
            return Ok(false);
        }
        let function = format!("DIALPLAN_EXISTS({place})");
        let (path, query) = (["channels", channel, "variable"], [("variable", &*function)]);
        let answer: Variable = self.request(Method::GET, &path, &query).await?;
        Ok(answer.value == "1")
    }

    /// Presses keys towards a channel, with Asterisk's own lengths. It answers before it has.
    ///
    /// # Errors
    /// [`AriError`], as all requests; 409 where the channel is not in an application.
    pub async fn send_dtmf(&self, channel: &str, digits: &str) -> Result<(), AriError> {
        self.send(Method::POST, &["channels", channel, "dtmf"], &[("dtmf", digits)]).await
    }

    /// Removes a bridge.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn destroy_bridge(&self, id: &str) -> Result<(), AriError> {
        self.send(Method::DELETE, &["bridges", id], &[]).await
    }

    /// Every channel of that Asterisk.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn channels(&self) -> Result<Vec<Channel>, AriError> {
        self.request(Method::GET, &["channels"], &[]).await
    }

    /// Every bridge of that Asterisk.
    ///
    /// # Errors
    /// [`AriError`], as all requests.
    pub async fn bridges(&self) -> Result<Vec<Bridge>, AriError> {
        self.request(Method::GET, &["bridges"], &[]).await
    }

    /// The URL of the event stream.
    pub(super) fn events_url(&self) -> Url {
        let mut url = self.base.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).expect("http and ws are both special schemes");
        url.path_segments_mut().expect("an http URL has a path").push("events");
        url.query_pairs_mut().append_pair("app", &self.app).append_pair("subscribeAll", "false");
        url
    }

    /// Where the UnicastRTP channel has its own end.
    async fn peer(&self, channel: &Channel) -> Result<SocketAddr, AriError> {
        let wrong = |reason: String| AriError::Answer {
            request: "POST channels/externalMedia".to_owned(),
            reason,
        };
        let variable = |name: &str| {
            let value = channel.channelvars.get(name).cloned();
            value.ok_or_else(|| wrong(format!("channelvars lack {name}")))
        };
        let address = variable("UNICASTRTP_LOCAL_ADDRESS")?;
        let port = variable("UNICASTRTP_LOCAL_PORT")?;
        let ip: Result<IpAddr, _> = address.trim_matches(['[', ']']).parse();
        let (Ok(ip), Ok(port)) = (ip, port.parse::<u16>()) else {
            return Err(wrong(format!("{address:?} and {port:?} are no address")));
        };
        if !ip.is_unspecified() {
            return Ok(SocketAddr::new(ip, port));
        }
        // Bound to any address: it is at least reachable where its HTTP server is.
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let mut found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| wrong(format!("{host:?} has no address: {error}")))?;
        found.next().ok_or_else(|| wrong(format!("{host:?} has no address")))
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<(), AriError> {
        self.answer_of(method, path, query).await.map(drop)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, AriError> {
        let request = format!("{method} {}", path.join("/"));
        let response = self.answer_of(method, path, query).await?;
        response.json().await.map_err(|error| AriError::Answer { request, reason: chain(&error) })
    }

    async fn answer_of(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<reqwest::Response, AriError> {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http URL has a path").extend(path);
        let request = format!("{method} {}", path.join("/"));
        let sent = self
            .http
            .request(method, url)
            .query(query)
            .basic_auth(&self.user, Some(self.password.reveal()))
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Err(AriError::Timeout { request }),
            Err(error) => {
                return Err(match tls::explain(&error) {
                    Some(reason) => AriError::Tls { request, reason },
                    None => AriError::Unreachable { request, reason: chain(&error) },
                });
            }
        };
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(AriError::NotFound { request }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(AriError::Unauthorized { request, user: self.user.clone() })
            }
            status => {
                let message = response.text().await.unwrap_or_default();
                Err(AriError::Refused { request, status: status.as_u16(), message })
            }
        }
    }
}

/// An error with all its causes in one line, without the URL that it may hold.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}
