use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::pipe::Pipe;
use super::sidecar::{Sidecar, millis};
use super::wav::StereoWav;
use super::writer::TICK;
use super::{RecordingError, RecordingMetrics};
use crate::audio::SampleRate;
use crate::call::CallInfo;
use crate::event::{CallEvent, Event, EventKind};
use crate::processor::recorder::{Ending, RecorderSettings, Track};
use crate::runtime::EventSink;
use crate::runtime::clock::Clock;

/// Most recordings of one call.
const MAX_SAME_NAME: u32 = 99;

/// One recording, as the writer thread sees it. Dropped before its end, it counts as failed.
pub(super) struct Active {
    settings: Arc<RecorderSettings>,
    pipe: Arc<Pipe>,
    call: CallInfo,
    rate: SampleRate,
    events: Option<EventSink>,
    clock: Clock,
    metrics: Arc<RecordingMetrics>,
    /// Made with the first block, or at the end.
    wav: Option<StereoWav>,
    flushed: Option<Instant>,
    closed: bool,
}

/// What came of one turn of a recording.
pub(super) enum Turn {
    /// It goes on.
    Open,
    /// It is complete on disk.
    Done,
    /// It is over before its call.
    Failed(RecordingError),
}

impl Active {
    pub(super) fn new(
        settings: Arc<RecorderSettings>,
        pipe: Arc<Pipe>,
        call: CallInfo,
        rate: SampleRate,
        events: Option<EventSink>,
        clock: Clock,
        metrics: Arc<RecordingMetrics>,
    ) -> Self {
        metrics.open.fetch_add(1, Ordering::Relaxed);
        Self {
            settings,
            pipe,
            call,
            rate,
            events,
            clock,
            metrics,
            wav: None,
            flushed: None,
            closed: false,
        }
    }

    /// Writes what has come; closes the recording if its end has come too.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        match self.advance(now) {
            Ok(true) => Turn::Open,
            Ok(false) => Turn::Done,
            Err(error) => {
                self.fail(&error);
                Turn::Failed(error)
            }
        }
    }

    /// Gives up a recording that never came to the writer thread.
    pub(super) fn abort(mut self, error: &RecordingError) {
        self.fail(error);
    }

    /// Whether the recording goes on.
    fn advance(&mut self, now: Instant) -> Result<bool, RecordingError> {
        let pipe = Arc::clone(&self.pipe);
        // Looked at before the queue: once there is an end, the queue holds the last of the audio.
        let ending = pipe.ending();
        for _ in 0..pipe.capacity() {
            let Some(block) = pipe.pop() else { break };
            let placed = self.open(now).and_then(|wav| {
                let side = block.track.direction();
                wav.place(side, block.position.0, &block.samples)
            });
            let counter = match (&placed, block.track) {
                (Err(_), _) => Some(&self.metrics.unrecorded_samples),
                (Ok(()), Track::Late) => Some(&self.metrics.late_patched_samples),
                (Ok(()), _) => None,
            };
            if let Some(counter) = counter {
                RecordingMetrics::add(counter, block.samples.len());
            }
            pipe.recycle(block);
            placed?;
        }
        match ending {
            None => {
                let due = self.flushed.is_none_or(|last| {
                    // The next turn would be too late.
                    now.saturating_duration_since(last) + TICK > self.settings.flush_every
                });
                if let Some(wav) = self.wav.as_mut().filter(|wav| due && wav.is_dirty()) {
                    wav.flush()?;
                    self.flushed = Some(now);
                }
                Ok(true)
            }
            Some(None) => Err(RecordingError::Abandoned),
            Some(Some(ending)) => {
                self.complete(ending, now)?;
                Ok(false)
            }
        }
    }

    /// The file, made if there is none yet.
    fn open(&mut self, now: Instant) -> Result<&mut StereoWav, RecordingError> {
        if self.wav.is_none() {
            let wav = create(&self.settings.directory, &self.call, self.rate)?;
            let json = wav.path().with_extension("json");
            // Kept even if the description fails, so that the failure is told with its path.
            self.wav = Some(wav);
            self.flushed = Some(now);
            Sidecar::new(&self.call, self.rate, self.start()).write(&json)?;
        }
        Ok(self.wav.as_mut().expect("the file was made above"))
    }

    fn complete(&mut self, ending: &Ending, now: Instant) -> Result<(), RecordingError> {
        let frames = self.rate.samples_in(ending.duration);
        let wav = self.open(now)?;
        let duration = wav.finish(frames)?;
        let path = wav.path().to_owned();
        let duration = self.rate.duration_of(duration);
        Sidecar::new(&ending.call, self.rate, self.start())
            .closed(duration, self.pipe.dropped_samples())
            .complete(&ending.stats)
            .write(&path.with_extension("json"))?;
        self.close(&self.metrics.done);
        let kind = EventKind::RecordingDone { path, duration_ms: millis(duration) };
        self.emit(duration, kind);
        self.closed = true;
        Ok(())
    }

    fn fail(&mut self, error: &RecordingError) {
        if self.closed {
            return;
        }
        self.closed = true;
        let mut duration = Duration::ZERO;
        let mut path = name(&self.settings.directory, &self.call, 1);
        if let Some(wav) = &mut self.wav {
            duration = self.rate.duration_of(wav.rescue());
            path = wav.path().to_owned();
            let told = Sidecar::new(&self.call, self.rate, self.start())
                .closed(duration, self.pipe.dropped_samples())
                .failed(error)
                .write(&path.with_extension("json"));
            if let Err(second) = told {
                tracing::debug!(call.id = %self.call.id, error = %second, "description not updated");
            }
        }
        self.close(&self.metrics.failed);
        self.emit(duration, EventKind::RecordingFailed { path, error: error.to_string() });
    }

    fn close(&self, counter: &AtomicU64) {
        self.pipe.close(&self.metrics);
        self.metrics.open.fetch_sub(1, Ordering::Relaxed);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Wall-clock time of position 0.
    fn start(&self) -> Duration {
        self.pipe.start().unwrap_or_else(|| self.clock.wall())
    }

    fn emit(&self, media_time: Duration, kind: EventKind) {
        if let Some(events) = &self.events {
            let event = Event { media_time, wall_time: self.clock.wall(), kind };
            // The owner of the call may be gone by now; then nobody wants to know.
            let _ = events.send(CallEvent { call: self.call.id, event });
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.fail(&RecordingError::Stopped);
    }
}

/// A new file named by the call, numbered where the call has one already.
fn create(
    directory: &Path,
    call: &CallInfo,
    rate: SampleRate,
) -> Result<StereoWav, RecordingError> {
    fs::create_dir_all(directory)
        .map_err(|source| RecordingError::Directory { path: directory.to_owned(), source })?;
    let mut number = 1;
    loop {
        let path = name(directory, call, number);
        match StereoWav::create(&path, rate) {
            Ok(wav) => return Ok(wav),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if number == MAX_SAME_NAME {
                    return Err(RecordingError::Create { path, source: error });
                }
                number += 1;
            }
            Err(source) => return Err(RecordingError::Create { path, source }),
        }
    }
}

fn name(directory: &Path, call: &CallInfo, number: u32) -> PathBuf {
    directory.join(match number {
        1 => format!("{}.wav", call.id),
        _ => format!("{}-{number}.wav", call.id),
    })
}

#[cfg(test)]
mod tests;
