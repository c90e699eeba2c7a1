//! Fuzzes `checks::audiosocket_decode`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::audiosocket_decode(bytes));
