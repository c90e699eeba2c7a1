use std::sync::{Arc, OnceLock};

use thiserror::Error;

use crate::audio::SampleRate;

/// Why a file cannot be played. Names are the caller's of [`LoadPrompt::load`], never paths.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PromptError {
    /// There is no folder of files.
    #[error("{name:?}: no folder is configured (player.root)")]
    NoRoot {
        /// The name asked for.
        name: String,
    },
    /// The name leads out of the folder.
    #[error("{name:?} is not below player.root")]
    Outside {
        /// The name asked for.
        name: String,
    },
    /// It cannot be opened or read.
    #[error("{name:?} cannot be read: {reason}")]
    Unreadable {
        /// The name asked for.
        name: String,
        /// The system's or the reader's words.
        reason: String,
    },
    /// No way leads from its sample rate to the call's.
    #[error("{name:?} has {actual_hz} Hz, which cannot be turned into {wanted}")]
    Rate {
        /// The name asked for.
        name: String,
        /// The file's.
        actual_hz: u32,
        /// The call's.
        wanted: SampleRate,
    },
    /// It is larger than all that is kept in memory.
    #[error("{name:?} needs {need} bytes, more than player.cache_bytes, {have}")]
    TooLarge {
        /// The name asked for.
        name: String,
        /// Bytes of its samples at the call's rate.
        need: u64,
        /// Bytes that there are.
        have: u64,
    },
    /// Too many files wait to be read.
    #[error("{name:?}: too many files wait to be read")]
    Busy {
        /// The name asked for.
        name: String,
    },
}

/// A file's samples at a call's rate, now or soon.
#[derive(Debug, Default)]
pub struct Prompt(OnceLock<Result<Arc<[i16]>, PromptError>>);

impl Prompt {
    /// Its samples, or why there are none; `None` as long as it is being read.
    #[must_use]
    pub fn get(&self) -> Option<&Result<Arc<[i16]>, PromptError>> {
        self.0.get()
    }

    /// Tells what came of it. The first one to tell is heeded.
    pub fn set(&self, result: Result<Arc<[i16]>, PromptError>) {
        // It was told already.
        let _ = self.0.set(result);
    }
}

/// Reads files for calls: what the player needs of the half that owns threads and files.
pub trait LoadPrompt: Send + Sync {
    /// The file `name` at `rate`, which comes when it has been read. Must not block.
    fn load(&self, name: &str, rate: SampleRate) -> Arc<Prompt>;
}
