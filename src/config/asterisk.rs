//! The `[[asterisk]]` blocks: one for each Asterisk that Sidetone serves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::address;
use super::error::{Place, Problem};
use super::reader::Section;
use super::sections::{check_pipeline, is_name};
use super::settings::Pipelines;
use super::tree::shown;
use crate::ari::{AsteriskSettings, OnEnd};
use crate::audio::MediaFormat;
use crate::call::Transport;
use crate::runtime::Secret;

/// A password file holds a password, not a film.
const MAX_PASSWORD_BYTES: u64 = 4096;
const PASSWORD_KEYS: [&str; 3] = ["password", "password_file", "password_env"];

/// Environment variables by name, for `password_env`.
pub(super) type Variables = BTreeMap<OsString, OsString>;

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
    let password = password(&mut section, variables);
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
    let reconnect_min = section.millis("reconnect_min_ms", default.reconnect_min, 10..=60_000);
    let reconnect_max = section.millis("reconnect_max_ms", default.reconnect_max, 10..=600_000);
    if reconnect_max < reconnect_min {
        let reason = format!(
            "{} is below reconnect_min_ms, {}",
            reconnect_max.as_millis(),
            reconnect_min.as_millis()
        );
        section.report("reconnect_max_ms", Problem::Conflict { reason });
    }
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

fn ca_file(section: &mut Section<'_>) -> Option<PathBuf> {
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

/// The password, from the one of its three keys that is given.
///
/// Where several are given, those at the strongest place count, so that the environment can put a
/// `password_file` in the place of the file's `password`.
fn password(section: &mut Section<'_>, variables: &Variables) -> Secret {
    let findings = section.findings();
    let plain = section.secret("password");
    let file = section.string("password_file");
    let variable = section.string("password_env");
    let strength = |key: &str| match findings.place(&section.key(key)) {
        Place::Nowhere => 0,
        Place::File { .. } => 1,
        Place::Environment { .. } => 2,
        Place::Flag { .. } => 3,
    };
    let strongest = PASSWORD_KEYS.map(strength).into_iter().max().unwrap_or(0);
    let given: Vec<&str> =
        PASSWORD_KEYS.into_iter().filter(|key| strength(key) == strongest).collect();
    match given.as_slice() {
        // What is no table at all has been reported.
        _ if !section.is_table() => Secret::default(),
        _ if strongest == 0 => {
            let wanted = "one of password, password_file and password_env: \
                          the password of this user in Asterisk's ari.conf"
                .to_owned();
            findings.report(
                section.place().clone(),
                section.key("password"),
                Problem::Missing { wanted },
            );
            Secret::default()
        }
        ["password"] => Secret::new(plain.unwrap_or_default()),
        ["password_file"] => from_file(section, file),
        ["password_env"] => from_variable(section, variable, variables),
        several => {
            let reason = format!("only one may be given of {}", several.join(", "));
            section.report(several[0], Problem::Conflict { reason });
            Secret::default()
        }
    }
}

fn from_file(section: &Section<'_>, path: Option<String>) -> Secret {
    let Some(path) = path else { return Secret::default() };
    let refuse = |problem| {
        section.report("password_file", problem);
        Secret::default()
    };
    let too_long = fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_PASSWORD_BYTES);
    if too_long {
        let allowed = format!("a file of at most {MAX_PASSWORD_BYTES} bytes");
        return refuse(Problem::not_allowed(shown(&path), allowed));
    }
    match fs::read_to_string(&path) {
        Err(error) => refuse(Problem::Unreadable { path, reason: error.to_string() }),
        Ok(text) => match text.trim_end_matches(['\r', '\n']) {
            "" => refuse(Problem::not_allowed(shown(&path), "a file that is not empty")),
            password => Secret::new(password.to_owned()),
        },
    }
}

fn from_variable(section: &Section<'_>, name: Option<String>, variables: &Variables) -> Secret {
    let Some(name) = name else { return Secret::default() };
    let value = variables.get(&OsString::from(&name)).and_then(|value| value.to_str());
    match value {
        Some(password) if !password.is_empty() => Secret::new(password.to_owned()),
        _ => {
            let allowed = "the name of an environment variable that is set and not empty";
            section.report("password_env", Problem::not_allowed(shown(&name), allowed));
            Secret::default()
        }
    }
}
