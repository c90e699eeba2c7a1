//! The `[stt.NAME]` sections: one for each speech-to-text service.

use std::collections::BTreeMap;
use std::time::Duration;

use super::address;
use super::asterisk::{ca_file, reconnect};
use super::error::Problem;
use super::reader::Section;
use super::secret::{SecretKeys, Variables, secret};
use super::sections::check_name;
use super::tree::shown;
use crate::audio::SampleRate;
use crate::processor::stt::{Dialect, Encoding, Mode, SessionSettings};
use crate::processor::{MAX_CHUNK, MIN_CHUNK};
use crate::runtime::Secret;
use crate::runtime::stt::SttSettings;

const TOKEN: SecretKeys =
    SecretKeys { plain: "token", file: "token_file", variable: "token_env", wanted: None };

/// Rates that a service may want, besides the call's own.
const RATES: [SampleRate; 6] = [
    SampleRate::HZ_8000,
    SampleRate::HZ_12000,
    SampleRate::HZ_16000,
    SampleRate::HZ_24000,
    SampleRate::HZ_32000,
    SampleRate::HZ_48000,
];

/// Every service, by name.
pub(super) fn services(
    mut section: Section<'_>,
    variables: &Variables,
) -> BTreeMap<String, SttSettings> {
    let found = section.named_sections().into_iter();
    let services = found.map(|(name, service)| {
        check_name(&service, "stt", name);
        (name.to_owned(), self::service(service, variables))
    });
    let services = services.collect();
    section.finish();
    services
}

/// What a pipeline may list: what is there in any case, `stt.NAME` for each service, and `stt` where
/// there is one only.
pub(super) fn processors(known: &[&str], stt: &BTreeMap<String, SttSettings>) -> Vec<String> {
    let only = (stt.len() == 1).then(|| "stt".to_owned());
    let named = stt.keys().map(|name| format!("stt.{name}"));
    known.iter().map(|name| (*name).to_owned()).chain(only).chain(named).collect()
}

fn service(mut section: Section<'_>, variables: &Variables) -> SttSettings {
    let default = SttSettings::default();
    let modes = [("stream", Mode::Stream), ("speech", Mode::Speech)];
    let url = url(&mut section).unwrap_or(default.url);
    let session = default.session;
    let millis = |chunk: Duration| u64::try_from(chunk.as_millis()).unwrap_or(u64::MAX);
    let session = SessionSettings {
        dialect: section.word("dialect", session.dialect, &Dialect::WORDS),
        encoding: section.word("encoding", session.encoding, &Encoding::WORDS),
        mode: section.word("mode", session.mode, &modes),
        pre_roll: section.millis("pre_roll_ms", session.pre_roll, 0..=5_000),
        buffer: section.millis("buffer_ms", session.buffer, 1_000..=120_000),
        finish: section.millis("finish_ms", session.finish, 0..=60_000),
    };
    let (reconnect_min, reconnect_max) =
        reconnect(&mut section, default.reconnect_min, default.reconnect_max);
    let settings = SttSettings {
        session,
        url,
        token: secret(&mut section, &TOKEN, variables),
        headers: headers(&mut section),
        ca_file: ca_file(&mut section),
        rate: section.rate_or_own("rate_hz", &RATES),
        chunk: section.millis("chunk_ms", default.chunk, millis(MIN_CHUNK)..=millis(MAX_CHUNK)),
        connect_timeout: section.millis(
            "connect_timeout_ms",
            default.connect_timeout,
            100..=60_000,
        ),
        write_timeout: section.millis("write_timeout_ms", default.write_timeout, 100..=60_000),
        ping_every: section.millis("ping_ms", default.ping_every, 500..=300_000),
        reconnect_min,
        reconnect_max,
        max_message_bytes: section.integer(
            "max_message_bytes",
            default.max_message_bytes,
            4_096..=16 << 20,
        ),
    };
    section.finish();
    settings
}

fn url(section: &mut Section<'_>) -> Option<String> {
    if section.is_table() && !section.has("url") {
        let wanted = format!("where the service is: {}", address::WEBSOCKET_URL);
        let (place, key) = (section.place().clone(), section.key("url"));
        section.findings().report(place, key, Problem::Missing { wanted });
    }
    let text = section.string("url")?;
    if !address::is_websocket_url(&text) {
        // Before an @ stands a password, as often as not.
        let actual = if text.contains('@') { "a URL with `@`".to_owned() } else { shown(&text) };
        section.report("url", Problem::not_allowed(actual, address::WEBSOCKET_URL));
    }
    Some(text)
}

/// Headers as `Name: value`. What does not look so is not shown: it may be a secret.
fn headers(section: &mut Section<'_>) -> Vec<(String, Secret)> {
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

/// A token of RFC 9110 section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}
