//! Sidetone against a real Asterisk: every test starts its own of both.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "waits for foreign processes in real time")]

#[path = "../common/arrivals.rs"]
mod arrivals;
#[path = "../common/asterisk.rs"]
mod asterisk;
#[path = "../common/bots.rs"]
mod bots;
#[path = "../common/emulator.rs"]
mod emulator;
#[path = "../common/impairment.rs"]
mod impairment;
#[path = "../common/recogniser.rs"]
mod recogniser;
#[path = "../common/sidetone.rs"]
mod server;
#[path = "../common/steady.rs"]
mod steady;
mod support;
#[path = "../common/telephone.rs"]
mod telephone;

mod bot;
mod control;
mod dialplan;
mod dtmf;
mod echo;
mod forgery;
mod formats;
mod hangup;
mod harness;
mod jitter;
mod load;
mod outage;
mod recording;
mod relay;
mod requests;
mod sip;
mod stt;
mod telephones;
