use std::path::PathBuf;
use std::time::Duration;

use crate::audio::SampleRate;
use crate::processor::bot::{Behaviour, SessionSettings, Template};
use crate::runtime::Secret;
use crate::runtime::link::LinkSettings;

/// A bot: a section `[bot.NAME]` of the configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct BotSettings {
    /// What the call does by itself.
    pub behaviour: Behaviour,
    /// What is said to the bot, and when.
    pub session: SessionSettings,
    /// Where it is: `ws://…` or `wss://…`; `None`: it connects to us.
    pub url: Option<Template>,
    /// What it wants to know us by: a bearer token, or what a Twilio bot checks signatures with.
    pub token: Option<Secret>,
    /// Further headers of the request, each value a [`Template`].
    pub headers: Vec<(String, Secret)>,
    /// Parameters that the bot is told besides those of the dialplan.
    pub parameters: Vec<(String, Template)>,
    /// PEM file with the certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Rate of the bot's audio; `None`: the call's. Twilio bots have 8 kHz.
    pub rate: Option<SampleRate>,
    /// Most time that a connection may take to be there.
    pub connect_timeout: Duration,
    /// What the bot may do before its connection is given up.
    pub link: LinkSettings,
    /// Shortest pause before the next connection.
    pub reconnect_min: Duration,
    /// Longest pause before the next connection.
    pub reconnect_max: Duration,
}

impl Default for BotSettings {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::default(),
            session: SessionSettings::default(),
            url: None,
            token: None,
            headers: Vec::new(),
            parameters: Vec::new(),
            ca_file: None,
            rate: None,
            connect_timeout: Duration::from_secs(3),
            link: LinkSettings {
                write_timeout: Duration::from_secs(3),
                ping_every: Duration::from_secs(3),
                max_message_bytes: 1 << 20,
            },
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(2),
        }
    }
}
