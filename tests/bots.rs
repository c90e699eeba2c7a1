//! Bots over real sockets: bots that work, and bots that fail in every way. Other calls never notice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "a module of a test binary, which nothing can import")]

#[path = "bots/faults.rs"]
mod faults;
#[path = "bots/flow.rs"]
mod flow;
#[path = "bots/listener.rs"]
mod listener;
#[path = "common/media_rig.rs"]
mod media_rig;
#[path = "bots/rig.rs"]
mod rig;
#[path = "common/steady.rs"]
mod steady;
#[path = "common/websocket_peer.rs"]
mod websocket_peer;
