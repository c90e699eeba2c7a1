use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a recording ended before its call did, or never began.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The directory cannot be made.
    #[error("cannot make the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be created.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written, such as on a full disk.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The recording has reached the size that a WAV header can express.
    #[error("the recording is longer than the {limit_frames} frames that fit into a WAV file")]
    TooLong {
        /// Most frames of one file.
        limit_frames: u64,
    },
    /// Too many recordings are under way.
    #[error("{limit} recordings are under way, no more are allowed")]
    TooMany {
        /// How many are allowed.
        limit: u64,
    },
    /// The call's recorder was dropped before the call was finished.
    #[error("the call was given up without an end")]
    Abandoned,
    /// The recordings' thread has ended before the call did.
    #[error("the server stopped before the call ended")]
    Stopped,
}
