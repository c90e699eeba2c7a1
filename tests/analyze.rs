//! `sidetone analyze` from outside: captures that the tests write, and what is told of them.

#[path = "analyze/bad_input.rs"]
mod bad_input;
#[path = "common/capture.rs"]
mod capture;
#[path = "analyze/containers.rs"]
mod containers;
#[path = "common/emulator.rs"]
mod emulator;
#[path = "analyze/figures.rs"]
mod figures;
#[path = "analyze/formats.rs"]
mod formats;
#[path = "common/sender.rs"]
mod sender;
#[path = "common/speech.rs"]
mod speech;
#[path = "analyze/support.rs"]
mod support;
