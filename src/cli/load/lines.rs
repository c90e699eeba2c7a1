use std::io;
use std::time::Duration;

use thiserror::Error;

use super::asterisk::Over;
use super::stopwatch::Stopwatch;
use crate::wire::RtpHeader;

/// The ways between callers and the server: how calls are set up, and how their audio travels. One
/// value has the lines of all callers, which it tells apart by their numbers.
pub(super) trait Lines {
    /// Sets a line up; it is there at once, or [`Event::Opened`] follows.
    ///
    /// # Errors
    /// Where this machine has no more lines.
    fn open(&mut self, number: u32) -> Result<Opened, LineError>;

    /// Sends a frame; it may wait until [`Self::flush`].
    fn send(&mut self, number: u32, frame: u32, payload: &[u8]);

    /// Sends what waits. Answers how many frames the kernel has not taken since the last time.
    fn flush(&mut self) -> u64;

    /// Hands on what has come since the last time, without waiting.
    ///
    /// # Errors
    /// Where no line works any more.
    fn receive(
        &mut self,
        watch: &Stopwatch,
        take: impl FnMut(u32, Event<'_>),
    ) -> Result<(), LineError>;

    /// Ends a call. Nothing of it is handed on any more.
    fn hang_up(&mut self, number: u32);

    /// Whether lines that were hung up are still to be closed.
    fn is_closing(&self) -> bool {
        false
    }

    /// Packets that were lost in this process, because it did not read them in time.
    fn overruns(&self) -> u64 {
        0
    }
}

/// Whether a line is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opened {
    Now,
    Later,
}

/// What happens on a line.
pub(super) enum Event<'a> {
    /// It is there.
    Opened,
    /// Audio came.
    Answer(Answer<'a>),
    /// Something else came, which should not.
    Foreign,
    /// It could not be set up, or the server has closed it.
    Failed(io::Error),
}

/// Audio that came.
pub(super) struct Answer<'a> {
    /// Of a transport that has one.
    pub(super) header: Option<RtpHeader>,
    pub(super) payload: &'a [u8],
    /// When it came.
    pub(super) at: Duration,
}

/// Why there are no lines.
#[derive(Debug, Error)]
pub(super) enum LineError {
    #[error("no socket: {0}")]
    Socket(#[source] io::Error),
    #[error("{0} calls are more than there are addresses for")]
    Addresses(u32),
    #[error(transparent)]
    Over(#[from] Over),
}
