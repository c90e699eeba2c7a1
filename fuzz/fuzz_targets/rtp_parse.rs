//! Fuzzes `checks::rtp_parse`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::rtp_parse(bytes));
