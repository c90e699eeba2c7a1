use std::cell::Cell;
use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::interval;

/// How often the line is rewritten on a terminal.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a line is added elsewhere.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How much of the speech one caller has played.
#[derive(Debug, Default)]
pub(super) struct Spoken(Cell<Duration>);

impl Spoken {
    pub(super) fn add(&self, span: Duration) {
        self.0.set(self.0.get() + span);
    }
}

/// Tells on standard error how far the callers are: one line rewritten in place on a terminal, a
/// line each second elsewhere.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) rtp: Spoken,
    pub(super) audiosocket: Spoken,
    length: Duration,
    terminal: bool,
}

impl Progress {
    /// Of a speech of `length`.
    pub(super) fn new(length: Duration) -> Self {
        Self {
            rtp: Spoken::default(),
            audiosocket: Spoken::default(),
            length,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Goes on until it is dropped.
    pub(super) async fn show(&self) -> Infallible {
        let mut ticks = interval(if self.terminal { REDRAW_EVERY } else { TELL_EVERY });
        loop {
            ticks.tick().await;
            let [rtp, audiosocket] =
                [&self.rtp, &self.audiosocket].map(|spoken| spoken.0.get().as_secs_f64());
            let length = self.length.as_secs_f64();
            let (before, after) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            // A standard error that is closed is no reason to stop.
            let _ = write!(
                io::stderr(),
                "{before}playing speech: rtp {rtp:.1} of {length:.1} s, \
                 audiosocket {audiosocket:.1} of {length:.1} s{after}"
            );
            let _ = io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
