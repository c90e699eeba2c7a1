use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::RecordingError;
use crate::audio::{MediaFormat, SampleRate};
use crate::call::{CallId, CallInfo, Transport};
use crate::media::CallStats;

/// The JSON file beside a recording.
#[derive(Serialize)]
pub(super) struct Sidecar<'a> {
    /// Whether the WAV file holds the call to its end.
    complete: bool,
    /// Why it does not, where we know.
    error: Option<String>,
    call_id: CallId,
    channel_id: Option<&'a str>,
    channel_name: Option<&'a str>,
    caller_number: Option<&'a str>,
    caller_name: Option<&'a str>,
    stream_uuid: Option<Uuid>,
    pipeline: &'a str,
    parameters: &'a BTreeMap<String, String>,
    transport: Transport,
    format: Option<MediaFormat>,
    sample_rate_hz: SampleRate,
    /// Wall-clock time of the first frame of the file, milliseconds since the Unix epoch.
    start_unix_ms: u64,
    /// Length of the file; `None` while it grows.
    duration_ms: Option<u64>,
    /// Samples of both sides, missing because the disk was too slow.
    dropped_samples: u64,
    /// What was counted in the call; `None` while it lasts, and where it had no proper end.
    stats: Option<&'a CallStats>,
}

impl<'a> Sidecar<'a> {
    /// The description of a recording that has just begun.
    pub(super) fn new(call: &'a CallInfo, rate: SampleRate, start: Duration) -> Self {
        let caller = call.caller.as_ref();
        Self {
            complete: false,
            error: None,
            call_id: call.id,
            channel_id: caller.map(|caller| &*caller.channel_id),
            channel_name: caller.map(|caller| &*caller.channel_name),
            caller_number: caller.map(|caller| &*caller.number),
            caller_name: caller.map(|caller| &*caller.name),
            stream_uuid: call.stream_uuid,
            pipeline: &call.pipeline,
            parameters: &call.parameters,
            transport: call.transport,
            format: call.format,
            sample_rate_hz: rate,
            start_unix_ms: millis(start),
            duration_ms: None,
            dropped_samples: 0,
            stats: None,
        }
    }

    /// The recording is closed, with `duration` of audio in the file.
    pub(super) fn closed(mut self, duration: Duration, dropped_samples: u64) -> Self {
        self.duration_ms = Some(millis(duration));
        self.dropped_samples = dropped_samples;
        self
    }

    /// The file holds the call to its end.
    pub(super) fn complete(mut self, stats: &'a CallStats) -> Self {
        self.complete = true;
        self.stats = Some(stats);
        self
    }

    /// The recording ended before the call.
    pub(super) fn failed(mut self, error: &RecordingError) -> Self {
        self.error = Some(error.to_string());
        self
    }

    /// Writes the file at `path`, replacing a former one as a whole: it is never seen half written.
    pub(super) fn write(&self, path: &Path) -> Result<(), RecordingError> {
        let part = path.with_extension("json.part");
        let written = serde_json::to_vec_pretty(self)
            .map_err(Into::into)
            .and_then(|json| fs::write(&part, json))
            .and_then(|()| fs::rename(&part, path));
        written.map_err(|source| {
            // Leaves nothing behind that looks like a recording; the error to tell is the first.
            let _ = fs::remove_file(&part);
            RecordingError::Write { path: path.to_owned(), source }
        })
    }
}

/// Whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
