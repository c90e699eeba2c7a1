//! What the sections of WebSocket peers have in common: `[stt.NAME]` and `[bot.NAME]`.

use std::time::Duration;

use super::address;
use super::error::Problem;
use super::reader::Section;
use super::tree::shown;
use crate::audio::SampleRate;
use crate::runtime::Secret;
use crate::runtime::link::LinkSettings;

/// Rates that a peer may want, besides the call's own.
pub(super) const RATES: [SampleRate; 6] = [
    SampleRate::HZ_8000,
    SampleRate::HZ_12000,
    SampleRate::HZ_16000,
    SampleRate::HZ_24000,
    SampleRate::HZ_32000,
    SampleRate::HZ_48000,
];

/// Reports a `url` at which no WebSocket can be asked for, as far as `url` tells of it.
pub(super) fn check_url(section: &Section<'_>, url: &str) {
    if !address::is_websocket_url(url) {
        // Before an @ stands a password, as often as not.
        let actual = if url.contains('@') { "a URL with `@`".to_owned() } else { shown(url) };
        section.report("url", Problem::not_allowed(actual, address::WEBSOCKET_URL));
    }
}

/// Headers as `Name: value`. What does not look so is not shown: it may be a secret.
pub(super) fn headers(section: &mut Section<'_>) -> Vec<(String, Secret)> {
    let mut headers = Vec::new();
    for (index, line) in section.strings("headers").unwrap_or_default().into_iter().enumerate() {
        let parts = line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        match parts.filter(|(name, value)| is_header_name(name) && is_header_value(value)) {
            Some((name, value)) => headers.push((name.to_owned(), Secret::new(value))),
            None => {
                let actual = format!("number {} of the headers", index + 1);
                section.report("headers", Problem::not_allowed(actual, "\"Name: value\""));
            }
        }
    }
    headers
}

/// `write_timeout_ms`, `ping_ms` and `max_message_bytes`.
pub(super) fn link(section: &mut Section<'_>, default: &LinkSettings) -> LinkSettings {
    LinkSettings {
        write_timeout: section.millis("write_timeout_ms", default.write_timeout, 100..=60_000),
        ping_every: section.millis("ping_ms", default.ping_every, 500..=300_000),
        max_message_bytes: section.integer(
            "max_message_bytes",
            default.max_message_bytes,
            4_096..=16 << 20,
        ),
    }
}

/// `connect_timeout_ms`.
pub(super) fn connect_timeout(section: &mut Section<'_>, default: Duration) -> Duration {
    section.millis("connect_timeout_ms", default, 100..=60_000)
}

/// A token of RFC 9110 section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}
