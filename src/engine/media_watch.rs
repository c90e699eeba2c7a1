use std::time::{Duration, Instant};

use crate::event::whole_millis;
use crate::media::MediaSettings;

/// For how long nothing has come from the peer.
#[derive(Debug)]
pub(super) struct MediaWatch {
    last: Instant,
    /// The present silence has been told.
    told: bool,
    /// After so long it is told, and after so long the call ends; zero: never.
    tell_after: Duration,
    end_after: Duration,
}

/// What there is to do about a silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is to be told, once.
    Tell {
        /// How long it has lasted.
        silent_ms: u64,
    },
    /// The call is over.
    TooLong,
}

impl MediaWatch {
    /// A watch over a call that begins at `now`.
    pub(super) fn new(settings: &MediaSettings, now: Instant) -> Self {
        let MediaSettings { no_media_after, end_after, .. } = *settings;
        Self { last: now, told: false, tell_after: no_media_after, end_after }
    }

    /// Takes note of a sign of life.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last = now;
        self.told = false;
    }

    /// What is to be done at `now`, if anything.
    pub(super) fn verdict(&mut self, now: Instant) -> Option<Verdict> {
        if self.last == now {
            return None;
        }
        let silent = now.saturating_duration_since(self.last);
        let due = |limit: Duration| !limit.is_zero() && silent >= limit;
        if due(self.end_after) {
            Some(Verdict::TooLong)
        } else if due(self.tell_after) && !self.told {
            self.told = true;
            Some(Verdict::Tell { silent_ms: whole_millis(silent) })
        } else {
            None
        }
    }

    /// When [`Self::verdict`] has something, where nothing comes.
    pub(super) fn wake(&self) -> Option<Instant> {
        let after = |limit: Duration| (!limit.is_zero()).then(|| self.last + limit);
        let tell = if self.told { None } else { after(self.tell_after) };
        tell.into_iter().chain(after(self.end_after)).min()
    }
}
