//! Fuzzes `codec_checks::alaw_decode`.
#![no_main]

#[path = "../codec_checks.rs"]
mod codec_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_checks::alaw_decode(bytes));
