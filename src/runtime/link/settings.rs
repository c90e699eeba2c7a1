use std::time::Duration;

use crate::runtime::Secret;

/// What a peer may do before it is given up, whoever of the two connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkSettings {
    /// Most time that the peer may take to read one message.
    pub write_timeout: Duration,
    /// How often the peer is pinged; it counts as dead after twice that without a message.
    pub ping_every: Duration,
    /// Longest message that is read.
    pub max_message_bytes: usize,
}

/// How to connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkRequest {
    /// `ws://host:port/path?query` or `wss://…`.
    pub url: String,
    /// Headers of the request, with values that are never shown.
    pub headers: Vec<(String, Secret)>,
    /// Most time until the connection is there: name, TCP, TLS and the answer to the request.
    pub connect_timeout: Duration,
}
