use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::audio::MediaFormat;
use crate::call::{CallId, CallInfo, EndReason, Transport};
use crate::event::CallEvent;
use crate::processor::Pipeline;

/// Where one call's events go: to whoever opened it.
///
/// Unbounded, so that the end of a call can never be lost. Calls are bounded by the limits of the
/// settings; what one tells, by what its peer and its processors say, which the owner must keep up with.
pub type EventSink = UnboundedSender<CallEvent>;

/// A call that the control side wants served.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// What is known of it.
    pub info: CallInfo,
    /// What serves it.
    pub pipeline: Pipeline,
    /// Where its events go.
    pub events: Option<EventSink>,
}

/// A call as it stands in a list.
#[derive(Clone, Debug, Serialize)]
pub struct CallSummary {
    /// The call.
    pub id: CallId,
    /// How its audio travels.
    pub transport: Transport,
    /// Format on the wire; `None`: an AudioSocket peer decides.
    pub format: Option<MediaFormat>,
    /// The pipeline that serves it.
    pub pipeline: String,
    /// Asterisk's id of the caller's channel.
    pub channel_id: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
}

/// Announcements taken back that are remembered.
const MAX_WITHDRAWN: usize = 256;

/// Which calls there are, and which AudioSocket connections are expected.
///
/// Locked when a call is opened, begins or ends; never per frame.
#[derive(Debug)]
pub(super) struct Directory {
    entries: Mutex<Entries>,
    shards: Box<[Load]>,
}

/// What a shard carries.
#[derive(Debug, Default)]
struct Load {
    calls: AtomicUsize,
    /// It sends its frames too late: it can carry no more.
    late: AtomicBool,
}

#[derive(Debug, Default)]
struct Entries {
    calls: HashMap<CallId, Entry>,
    /// How many of them there are, by transport.
    running: [usize; Transport::COUNT],
    expected: HashMap<Uuid, CallSpec>,
    /// Announcements taken back of late: a connection that comes all the same is nobody's call.
    withdrawn: VecDeque<Uuid>,
}

#[derive(Debug)]
struct Entry {
    shard: usize,
    summary: CallSummary,
    /// Somebody wants it to end, which may be before its shard has heard of it.
    ending: Option<EndReason>,
}

impl Directory {
    pub(super) fn new(shards: usize) -> Self {
        Self { entries: Mutex::default(), shards: (0..shards).map(|_| Load::default()).collect() }
    }

    /// The shard with the fewest calls of those that keep their time; `None` where none does.
    pub(super) fn least_loaded(&self) -> Option<usize> {
        let shards = self.shards.iter().enumerate();
        shards
            .filter(|(_, load)| !load.late.load(Ordering::Relaxed))
            .min_by_key(|(_, load)| load.calls.load(Ordering::Relaxed))
            .map(|(shard, _)| shard)
    }

    /// Takes note whether a shard sends its frames too late, and answers whether that is news.
    pub(super) fn set_late(&self, shard: usize, late: bool) -> bool {
        self.shards[shard].late.swap(late, Ordering::Relaxed) != late
    }

    /// Whether a shard sends its frames too late.
    pub(super) fn is_late(&self, shard: usize) -> bool {
        self.shards[shard].late.load(Ordering::Relaxed)
    }

    /// Enters a call; false, and nothing done, where that transport has `limit` of them already.
    pub(super) fn insert(
        &self,
        info: &CallInfo,
        shard: usize,
        started: Duration,
        limit: usize,
    ) -> bool {
        let mut entries = self.lock();
        if entries.running[info.transport.index()] >= limit {
            return false;
        }
        self.enter(&mut entries, info, shard, started);
        true
    }

    fn enter(&self, entries: &mut Entries, info: &CallInfo, shard: usize, started: Duration) {
        let summary = CallSummary {
            id: info.id,
            transport: info.transport,
            format: info.format,
            pipeline: info.pipeline.to_string(),
            channel_id: info.caller.as_ref().map(|caller| caller.channel_id.clone()),
            started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        };
        let entry = Entry { shard, summary, ending: None };
        if entries.calls.insert(info.id, entry).is_none() {
            entries.running[info.transport.index()] += 1;
            self.shards[shard].calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Strikes a call that is over.
    pub(super) fn remove(&self, call: CallId) {
        let mut entries = self.lock();
        if let Some(entry) = entries.calls.remove(&call) {
            entries.running[entry.summary.transport.index()] -= 1;
            self.shards[entry.shard].calls.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes note that a call shall end, and answers the shard that carries it.
    pub(super) fn end(&self, call: CallId, reason: EndReason) -> Option<usize> {
        let mut entries = self.lock();
        let entry = entries.calls.get_mut(&call)?;
        entry.ending.get_or_insert(reason);
        Some(entry.shard)
    }

    /// Why a call shall end, where somebody wants it to.
    pub(super) fn ending(&self, call: CallId) -> Option<EndReason> {
        self.lock().calls.get(&call).and_then(|entry| entry.ending)
    }

    /// The shard that carries a call.
    pub(super) fn shard_of(&self, call: CallId) -> Option<usize> {
        self.lock().calls.get(&call).map(|entry| entry.shard)
    }

    /// Every call, oldest first.
    pub(super) fn calls(&self) -> Vec<CallSummary> {
        let mut calls: Vec<_> =
            self.lock().calls.values().map(|entry| entry.summary.clone()).collect();
        calls.sort_by_key(|call| call.id);
        calls
    }

    /// How many calls there are.
    pub(super) fn count(&self) -> usize {
        self.lock().calls.len()
    }

    /// Announces an AudioSocket connection by its UUID, the call's id.
    pub(super) fn expect(&self, spec: CallSpec) {
        self.lock().expected.insert(spec.info.id.uuid(), spec);
    }

    /// Takes the announcement of a connection that has come, and enters its call; in one step, so
    /// that there is no moment in which the call could not be ended.
    pub(super) fn admit_expected(
        &self,
        uuid: Uuid,
        shard: usize,
        started: Duration,
    ) -> Option<CallSpec> {
        let mut entries = self.lock();
        let spec = entries.expected.remove(&uuid)?;
        self.enter(&mut entries, &spec.info, shard, started);
        Some(spec)
    }

    /// Whether a connection with this UUID was announced, and the announcement taken back.
    pub(super) fn was_withdrawn(&self, uuid: Uuid) -> bool {
        self.lock().withdrawn.contains(&uuid)
    }

    /// Takes the announcement of a connection that nobody waits for any more.
    pub(super) fn take_expected(&self, uuid: Uuid) -> Option<CallSpec> {
        let mut entries = self.lock();
        let spec = entries.expected.remove(&uuid)?;
        if entries.withdrawn.len() >= MAX_WITHDRAWN {
            entries.withdrawn.pop_front();
        }
        entries.withdrawn.push_back(uuid);
        Some(spec)
    }

    /// Takes every announcement.
    pub(super) fn take_all_expected(&self) -> Vec<CallSpec> {
        self.lock().expected.drain().map(|(_, spec)| spec).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
