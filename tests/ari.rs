//! The control of Asterisk: the call machine over arbitrary orders, and the session against a peer
//! that does what a real Asterisk rarely does.
#![allow(unreachable_pub, reason = "modules of a test binary, which nothing can import")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ari/certificates.rs"]
mod certificates;
#[path = "ari/faults.rs"]
mod faults;
#[path = "ari/machine.rs"]
mod machine;
#[path = "ari/model.rs"]
mod model;
#[path = "ari/peer.rs"]
mod peer;
#[path = "ari/requests.rs"]
mod requests;
#[path = "ari/session.rs"]
mod session;
#[path = "ari/stream.rs"]
mod stream;
#[path = "ari/support.rs"]
mod support;
