//! The `[[asterisk]]` blocks: one for each Asterisk that Sidetone serves.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::address;
use super::error::Problem;
use super::reader::Section;
use super::secret::{SecretKeys, Variables, secret};
use super::sections::{check_pipeline, is_name};
use super::settings::Pipelines;
use super::tree::shown;
use crate::ari::{AsteriskSettings, OnEnd};
use crate::audio::MediaFormat;
use crate::call::Transport;

const PASSWORD: SecretKeys = SecretKeys {
    plain: "password",
    file: "password_file",
    variable: "password_env",
    wanted: Some(
        "one of password, password_file and password_env: \
         the password of this user in Asterisk's ari.conf",
    ),
};

/// Reads one block.
pub(super) fn asterisk(
    mut section: Section<'_>,
    pipelines: &Pipelines,
    variables: &Variables,
) -> AsteriskSettings {
    let default = AsteriskSettings::default();
    let transports = [("rtp", Transport::Rtp), ("audiosocket", Transport::AudioSocket)];
    let ends = [("hangup", OnEnd::Hangup), ("continue", OnEnd::Continue)];
    let name_words = "1 to 64 letters, digits, `-` and `_`";

    let name = section.parsed("name", name_words, name).unwrap_or(default.name);
    let url = url(&mut section).unwrap_or(default.url);
    let user = section
        .parsed("user", "the name of a section of Asterisk's ari.conf, without `:`", |text| {
            (!text.is_empty() && !text.contains(':') && !text.contains(char::is_control))
                .then(|| text.to_owned())
        })
        .unwrap_or(default.user);
    let password = secret(&mut section, &PASSWORD, variables).unwrap_or_default();
    let app = section.parsed("app", name_words, self::name).unwrap_or(default.app);
    let media = section.word("media", default.media, &transports);
    let formats = MediaFormat::ALL.map(|format| (format.asterisk_name(), format));
    // Slin is all that the AudioSocket protocol can name.
    let default_format = match media {
        Transport::Rtp => default.format,
        Transport::AudioSocket => MediaFormat::Slin(crate::audio::SampleRate::HZ_8000),
    };
    let format = section.word("format", default_format, &formats);
    check_format(&section, media, format);
    let pipeline = section.string("pipeline").unwrap_or_else(|| pipelines.default.clone());
    if section.has("pipeline") {
        check_pipeline(&section.key("pipeline"), &section, &pipeline, &pipelines.named);
    }
    let (reconnect_min, reconnect_max) =
        reconnect(&mut section, default.reconnect_min, default.reconnect_max);
    let settings = AsteriskSettings {
        name,
        url,
        user,
        password,
        app,
        media,
        format,
        pipeline,
        on_end: section.word("on_end", default.on_end, &ends),
        stranded: section.word("stranded", default.stranded, &ends),
        ca_file: ca_file(&mut section),
        request_timeout: section.millis(
            "request_timeout_ms",
            default.request_timeout,
            100..=60_000,
        ),
        ping_every: section.millis("ping_ms", default.ping_every, 1_000..=300_000),
        reconnect_min,
        reconnect_max,
    };
    section.finish();
    settings
}

fn name(text: &str) -> Option<String> {
    is_name(text).then(|| text.to_owned())
}

fn url(section: &mut Section<'_>) -> Option<String> {
    let text = section.string("url")?;
    let url = address::url(&text);
    if url.is_none() {
        // Before an @ stands a password, as often as not.
        let actual = if text.contains('@') { "a URL with `@`".to_owned() } else { shown(&text) };
        section.report("url", Problem::not_allowed(actual, address::URL));
    }
    url
}

fn check_format(section: &Section<'_>, media: Transport, format: MediaFormat) {
    if !media.carries(format) {
        let carried: Vec<&str> = media.formats().iter().map(|it| it.asterisk_name()).collect();
        let carried = carried.join(", ");
        let reason = format!("\"{format}\" does not travel over {media}, which carries {carried}");
        section.report("format", Problem::Conflict { reason });
    }
}

/// The shortest and the longest pause before a connection is tried again.
pub(super) fn reconnect(
    section: &mut Section<'_>,
    min: Duration,
    max: Duration,
) -> (Duration, Duration) {
    let min = section.millis("reconnect_min_ms", min, 10..=60_000);
    let max = section.millis("reconnect_max_ms", max, 10..=600_000);
    if max < min {
        let reason = format!("{} is below reconnect_min_ms, {}", max.as_millis(), min.as_millis());
        section.report("reconnect_max_ms", Problem::Conflict { reason });
    }
    (min, max)
}

/// A file with certificates, looked into at once.
pub(super) fn ca_file(section: &mut Section<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(section.string("ca_file")?);
    let shown_path = path.display().to_string();
    match fs::read_to_string(&path) {
        Err(error) => {
            let problem = Problem::Unreadable { path: shown_path, reason: error.to_string() };
            section.report("ca_file", problem);
        }
        Ok(text) if !text.contains("-----BEGIN CERTIFICATE-----") => {
            let allowed = "a PEM file with one certificate or more";
            section.report("ca_file", Problem::not_allowed(shown(&shown_path), allowed));
        }
        Ok(_) => {}
    }
    Some(path)
}
