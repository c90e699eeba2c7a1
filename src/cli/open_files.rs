use std::io;

use tracing::{debug, warn};

use crate::config::Config;

/// Lets the process open as many files as the system allows it to, and warns where that is less
/// than the configuration's limits can need.
pub(super) fn raise_limit(config: &Config) {
    let need = config.most_open_files();
    match raise() {
        Ok(limit) if limit < need => warn!(
            limit,
            need,
            "too few open files are allowed for rtp.max_calls and audiosocket.max_connections: \
             raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower these"
        ),
        Ok(limit) => debug!(limit, need, "open files"),
        Err(error) => warn!(%error, need, "the limit on open files cannot be raised"),
    }
}

/// Lets the process open as many files as the system allows it to, and answers how many that are.
///
/// # Errors
/// What the kernel says.
pub(super) fn raise() -> io::Result<u64> {
    // The soft limit is often 1024, for the sake of programs that use select(2).
    rlimit::increase_nofile_limit(u64::MAX)
}
