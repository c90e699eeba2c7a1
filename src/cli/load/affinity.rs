use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};
use thiserror::Error;

/// This thread cannot run where it should.
#[derive(Debug, Error)]
#[error("cannot stay on core {core}: {source}")]
pub(super) struct CoreError {
    core: usize,
    source: io::Error,
}

/// Keeps this thread, and those that it starts, on one core.
///
/// # Errors
/// Where there is no such core.
pub(super) fn pin(core: Option<usize>) -> Result<(), CoreError> {
    let Some(core) = core else { return Ok(()) };
    if core >= CpuSet::MAX_CPU {
        return Err(CoreError { core, source: io::ErrorKind::InvalidInput.into() });
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| CoreError { core, source: error.into() })
}
