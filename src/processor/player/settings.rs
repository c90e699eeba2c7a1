use std::path::PathBuf;

use super::PlaySpec;

/// What may be played: the `[player]` section of the configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct PlayerSettings {
    /// The folder below which files are; without it there are none.
    pub root: Option<PathBuf>,
    /// What the processor `player` plays to calls that do not say so themselves.
    pub play: Option<PlaySpec>,
    /// Whether it plays that again and again.
    pub looped: bool,
    /// Samples of files that are kept for further calls, in bytes. What calls are playing at this
    /// moment may come on top.
    pub cache_bytes: u64,
}

impl Default for PlayerSettings {
    fn default() -> Self {
        Self { root: None, play: None, looped: false, cache_bytes: 64 << 20 }
    }
}
