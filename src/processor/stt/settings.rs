use std::time::Duration;

use super::{Dialect, Encoding};

/// Which audio a service gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// All of it.
    #[default]
    Stream,
    /// What is spoken, as a detector in the pipeline says, and the pre-roll before it.
    Speech,
}

/// How a session speaks with its service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSettings {
    /// The service's protocol.
    pub dialect: Dialect,
    /// How it wants samples.
    pub encoding: Encoding,
    /// Which audio it gets.
    pub mode: Mode,
    /// Audio before the beginning of speech that is sent with it, in [`Mode::Speech`].
    pub pre_roll: Duration,
    /// Most audio that waits to be sent, or to be acknowledged.
    pub buffer: Duration,
    /// How long the service may take for its last words once the call is over.
    pub finish: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            dialect: Dialect::Vosk,
            encoding: Encoding::Linear16,
            mode: Mode::Stream,
            pre_roll: Duration::from_millis(400),
            buffer: Duration::from_secs(15),
            finish: Duration::from_secs(3),
        }
    }
}
