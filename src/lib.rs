//! Sidetone: an external-media server for Asterisk.
//!
//! It takes the audio of calls out of Asterisk (RTP over UDP, AudioSocket over TCP), hands it to
//! processors, and plays what they answer back to the caller.
//!
//! The crate is a house of floors; imports only go down (`tests/layering.rs` keeps it so):
//!
//! | floor | rooms | what |
//! |---|---|---|
//! | 4 | `cli`, `server`, `config` | the process |
//! | 3 | `ari`, `api` | Asterisk control; our own HTTP control |
//! | 2 | `runtime` | threads, sockets, files, the only clock |
//! | 1 | `media`, `processor`, `engine`, `event`, `call` | state machines without I/O; time is an argument |
//! | 0 | `audio`, `wire`, `dsp` | values, bytes, samples |

pub mod api;
pub mod ari;
pub mod audio;
pub mod call;
pub mod cli;
pub mod config;
pub mod dsp;
pub mod engine;
pub mod event;
pub mod media;
pub mod processor;
pub mod runtime;
pub mod server;
pub mod wire;

#[cfg(test)]
mod testing;
