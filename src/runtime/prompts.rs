//! Files that are played to callers: one thread that reads them, and what it keeps of them.
//!
//! A thread of its own and not the start of the server, because bots name files while calls run, and
//! folders change; not the shard's thread, because a disk may take its time. A file's samples are
//! kept at each rate at which they were asked for, so that a call costs a lookup; the least recently
//! used ones are given up where all together need more than `player.cache_bytes`. A file that has
//! changed is read again once it was given up.

mod file;

use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracing::{debug, warn};

use crate::audio::SampleRate;
use crate::processor::player::{LoadPrompt, PlayerSettings, Prompt, PromptError};
use crate::runtime::scheduling::stand_back;

/// Files that may wait to be read.
const MAX_WAITING: usize = 1_024;

/// Failures that are remembered, so that each is logged once.
const MAX_FAILURES: usize = 1_024;

/// All files that can be played: a cheap handle on the thread, which ends with the last one.
#[derive(Clone, Debug)]
pub struct Prompts {
    shelf: Arc<Mutex<Shelf>>,
    jobs: SyncSender<Job>,
}

#[derive(Debug)]
struct Job {
    key: Key,
    prompt: Arc<Prompt>,
}

type Key = (String, SampleRate);

/// Prompts that are there or on their way.
#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<Key, Entry>,
    bytes: u64,
    /// Goes up with each use.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    prompt: Arc<Prompt>,
    used: u64,
    /// 0 as long as it is being read.
    bytes: u64,
}

impl Prompts {
    /// Starts the thread. Touches no file.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(settings: &PlayerSettings) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::sync_channel(MAX_WAITING);
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let reader = Reader {
            root: settings.root.clone(),
            most_bytes: settings.cache_bytes,
            shelf: Arc::clone(&shelf),
            failed: HashSet::new(),
        };
        thread::Builder::new().name("prompts".to_owned()).spawn(move || {
            stand_back();
            reader.run(&waiting);
        })?;
        Ok(Self { shelf, jobs })
    }
}

impl LoadPrompt for Prompts {
    fn load(&self, name: &str, rate: SampleRate) -> Arc<Prompt> {
        let key = (name.to_owned(), rate);
        let mut shelf = lock(&self.shelf);
        shelf.uses += 1;
        let used = shelf.uses;
        if let Some(entry) = shelf.entries.get_mut(&key) {
            entry.used = used;
            return Arc::clone(&entry.prompt);
        }
        let prompt = Arc::new(Prompt::default());
        let job = Job { key: key.clone(), prompt: Arc::clone(&prompt) };
        if self.jobs.try_send(job).is_err() {
            prompt.set(Err(PromptError::Busy { name: name.to_owned() }));
            return prompt;
        }
        shelf.entries.insert(key, Entry { prompt: Arc::clone(&prompt), used, bytes: 0 });
        prompt
    }
}

/// What the thread works with.
struct Reader {
    root: Option<PathBuf>,
    most_bytes: u64,
    shelf: Arc<Mutex<Shelf>>,
    /// Names that could not be played the last time.
    failed: HashSet<String>,
}

impl Reader {
    fn run(mut self, waiting: &Receiver<Job>) {
        while let Ok(Job { key, prompt }) = waiting.recv() {
            let (root, most_bytes) = (self.root.as_deref(), self.most_bytes);
            // A file that the reader of WAV cannot cope with must not keep the others waiting.
            let read = || file::read(root, &key.0, key.1, most_bytes);
            let result = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                let reason = "its reader panicked".to_owned();
                Err(PromptError::Unreadable { name: key.0.clone(), reason })
            });
            match result {
                Ok(samples) => {
                    debug!(name = key.0, rate_hz = key.1.hz(), "a file to play was read");
                    self.failed.remove(&key.0);
                    lock(&self.shelf).keep(&key, 2 * samples.len() as u64, self.most_bytes);
                    prompt.set(Ok(samples.into()));
                }
                Err(error) => {
                    self.complain(&key.0, &error);
                    // Tried again for the next call.
                    lock(&self.shelf).entries.remove(&key);
                    prompt.set(Err(error));
                }
            }
        }
    }

    /// Logs a failure, the first one of a name.
    fn complain(&mut self, name: &str, error: &PromptError) {
        if self.failed.len() >= MAX_FAILURES {
            self.failed.clear();
        }
        if self.failed.insert(name.to_owned()) {
            warn!(%error, "a file cannot be played");
        }
    }
}

impl Shelf {
    /// Takes note of what a prompt needs, and gives up others where that is too much.
    fn keep(&mut self, key: &Key, bytes: u64, most_bytes: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            // One that holds nothing has been read, too.
            entry.bytes = bytes.max(1);
            self.bytes += entry.bytes;
        }
        while self.bytes > most_bytes {
            let read =
                self.entries.iter().filter(|(other, entry)| entry.bytes > 0 && *other != key);
            let oldest = read.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(entry) = oldest.and_then(|key| self.entries.remove(&key)) else { return };
            self.bytes -= entry.bytes;
        }
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
