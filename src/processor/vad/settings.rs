use std::time::Duration;

use crate::dsp::vad::DetectorKind;

/// When somebody is said to speak: the `[vad]` section of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VadSettings {
    /// What tells speech.
    pub detector: DetectorKind,
    /// From which likelihood on a frame is speech, in percent. Speech goes on as long as it is not
    /// lower by more than 15.
    pub threshold_percent: u8,
    /// How much speech there must be before it is told.
    pub min_speech: Duration,
    /// How long nobody must have spoken before the end is told.
    pub min_silence: Duration,
    /// The threshold while the bot speaks, and for `playing_tail` after.
    pub playing_threshold_percent: u8,
    /// How much speech there must be then.
    pub playing_min_speech: Duration,
    /// By how many decibels an echo of the bot is quieter than the bot, at least: what is quieter
    /// than that is no speech then, until it is measured that less comes back.
    pub playing_echo_db: u8,
    /// For how long after the bot has spoken its echo may come.
    pub playing_tail: Duration,
}

impl Default for VadSettings {
    fn default() -> Self {
        Self {
            detector: DetectorKind::Auto,
            threshold_percent: 50,
            min_speech: Duration::from_millis(90),
            min_silence: Duration::from_millis(400),
            playing_threshold_percent: 80,
            playing_min_speech: Duration::from_millis(180),
            playing_echo_db: 16,
            playing_tail: Duration::from_millis(500),
        }
    }
}
