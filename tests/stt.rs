//! Speech to text over real sockets: services that work, and services that fail in every way. The
//! call's own audio and that of other calls never notice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "a module of a test binary, which nothing can import")]

#[path = "stt/faults.rs"]
mod faults;
#[path = "stt/last_words.rs"]
mod last_words;
#[path = "common/media_rig.rs"]
mod media_rig;
#[path = "stt/opus.rs"]
mod opus;
#[path = "stt/rig.rs"]
mod rig;
#[path = "common/steady.rs"]
mod steady;
#[path = "common/websocket_peer.rs"]
mod websocket_peer;
