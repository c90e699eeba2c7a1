use thiserror::Error;
use tokio_tungstenite::tungstenite::Error as Failure;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};

use super::tls;

/// Why there is no connection, or why it is lost.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LinkError {
    /// The URL or a header cannot be used.
    #[error("the request cannot be made: {reason}")]
    Request {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody could be reached.
    #[error("cannot connect: {reason}")]
    Unreachable {
        /// What the network says.
        reason: String,
    },
    /// The peer's certificate, or TLS at all.
    #[error("{reason}")]
    Tls {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The peer answered the request with another status than 101.
    #[error("the request was answered with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// The connection was not there in time.
    #[error("no answer within the connect time-out")]
    ConnectTimeout,
    /// The peer closed the connection.
    #[error("the peer closed it{}", code.map_or(String::new(), |code| format!(" with code {code}")))]
    Closed {
        /// Why, as RFC 6455 section 7.4 numbers it, 1005 where it did not say; `None`: it broke off.
        code: Option<u16>,
    },
    /// The peer did not read a message in time.
    #[error("the peer does not read")]
    Stalled,
    /// Nothing came, not even the answer to a ping.
    #[error("no sign of life")]
    Silent,
    /// The peer sent a message that is too long.
    #[error("a message of more than {limit} bytes")]
    TooLong {
        /// What was allowed.
        limit: usize,
    },
    /// What came is not WebSocket.
    #[error("not the WebSocket protocol: {reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
    /// The network broke the connection.
    #[error("the connection broke: {reason}")]
    Broken {
        /// What the system says.
        reason: String,
    },
}

impl LinkError {
    /// The reason as a word for metrics and events.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "tls",
            Self::Refused { .. } => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Closed { .. } => "closed",
            Self::Stalled => "stalled",
            Self::Silent => "silent",
            Self::TooLong { .. } => "too_long",
            Self::Protocol { .. } => "protocol",
            Self::Broken { .. } => "broken",
        }
    }

    /// What went wrong while the connection was made.
    pub(super) fn connecting(failure: &Failure) -> Self {
        if let Some(reason) = tls::explain(failure) {
            return Self::Tls { reason };
        }
        match failure {
            Failure::Http(response) => Self::Refused { status: response.status().as_u16() },
            Failure::Io(error) => Self::Unreachable { reason: error.to_string() },
            Failure::Url(error) => Self::Request { reason: error.to_string() },
            Failure::HttpFormat(error) => Self::Request { reason: error.to_string() },
            other => Self::Protocol { reason: other.to_string() },
        }
    }

    /// What went wrong with a connection that was there, on which so long messages are read.
    pub(super) fn connected(failure: &Failure, limit: usize) -> Self {
        match failure {
            Failure::ConnectionClosed
            | Failure::AlreadyClosed
            | Failure::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Closed { code: None }
            }
            Failure::Capacity(CapacityError::MessageTooLong { .. }) => Self::TooLong { limit },
            Failure::Io(error) => Self::Broken { reason: error.to_string() },
            Failure::Tls(error) => Self::Broken { reason: error.to_string() },
            other => Self::Protocol { reason: other.to_string() },
        }
    }
}
