//! What happens in a call, as one typed enum with a JSON form.
//!
//! Events of one call come in order. Each carries its media time (since the call's start) and the
//! wall-clock time. The JSON form is the serde form: an object with `media_ms`, `wall_ms`, `type`
//! and the variant's fields, as in
//! `{"media_ms":1240,"wall_ms":1763689200123,"type":"mark","name":"greeting","played":true}`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::audio::MediaFormat;
use crate::call::{CallId, Destination, EndReason, Transport};
use crate::media::{CallStats, DigitSource, QueueLevel};
use crate::processor::stt::Transcript;

/// One event of one call.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Time since the call's start.
    #[serde(rename = "media_ms", serialize_with = "millis")]
    pub media_time: Duration,
    /// Time since the Unix epoch.
    #[serde(rename = "wall_ms", serialize_with = "millis")]
    pub wall_time: Duration,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// An event together with its call, as it leaves a shard.
#[derive(Clone, Debug, Serialize)]
pub struct CallEvent {
    /// The call.
    pub call: CallId,
    /// What happened in it.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in a call.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The call has a leg; no audio yet.
    CallStarted {
        /// How its audio travels.
        transport: Transport,
    },
    /// The first frame of the caller's audio arrived.
    MediaReady {
        /// Format on the wire.
        format: MediaFormat,
    },
    /// The peer sends another format than the one asked for; told once per call, counted always.
    FormatMismatch {
        /// The format asked for.
        expected: MediaFormat,
        /// RTP payload type or AudioSocket kind that came instead.
        actual: u8,
    },
    /// A DTMF digit of the caller: each press once, however many sources tell of it.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// Who told of it first: `audiosocket`, `rtp`, `ari` or `inband`.
        source: DigitSource,
        /// How long it was pressed; absent where that is not known, or not yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// The caller began to speak; told once that is certain.
    SpeechStarted {
        /// When: since the call's start, as `media_ms`.
        at_ms: u64,
    },
    /// The caller stopped; told once it has been quiet for long enough. Speech that the call's end
    /// cuts off has none.
    SpeechEnded {
        /// When: since the call's start, as `media_ms`.
        at_ms: u64,
    },
    /// A mark was reached, or will not be: each is told once.
    Mark {
        /// The name given to the mark.
        name: String,
        /// The last sample before it has been sent. False where that was thrown away, or where so
        /// many marks wait that the oldest is told early.
        played: bool,
    },
    /// Queued audio was thrown away. Its marks follow as events of their own.
    Cleared {
        /// How much of the audio queued since the queue was last empty had been sent, with the 4 ms
        /// that fade out.
        played_ms: u64,
        /// How much was thrown away.
        discarded_ms: u64,
        /// The marks in it, in order.
        marks: Vec<String>,
    },
    /// The playout queue came to its high water, or fell to its low water again: to whoever asked for
    /// it, in order to wait and to go on.
    QueueLevel {
        /// `high` or `low`.
        level: QueueLevel,
        /// How much waits.
        queued_ms: u64,
    },
    /// The playout queue ran empty: all that was queued has been sent.
    PlaybackDone,
    /// Something that was to be played cannot be.
    PlaybackFailed {
        /// What it was: a file's name, or tones.
        source: String,
        /// Why not.
        error: String,
    },
    /// The recorder stopped before the call did.
    RecordingFailed {
        /// The file that holds what was recorded until then.
        path: PathBuf,
        /// What went wrong.
        error: String,
    },
    /// A recording is complete on disk.
    RecordingDone {
        /// The WAV file; its JSON file stands beside it.
        path: PathBuf,
        /// Length of the recording.
        duration_ms: u64,
    },
    /// A recogniser heard something.
    Transcript(Box<Transcript>),
    /// A speech-to-text service of one's own sent something else than a result.
    SttMessage {
        /// The service, by its name in the configuration.
        service: Arc<str>,
        /// The object that it sent.
        message: serde_json::Value,
    },
    /// Something is wrong with a speech-to-text service. Told once, until it is over; the call
    /// itself goes on.
    SttDegraded {
        /// The service, by its name in the configuration.
        service: Arc<str>,
        /// What, in one word; the metrics count by it.
        reason: &'static str,
        /// What, in a sentence.
        detail: String,
    },
    /// A processor of the pipeline was switched on or off, or is so already.
    ProcessorSwitched {
        /// Its name in the pipeline.
        name: Arc<str>,
        /// It gets frames.
        on: bool,
    },
    /// A processor presses keys towards the caller.
    SendDtmf {
        /// Of `0` to `9`, `*`, `#`, `A` to `D`.
        digits: String,
    },
    /// A processor sends the caller on in Asterisk's dialplan; the end of the call follows.
    Transfer {
        /// Where to.
        destination: Destination,
    },
    /// There is a bot: its connection was made.
    BotConnected {
        /// The bot, by its name in the configuration.
        bot: Arc<str>,
    },
    /// Something is wrong with a bot. Told once, until it is over; the call itself goes on.
    BotDegraded {
        /// The bot, by its name in the configuration.
        bot: Arc<str>,
        /// What, in one word; the metrics count by it.
        reason: &'static str,
        /// What, in a sentence.
        detail: String,
    },
    /// A bot has ended the talk: the call ends when all it said has been played.
    BotEnded {
        /// The bot, by its name in the configuration.
        bot: Arc<str>,
    },
    /// There has been no bot for too long: the fallback begins.
    BotGaveUp {
        /// The bot, by its name in the configuration.
        bot: Arc<str>,
    },
    /// Nothing has come from the peer for a while.
    NoMedia {
        /// For how long.
        silent_ms: u64,
    },
    /// The call is over: its last event, but for [`EventKind::RecordingDone`] and
    /// [`EventKind::RecordingFailed`].
    CallEnded {
        /// Why.
        reason: EndReason,
        /// What was counted.
        stats: Box<CallStats>,
    },
}

fn millis<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole_millis(*span))
}

/// Whole milliseconds of `span`, as events tell it.
pub(crate) fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
