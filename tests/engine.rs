//! How the engine behaves, in virtual time: no socket, no sleep, every moment given.

#[path = "engine/arbitrary.rs"]
mod arbitrary;
#[path = "engine/audiosocket.rs"]
mod audiosocket;
#[path = "engine/codecs.rs"]
mod codecs;
#[path = "engine/downlink.rs"]
mod downlink;
#[path = "common/driver.rs"]
mod driver;
#[path = "common/emulator.rs"]
mod emulator;
#[path = "engine/life.rs"]
mod life;
#[path = "engine/long_runs.rs"]
mod long_runs;
#[path = "engine/network.rs"]
mod network;
#[path = "engine/streams.rs"]
mod streams;
