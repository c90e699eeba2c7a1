use std::net::{Ipv4Addr, SocketAddr};

/// The HTTP API: section `[api]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Address to bind. There is no password: who reaches it may list and end calls.
    pub bind: SocketAddr,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { enabled: true, bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 9093)) }
    }
}
