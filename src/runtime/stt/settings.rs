use std::path::PathBuf;
use std::time::Duration;

use crate::audio::SampleRate;
use crate::processor::stt::SessionSettings;
use crate::runtime::Secret;
use crate::runtime::link::LinkSettings;

/// A speech-to-text service: a section `[stt.NAME]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SttSettings {
    /// What is said to it, and when.
    pub session: SessionSettings,
    /// Where it is: `ws://…` or `wss://…`.
    pub url: String,
    /// What it wants to know us by.
    pub token: Option<Secret>,
    /// Further headers of the request.
    pub headers: Vec<(String, Secret)>,
    /// PEM file with the certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Rate of the audio that it wants; `None`: the call's. Where the encoding does not have it, the
    /// next one above that it has.
    pub rate: Option<SampleRate>,
    /// Audio that is handed on at once: in one message, or in packets of 20 ms with
    /// [`Encoding::Opus`](crate::processor::stt::Encoding::Opus).
    pub chunk: Duration,
    /// Most time that a connection may take to be there.
    pub connect_timeout: Duration,
    /// What the service may do before its connection is given up.
    pub link: LinkSettings,
    /// Shortest pause before the next connection.
    pub reconnect_min: Duration,
    /// Longest pause before the next connection.
    pub reconnect_max: Duration,
}

impl Default for SttSettings {
    fn default() -> Self {
        Self {
            session: SessionSettings::default(),
            url: "ws://127.0.0.1:2700".to_owned(),
            token: None,
            headers: Vec::new(),
            ca_file: None,
            rate: None,
            chunk: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(5),
            link: LinkSettings {
                write_timeout: Duration::from_secs(3),
                ping_every: Duration::from_secs(3),
                max_message_bytes: 256 << 10,
            },
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(5),
        }
    }
}
