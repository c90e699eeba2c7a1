use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What goes out over RTP while there is nothing to play.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilencePolicy {
    /// Frames of silence: the peer hears a steady stream.
    #[default]
    Send,
    /// Nothing: the timestamp goes on, and the next audio carries the marker bit.
    Suppress,
}

/// How a call's audio is received and sent.
#[derive(Clone, PartialEq, Debug)]
pub struct MediaSettings {
    /// How long a packet waits for the ones that are missing before it.
    pub jitter_max_wait: Duration,
    /// Packets that may wait behind a hole.
    pub jitter_capacity_packets: usize,
    /// Audio that processors may queue for the caller.
    pub playout_max_queue: Duration,
    /// Silence on the wire after which [`NoMedia`](crate::event::EventKind::NoMedia) is told;
    /// zero: never.
    pub no_media_after: Duration,
    /// Silence on the wire after which the call is ended; zero: never.
    pub end_after: Duration,
    /// How long after its time a packet still reaches the archive.
    pub late_window: Duration,
    /// What goes out over RTP while there is nothing to play.
    pub silence: SilencePolicy,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            jitter_max_wait: Duration::from_millis(60),
            jitter_capacity_packets: 64,
            playout_max_queue: Duration::from_secs(60),
            no_media_after: Duration::from_secs(5),
            end_after: Duration::from_secs(60),
            late_window: Duration::from_secs(2),
            silence: SilencePolicy::Send,
        }
    }
}
