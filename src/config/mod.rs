//! The configuration: one TOML file, the environment, and the usual flags, in rising strength.
//!
//! [`Config::load`] reads every key by hand, so that all that is wrong is told at once, each with
//! its key, its value and what is allowed. Without a file the defaults are a working server on
//! loopback. `docker/sidetone.toml` holds every key, `docs/configuration.md` explains them.
//!
//! A key `port` of section `[rtp]` is `SIDETONE__RTP__PORT` in the environment, and `name` of the
//! first `[[asterisk]]` block is `SIDETONE__ASTERISK__0__NAME`.

mod address;
mod asterisk;
mod bot;
mod check;
mod error;
mod overlay;
mod reader;
mod secret;
mod sections;
mod settings;
mod stt;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod warnings;
mod websocket;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

pub use self::error::{ConfigError, ConfigErrors, Place, Problem};
pub use self::overlay::Override;
pub use self::settings::{LogFormat, LogLevel, LogSettings, Pipelines, ServerSettings};

use self::reader::{Findings, Section};
use self::tree::Table;
use crate::api::ApiSettings;
use crate::ari::AsteriskSettings;
use crate::media::MediaSettings;
use crate::processor::EchoSettings;
use crate::processor::player::PlayerSettings;
use crate::processor::recorder::RecorderSettings;
use crate::processor::vad::VadSettings;
use crate::runtime::RuntimeSettings;
use crate::runtime::bot::BotSettings;
use crate::runtime::stt::SttSettings;

/// What a configuration is read from; the later is the stronger.
#[derive(Clone, Debug, Default)]
pub struct Sources<'a> {
    /// The TOML file, if there is one.
    pub file: Option<&'a Path>,
    /// The environment. Variables that do not begin with `SIDETONE__` are only looked at where a
    /// `password_env` or a `token_env` names them.
    pub environment: Vec<(OsString, OsString)>,
    /// Values from the command line.
    pub flags: Vec<Override>,
}

/// Everything that can be configured, valid and consistent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// `[server]`, but for what concerns its shards.
    pub server: ServerSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[server]` as far as it concerns shards, `[rtp]` and `[audiosocket]`.
    pub runtime: RuntimeSettings,
    /// `[jitter]`, `[playout]` and `[media]`.
    pub media: MediaSettings,
    /// `[echo]`.
    pub echo: EchoSettings,
    /// `[player]`.
    pub player: PlayerSettings,
    /// `[recorder]`.
    pub recorder: RecorderSettings,
    /// `[vad]`.
    pub vad: VadSettings,
    /// The `[stt.NAME]` sections, by name.
    pub stt: BTreeMap<String, SttSettings>,
    /// The `[bot.NAME]` sections, by name.
    pub bots: BTreeMap<String, BotSettings>,
    /// `[pipelines]`.
    pub pipelines: Pipelines,
    /// `[api]`.
    pub api: ApiSettings,
    /// The `[[asterisk]]` blocks.
    pub asterisk: Vec<AsteriskSettings>,
}

impl Config {
    /// Reads and checks a configuration. `processors` are the names that a pipeline may list.
    ///
    /// Reads the file, and those that `password_file`, `token_file` and `ca_file` name; opens no socket.
    ///
    /// # Errors
    /// All that is wrong, at once; where a file is not TOML, only that.
    pub fn load(sources: Sources<'_>, processors: &[&str]) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut table = match sources.file {
            Some(path) => read(path)?,
            None => Table::new(),
        };
        overlay::environment(&mut table, sources.environment.iter().cloned(), &mut errors);
        overlay::flags(&mut table, &sources.flags, &mut errors);
        let findings = Findings::default();
        let variables = sources.environment.into_iter().collect();
        let config = Self::from_table(&table, &variables, processors, &findings);
        errors.extend(findings.into_errors());
        ConfigErrors::check(errors)?;
        Ok(config)
    }

    fn from_table(
        table: &Table,
        variables: &secret::Variables,
        processors: &[&str],
        findings: &Findings,
    ) -> Self {
        let mut root = Section::root(table, findings);
        let (server, shards) = sections::server(root.section("server"));
        let log = sections::log(root.section("log"));
        let rtp = sections::rtp(root.section("rtp"));
        let audiosocket = sections::audiosocket(root.section("audiosocket"));
        let [jitter, playout, media, opus] =
            ["jitter", "playout", "media", "opus"].map(|key| root.section(key));
        let media = sections::media(jitter, playout, media, opus);
        let echo = sections::echo(root.section("echo"));
        let player = sections::player(root.section("player"));
        let recorder = sections::recorder(root.section("recorder"));
        let vad = sections::vad(root.section("vad"));
        let stt = stt::services(root.section("stt"), variables);
        let bots = bot::bots(root.section("bot"), variables);
        let named = [("stt", stt.keys().collect()), ("bot", bots.keys().collect())];
        let processors = sections::processors(processors, &named);
        let pipelines = sections::pipelines(root.section("pipelines"), &processors);
        let api = sections::api(root.section("api"));
        let blocks = root.sections("asterisk");
        let asterisk =
            blocks.into_iter().map(|block| asterisk::asterisk(block, &pipelines, variables));
        let asterisk = asterisk.collect();
        root.finish();
        let runtime = RuntimeSettings { rtp, audiosocket, ..shards };
        let config = Self {
            server,
            log,
            runtime,
            media,
            echo,
            player,
            recorder,
            vad,
            stt,
            bots,
            pipelines,
            api,
            asterisk,
        };
        check::consistency(&config, findings);
        config
    }

    /// What works and is probably not meant, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        warnings::warnings(self)
    }

    /// Files and sockets that the process holds when every limit is reached.
    #[must_use]
    pub fn most_open_files(&self) -> u64 {
        warnings::most_open_files(self)
    }
}

fn read(path: &Path) -> Result<Table, ConfigErrors> {
    let parsed = match fs::read_to_string(path) {
        Ok(text) => tree::parse(path, &text),
        Err(error) => Err(vec![ConfigError {
            place: Place::Nowhere,
            key: String::new(),
            problem: Problem::Unreadable {
                path: path.display().to_string(),
                reason: error.to_string(),
            },
        }]),
    };
    parsed.or_else(|errors| ConfigErrors::check(errors).map(|()| Table::new()))
}
