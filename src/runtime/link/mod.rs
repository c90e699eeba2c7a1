//! WebSocket connections: what the event stream of Asterisk and the halves of processors that have
//! a socket stand on. We connect, or the peer does, through our API.
//!
//! A [`Link`] is one connection, driven by one task: it sends one message at a time and receives
//! meanwhile, and fails by itself, with its [`LinkError`], when the peer does not read, gives no
//! sign of life, or sends more than was agreed on. [`Backoff`] says how long to wait before the
//! next one.

mod backoff;
mod connection;
mod error;
mod settings;
mod talk;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub use error::LinkError;
pub use settings::{LinkRequest, LinkSettings};
pub use tls::TlsError;

pub(crate) use backoff::Backoff;
pub(crate) use connection::{Carrier, Link, LinkEvent};
pub(crate) use talk::{Done, Driver, Lost, Talk, Way};
// The answer to a request's key, for who takes requests.
pub(crate) use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
