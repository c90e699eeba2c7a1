//! Fuzzes `jitter_checks::jitter_buffer`.
#![no_main]

#[path = "../jitter_checks.rs"]
mod jitter_checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitter_checks::jitter_buffer(bytes));
