//! The `[stt.NAME]` sections: one for each speech-to-text service.

use std::collections::BTreeMap;
use std::time::Duration;

use super::address;
use super::asterisk::{ca_file, reconnect};
use super::error::Problem;
use super::reader::Section;
use super::secret::{SecretKeys, Variables, secret};
use super::sections::named;
use super::websocket::{self, RATES};
use crate::processor::stt::{Dialect, Encoding, Mode, SessionSettings};
use crate::processor::{MAX_CHUNK, MIN_CHUNK};
use crate::runtime::stt::SttSettings;

const TOKEN: SecretKeys =
    SecretKeys { plain: "token", file: "token_file", variable: "token_env", wanted: None };

/// Every service, by name.
pub(super) fn services(
    section: Section<'_>,
    variables: &Variables,
) -> BTreeMap<String, SttSettings> {
    named(section, "stt", |section| service(section, variables))
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
    check_encoding(&section, &session);
    let rates: Vec<_> =
        RATES.into_iter().filter(|rate| session.encoding.rates().contains(rate)).collect();
    let (reconnect_min, reconnect_max) =
        reconnect(&mut section, default.reconnect_min, default.reconnect_max);
    let settings = SttSettings {
        session,
        url,
        token: secret(&mut section, &TOKEN, variables),
        headers: websocket::headers(&mut section),
        ca_file: ca_file(&mut section),
        rate: section.rate_or_own("rate_hz", &rates),
        chunk: section.millis("chunk_ms", default.chunk, millis(MIN_CHUNK)..=millis(MAX_CHUNK)),
        connect_timeout: websocket::connect_timeout(&mut section, default.connect_timeout),
        link: websocket::link(&mut section, &default.link),
        reconnect_min,
        reconnect_max,
    };
    section.finish();
    settings
}

/// Reports an encoding that the dialect's services do not take.
fn check_encoding(section: &Section<'_>, session: &SessionSettings) {
    let SessionSettings { dialect, encoding, .. } = session;
    if !dialect.encodings().contains(encoding) {
        let allowed: Vec<_> = dialect.encodings().iter().map(|encoding| encoding.name()).collect();
        let reason = format!(
            "{:?} is not allowed with the dialect {:?}; allowed: {}",
            encoding.name(),
            dialect.name(),
            allowed.join(", ")
        );
        section.report("encoding", Problem::Conflict { reason });
    }
}

fn url(section: &mut Section<'_>) -> Option<String> {
    if section.is_table() && !section.has("url") {
        let wanted = format!("where the service is: {}", address::WEBSOCKET_URL);
        let (place, key) = (section.place().clone(), section.key("url"));
        section.findings().report(place, key, Problem::Missing { wanted });
    }
    let text = section.string("url")?;
    websocket::check_url(section, &text);
    Some(text)
}
