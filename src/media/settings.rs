use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::jitter::{JitterBuffer, Patience};
use crate::audio::{MediaFormat, SampleRate};
use crate::dsp::opus;

/// The shortest packets for which the whole window of late ones is remembered.
const SHORTEST_PACKET: Duration = Duration::from_millis(10);

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

/// In which format a call over RTP is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReturnFormat {
    /// The one that Asterisk takes back.
    ///
    /// Its UnicastRTP has no SDP, so that it knows static payload types only, and drops what comes
    /// with any other (`docs/assumptions.md`); those it takes on a channel of any format. So a call
    /// in a format with a static payload type is answered in that, any other in G.722 where its
    /// audio has more than 8 kHz, else in `slin`.
    #[default]
    Auto,
    /// The call's own: for peers other than Asterisk.
    Same,
    /// This one, whatever the call's is. Not Opus.
    Fixed(MediaFormat),
}

impl ReturnFormat {
    /// The format in which a call in `format` is answered whose samples have `rate`.
    #[must_use]
    pub fn of(self, format: MediaFormat, rate: SampleRate) -> MediaFormat {
        match self {
            Self::Same => format,
            Self::Fixed(fixed) => fixed,
            Self::Auto if format.has_static_payload_type() => format,
            Self::Auto if rate > SampleRate::HZ_8000 => MediaFormat::G722,
            Self::Auto => MediaFormat::Slin(SampleRate::HZ_8000),
        }
    }
}

/// How Opus is decoded and encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpusSettings {
    /// Rate of a call in Opus: one of 8, 12, 16, 24 and 48 kHz.
    pub rate: SampleRate,
    /// What the encoder does.
    pub encoder: opus::Settings,
}

impl Default for OpusSettings {
    fn default() -> Self {
        // What recognisers of speech want.
        Self { rate: SampleRate::HZ_16000, encoder: opus::Settings::default() }
    }
}

/// How a call's audio is received and sent.
#[derive(Clone, PartialEq, Debug)]
pub struct MediaSettings {
    /// The least that a packet waits for the ones that are missing before it.
    pub jitter_min: Duration,
    /// The most, up to [`Patience::MAX`](crate::media::jitter::Patience::MAX).
    pub jitter_max: Duration,
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
    /// In which format a call over RTP is answered.
    pub return_format: ReturnFormat,
    /// How Opus is decoded and encoded.
    pub opus: OpusSettings,
}

impl MediaSettings {
    /// Rate of the samples of a call in `format`.
    #[must_use]
    pub fn rate_of(&self, format: MediaFormat) -> SampleRate {
        match format {
            MediaFormat::Opus => self.opus.rate,
            other => other.sample_rate(),
        }
    }
}

impl MediaSettings {
    /// A jitter buffer for a call.
    pub(super) fn jitter_buffer(&self) -> JitterBuffer {
        let remembered = self.late_window.as_millis() / SHORTEST_PACKET.as_millis();
        let remembered = usize::try_from(remembered).unwrap_or(usize::MAX);
        let patience = Patience::new(self.jitter_min, self.jitter_max);
        JitterBuffer::new(self.jitter_capacity_packets, remembered, patience)
    }
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            jitter_min: Duration::from_millis(20),
            jitter_max: Duration::from_millis(200),
            jitter_capacity_packets: 64,
            playout_max_queue: Duration::from_secs(60),
            no_media_after: Duration::from_secs(5),
            end_after: Duration::from_secs(60),
            late_window: Duration::from_secs(2),
            silence: SilencePolicy::Send,
            return_format: ReturnFormat::Auto,
            opus: OpusSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asterisk_would_drop_is_not_sent_to_it() {
        let settings = MediaSettings::default();
        for format in MediaFormat::ALL {
            let rate = settings.rate_of(format);
            let returned = ReturnFormat::Auto.of(format, rate);
            assert!(returned.has_static_payload_type(), "{format}");
            assert_eq!(returned == format, format.has_static_payload_type(), "{format}");
            // Wide-band calls have a wide-band way back.
            let narrow = rate == SampleRate::HZ_8000;
            assert_eq!(returned.sample_rate() == SampleRate::HZ_8000, narrow, "{format}");
        }
    }
}
