//! The `[bot.NAME]` sections: one for each bot.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asterisk::{ca_file, reconnect};
use super::error::Problem;
use super::reader::Section;
use super::secret::{SecretKeys, Variables, secret};
use super::sections::named;
use super::tree::shown;
use super::websocket::{self, RATES};
use crate::call::Destination;
use crate::processor::bot::{BargeIn, Behaviour, Dialect, Fallback, SessionSettings, Template};
use crate::processor::player::PlaySpec;
use crate::processor::{MAX_CHUNK, MIN_CHUNK};
use crate::runtime::bot::BotSettings;

const TOKEN: SecretKeys =
    SecretKeys { plain: "token", file: "token_file", variable: "token_env", wanted: None };

const PLAY: &str = "a file's name below player.root, or tones such as tone:425/1000,0/4000";

/// Every bot, by name.
pub(super) fn bots(section: Section<'_>, variables: &Variables) -> BTreeMap<String, BotSettings> {
    named(section, "bot", |section| bot(section, variables))
}

fn bot(mut section: Section<'_>, variables: &Variables) -> BotSettings {
    let default = BotSettings::default();
    let session = session(&mut section, default.session);
    let behaviour = behaviour(&mut section, &default.behaviour);
    let rate = section.rate_or_own("rate_hz", &RATES);
    if session.dialect == Dialect::Twilio && rate.is_some_and(|rate| rate.hz() != 8_000) {
        let reason = "the dialect \"twilio\" has 8000 Hz, and no other".to_owned();
        section.report("rate_hz", Problem::Conflict { reason });
    }
    let (reconnect_min, reconnect_max) =
        reconnect(&mut section, default.reconnect_min, default.reconnect_max);
    let settings = BotSettings {
        behaviour,
        session,
        url: url(&mut section),
        token: secret(&mut section, &TOKEN, variables),
        headers: headers(&mut section),
        parameters: parameters(&mut section),
        ca_file: ca_file(&mut section),
        rate,
        connect_timeout: websocket::connect_timeout(&mut section, default.connect_timeout),
        link: websocket::link(&mut section, &default.link),
        reconnect_min,
        reconnect_max,
    };
    section.finish();
    settings
}

fn session(section: &mut Section<'_>, default: SessionSettings) -> SessionSettings {
    let millis = |chunk: Duration| u64::try_from(chunk.as_millis()).unwrap_or(u64::MAX);
    SessionSettings {
        dialect: section.word("dialect", default.dialect, &Dialect::WORDS),
        chunk: section.millis("chunk_ms", default.chunk, millis(MIN_CHUNK)..=millis(MAX_CHUNK)),
        buffer: section.millis("buffer_ms", default.buffer, 200..=120_000),
        give_up: section.millis("give_up_ms", default.give_up, 100..=3_600_000),
        stats_every: section.millis_or_never("stats_ms", default.stats_every, 100..=3_600_000),
        max_queued: section.millis("max_queued_ms", default.max_queued, 100..=600_000),
        account_sid: section
            .parsed("account_sid", "`AC` and 32 hexadecimal digits", account_sid)
            .unwrap_or(default.account_sid),
    }
}

fn behaviour(section: &mut Section<'_>, default: &Behaviour) -> Behaviour {
    let mut play = |key| section.parsed(key, PLAY, |text: &str| text.parse::<PlaySpec>().ok());
    let (comfort, fallback_play) = (play("comfort"), play("fallback_play"));
    let behaviour = Behaviour {
        barge_in: section.word("barge_in", default.barge_in, &BargeIn::WORDS),
        confirm: section.millis("confirm_ms", default.confirm, 0..=10_000),
        duck_db: section.integer("duck_db", default.duck_db, 1..=90),
        comfort,
        comfort_after: section.millis("comfort_after_ms", default.comfort_after, 0..=60_000),
        fallback: Fallback { play: fallback_play, destination: destination(section) },
        xoff: section.millis("xoff_ms", default.xoff, 100..=600_000),
        xon: section.millis("xon_ms", default.xon, 0..=600_000),
    };
    if behaviour.xon >= behaviour.xoff {
        let (xon, xoff) = (behaviour.xon.as_millis(), behaviour.xoff.as_millis());
        let reason = format!("{xon} is not below xoff_ms, {xoff}");
        section.report("xon_ms", Problem::Conflict { reason });
    }
    behaviour
}

/// `fallback`, and with `"continue"` also `fallback_to`.
fn destination(section: &mut Section<'_>) -> Option<Destination> {
    let words = [("hangup", false), ("continue", true)];
    let continues = section.word("fallback", false, &words);
    let allowed = "CONTEXT,EXTENSION or CONTEXT,EXTENSION,PRIORITY of Asterisk's dialplan";
    let to = section.parsed("fallback_to", allowed, place_in_dialplan);
    if to.is_some() && !continues {
        let reason = "it needs fallback = \"continue\"".to_owned();
        section.report("fallback_to", Problem::Conflict { reason });
    }
    continues.then(|| to.unwrap_or_default())
}

fn place_in_dialplan(text: &str) -> Option<Destination> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (context, extension, priority) = match parts[..] {
        [context, extension] => (context, extension, None),
        [context, extension, priority] => {
            let priority: u32 = priority.parse().ok().filter(|priority| *priority > 0)?;
            (context, extension, Some(priority))
        }
        _ => return None,
    };
    let named = !context.is_empty() && !extension.is_empty();
    named.then(|| Destination {
        context: Some(context.to_owned()),
        extension: Some(extension.to_owned()),
        priority,
    })
}

fn account_sid(text: &str) -> Option<String> {
    let digits = text.strip_prefix("AC")?;
    let is_sid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sid.then(|| text.to_owned())
}

/// `url`; without one the bot connects to us.
fn url(section: &mut Section<'_>) -> Option<Template> {
    let text = section.string("url")?;
    let url = template(section, "url", &text);
    if let Some(url) = &url {
        websocket::check_url(section, &url.sample());
    }
    // One that is wrong is there all the same.
    Some(url.unwrap_or_default())
}

fn headers(section: &mut Section<'_>) -> Vec<(String, crate::runtime::Secret)> {
    let headers = websocket::headers(section);
    for (name, value) in &headers {
        // Not shown: it may be a secret.
        if value.reveal().parse::<Template>().is_err() {
            let reason = format!("the value of {name} has braces that are no field of a call");
            section.report("headers", Problem::Conflict { reason });
        }
    }
    headers
}

/// Parameters as `key=value`, whose values are templates.
fn parameters(section: &mut Section<'_>) -> Vec<(String, Template)> {
    let mut parameters = Vec::new();
    for line in section.strings("parameters").unwrap_or_default() {
        match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some((key, value)) if !key.is_empty() => {
                let value = template(section, "parameters", value);
                parameters.extend(value.map(|value| (key.to_owned(), value)));
            }
            _ => {
                let problem = Problem::not_allowed(shown(&line), "\"key=value\"");
                section.report("parameters", problem);
            }
        }
    }
    parameters
}

fn template(section: &Section<'_>, key: &str, text: &str) -> Option<Template> {
    let parsed = text.parse::<Template>();
    parsed
        .map_err(|error| section.report(key, Problem::Conflict { reason: error.to_string() }))
        .ok()
}
