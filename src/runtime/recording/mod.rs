//! Recordings on disk: one thread that writes every call's stereo WAV and the JSON beside it.
//!
//! The recorder of a call hands blocks of audio to its own bounded queue and never waits. The
//! writer thread empties all queues ten times a second. A recording is two files in the configured
//! directory, named by the call's id (a UUID, never text that a caller sent):
//!
//! - `<call id>.wav`: 16-bit stereo at the call's rate, caller left, bot right. Frame `i` of the
//!   file is position `i` of the call; where nothing was received or sent it is zero. Readable at
//!   any moment: what the header claims is always there.
//! - `<call id>.json`: what the call was, from the first audio on, replaced as a whole at the end.
//!
//! Where a call is recorded twice, `-2`, `-3` … is added to the names. Bytes reach the kernel, not
//! necessarily the disk: a killed process loses at most a second, a power cut may lose more.
//!
//! Keys of the JSON; `null` where something is not known:
//!
//! | key | what |
//! |---|---|
//! | `complete` | whether the WAV holds the call to its end; stays `false` after a kill or an error |
//! | `error` | why it does not |
//! | `call_id`, `channel_id`, `channel_name`, `caller_number`, `caller_name`, `stream_uuid` | who |
//! | `pipeline`, `parameters`, `transport`, `format`, `sample_rate_hz` | what the call was given |
//! | `start_unix_ms` | wall-clock time of the first frame of the file |
//! | `duration_ms` | length of the file, at the end |
//! | `dropped_samples` | samples of both sides that are missing because the disk was too slow |
//! | `stats` | what was counted in the call, at its end: the fields of `CallStats` |

mod active;
mod error;
mod metrics;
mod pipe;
mod sidecar;
mod wav;
mod writer;

use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

pub use error::RecordingError;
pub use metrics::RecordingMetrics;

use active::Active;
use pipe::{Pipe, PipeSink};
use writer::{Message, Writer};

use crate::audio::SampleRate;
use crate::call::CallInfo;
use crate::processor::recorder::{OpenRecording, RecorderSettings, RecordingSink};
use crate::runtime::clock::Clock;
use crate::runtime::listeners::Listeners;
use crate::runtime::scheduling::stand_back;

/// Most recordings under way at once; each holds one file open. Further calls go unrecorded.
pub const MAX_OPEN: u64 = 16_384;

/// All recordings of the process: a cheap handle on the writer thread.
///
/// When the last handle goes without [`Recordings::shutdown`], the thread closes what is open and
/// ends by itself.
#[derive(Clone)]
pub struct Recordings {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<RecorderSettings>,
    clock: Clock,
    metrics: Arc<RecordingMetrics>,
    listeners: Listeners,
    writer: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recordings {
    /// Starts the writer thread. Touches no file: a directory that cannot be made fails the
    /// recordings, one by one, not the start.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(settings: RecorderSettings, clock: Clock) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let settings = Arc::new(settings);
        let metrics = Arc::new(RecordingMetrics::default());
        let writer = Writer::new(clock);
        let thread = thread::Builder::new().name("recordings".to_owned()).spawn(move || {
            stand_back();
            writer.run(&receiver);
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                clock,
                metrics,
                listeners: Listeners::default(),
                writer: sender,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Where events of recordings go, by call.
    #[must_use]
    pub fn listeners(&self) -> &Listeners {
        &self.inner.listeners
    }

    /// What was counted, over all recordings.
    #[must_use]
    pub fn metrics(&self) -> &Arc<RecordingMetrics> {
        &self.inner.metrics
    }

    /// Writes out what waits, closes every recording and ends the thread; waits for it.
    ///
    /// Recordings whose calls have not ended count as failed. May take as long as the disk does:
    /// call it off the async threads. Further calls to it do nothing.
    pub fn shutdown(&self) {
        let thread = lock(&self.inner.thread).take();
        if let Some(thread) = thread {
            // Where nobody receives, the thread has ended already.
            let _ = self.inner.writer.send(Message::Shutdown);
            if thread.join().is_err() {
                tracing::error!("the recordings' thread had panicked");
            }
        }
    }
}

impl OpenRecording for Recordings {
    fn open(&self, call: &CallInfo, rate: SampleRate) -> Box<dyn RecordingSink> {
        let Inner { settings, metrics, listeners, writer, .. } = &*self.inner;
        let clock = self.inner.clock;
        let pipe = Arc::new(Pipe::new(rate, settings.queue));
        let events = listeners.of(call.id);
        let active = Active::new(
            Arc::clone(settings),
            Arc::clone(&pipe),
            call.clone(),
            rate,
            events,
            clock,
            Arc::clone(metrics),
        );
        if metrics.open.load(Ordering::Relaxed) > MAX_OPEN {
            active.abort(&RecordingError::TooMany { limit: MAX_OPEN });
        } else if let Err(mpsc::SendError(Message::Open(active))) =
            writer.send(Message::Open(Box::new(active)))
        {
            active.abort(&RecordingError::Stopped);
        }
        Box::new(PipeSink::new(pipe, clock, Arc::clone(metrics)))
    }
}

impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recordings")
            .field("settings", &self.inner.settings)
            .field("metrics", &self.inner.metrics)
            .finish_non_exhaustive()
    }
}

/// Locks even after a panic elsewhere: no guarded value here can be left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
