//! A caller without a telephone: a Local channel whose first half speaks, listens and records.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::{Asterisk, sln_extension};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A call from the extension `caller` of `[test-caller]` to `target`, which is `extension@context`.
///
/// The channel gets one format, `slin` unless [`rate`](Self::rate) says otherwise. Left to itself,
/// Asterisk would make it `slin192` and resample everything twice.
#[derive(Debug, Clone)]
pub struct LocalCall {
    target: String,
    caller: &'static str,
    rate: u32,
    variables: serde_json::Map<String, serde_json::Value>,
    prompt: Option<String>,
}

impl LocalCall {
    /// A caller that stays silent until somebody else ends the call.
    pub fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            caller: "stay",
            rate: 8000,
            variables: serde_json::Map::new(),
            prompt: None,
        }
        .variable("LEAD", "0")
        .variable("TAIL", "1")
        .variable("RECORDING", "call")
    }

    /// A caller that comes in through `Stasis(sidetone,<arguments>)`.
    pub fn to_sidetone(arguments: &str) -> Self {
        Self::new("sidetone@test-called").variable("ARGS", arguments)
    }

    /// The caller speaks the sound `name` ([`Asterisk::put_sound`]) once, then hangs up. It records
    /// `RECORDING-said`, `-heard` and `-both` with the extension of its rate (`.sln`, `.sln16`).
    pub fn plays(mut self, name: &str) -> Self {
        self.caller = "play";
        self.prompt = Some(name.to_owned());
        self
    }

    /// The caller speaks the sound `name` again and again until somebody else ends the call.
    pub fn talks(mut self, name: &str) -> Self {
        self.caller = "talk";
        self.prompt = Some(name.to_owned());
        self
    }

    /// The first part of the recordings' names.
    pub fn records(self, name: &str) -> Self {
        self.variable("RECORDING", name)
    }

    /// Seconds of waiting before the prompt (0) and after it (1).
    pub fn waits(self, lead: f32, tail: f32) -> Self {
        self.variable("LEAD", &lead.to_string()).variable("TAIL", &tail.to_string())
    }

    /// The sample rate of the caller's channel, in Hz: 8000 or 16000 in most tests.
    pub fn rate(mut self, rate: u32) -> Self {
        self.rate = rate;
        self
    }

    /// A channel variable, on both halves.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Makes the call and returns the id of the caller's half; the other half's is that with `-far`.
    ///
    /// # Panics
    ///
    /// When Asterisk refuses.
    pub fn start(mut self, asterisk: &Asterisk) -> String {
        let extension = sln_extension(self.rate);
        if let Some(name) = &self.prompt {
            let prompt = asterisk.folder.inside(&format!("sounds/{name}"));
            self.variables.insert("PROMPT".to_owned(), prompt.into());
        }
        self.variables.insert("RATE".to_owned(), extension.as_str().into());
        let id = format!("test-call-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let response = asterisk.ari(
            "POST",
            "/channels",
            &[
                // `/n`: the two halves stay, instead of being optimised away once bridged.
                ("endpoint", &format!("Local/{}/n", self.target)),
                ("context", "test-caller"),
                ("extension", self.caller),
                ("priority", "1"),
                ("formats", &extension.replace("sln", "slin")),
                ("channelId", &id),
                ("otherChannelId", &format!("{id}-far")),
            ],
            Some(&json!({ "variables": self.variables })),
        );
        assert_eq!(response.status, 200, "{response:?}\n{}", asterisk.log());
        id
    }
}
