//! The control of Asterisk: the call machine over arbitrary orders, and the session against a peer
//! that does what a real Asterisk rarely does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "modules of a test binary, which nothing can import")]

#[path = "ari/certificates.rs"]
mod certificates;
#[path = "ari/machine.rs"]
mod machine;
#[path = "ari/peer.rs"]
mod peer;
#[path = "ari/session.rs"]
mod session;
