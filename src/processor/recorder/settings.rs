use std::path::PathBuf;
use std::time::Duration;

/// How calls are recorded: the `[recorder]` section of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecorderSettings {
    /// Where the files go; made when the first recording starts. Relative to the working folder.
    pub directory: PathBuf,
    /// Longest time between two moments at which the file on disk is whole and readable.
    ///
    /// Up to 300 ms come on top before a sample has left the process, so 700 ms or less keeps the
    /// promise that a killed process loses no more than one second.
    pub flush_every: Duration,
    /// How much audio of one recording waits for a slow disk before the oldest is dropped.
    pub queue: Duration,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("recordings"),
            flush_every: Duration::from_millis(500),
            queue: Duration::from_secs(10),
        }
    }
}
