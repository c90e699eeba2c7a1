use std::sync::Arc;

use serde::Serialize;

/// What a recogniser heard. Times are media times of the call, whatever the service's clock says.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transcript {
    /// The service, by its name in the configuration.
    pub service: Arc<str>,
    /// The words, as the service writes them.
    pub text: String,
    /// No better one comes for the same audio.
    pub is_final: bool,
    /// Where the utterance begins.
    pub start_ms: u64,
    /// Where it ends, as far as it was heard.
    pub end_ms: u64,
    /// Each word, where the service tells them.
    pub words: Vec<Word>,
    /// How sure the service is, 0 to 1, where it says so.
    pub confidence: Option<f64>,
}

/// One word of a [`Transcript`].
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Word {
    /// The word.
    pub word: String,
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// How sure the service is, 0 to 1, where it says so.
    pub confidence: Option<f64>,
}
