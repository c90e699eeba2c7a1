//! How the engine behaves, in virtual time: no socket, no sleep, every moment given.

#[path = "engine/arbitrary.rs"]
mod arbitrary;
#[path = "engine/audiosocket.rs"]
mod audiosocket;
#[path = "engine/bot.rs"]
mod bot;
#[path = "engine/codecs.rs"]
mod codecs;
#[path = "engine/downlink.rs"]
mod downlink;
#[path = "engine/drift.rs"]
mod drift;
#[path = "common/driver.rs"]
mod driver;
#[path = "engine/dtmf.rs"]
mod dtmf;
#[path = "common/emulator.rs"]
mod emulator;
#[path = "../fuzz/jitter_checks.rs"]
mod jitter_checks;
#[path = "engine/life.rs"]
mod life;
#[path = "engine/long_runs.rs"]
mod long_runs;
#[path = "engine/model.rs"]
mod model;
#[path = "engine/network.rs"]
mod network;
#[path = "engine/pauses.rs"]
mod pauses;
#[path = "engine/player.rs"]
mod player;
#[path = "engine/reception.rs"]
mod reception;
#[path = "engine/requests.rs"]
mod requests;
#[path = "common/seeds.rs"]
mod seeds;
#[path = "engine/statistics.rs"]
mod statistics;
#[path = "engine/streams.rs"]
mod streams;
#[path = "common/switch.rs"]
mod switch;
#[path = "engine/switching.rs"]
mod switching;
#[path = "engine/vad.rs"]
mod vad;
