use super::Engine;
use super::serving::Serving;
use crate::event::{EventKind, whole_millis};
use crate::media::Digit;

/// What is told to processors and to the outside.
impl Engine {
    /// Tells an event to the chain and to the outside.
    pub(super) fn tell(&mut self, kind: EventKind) {
        self.stats.playbacks_failed += u64::from(matches!(kind, EventKind::PlaybackFailed { .. }));
        Serving::tell(&mut self.serving, &mut self.events, self.now, kind);
    }

    /// Tells a digit, where no other source has told of the same press.
    pub(super) fn take_digit(&mut self, digit: Digit) {
        if !self.about.digits.is_new(self.now, digit) {
            self.stats.digits_repeated += 1;
            return;
        }
        let Digit { key, source, duration } = digit;
        self.stats.digits.count(source);
        let duration_ms = duration.map(whole_millis);
        self.tell(EventKind::Dtmf { digit: key, source, duration_ms });
    }

    /// Tells a watermark of the playout queue that was reached.
    pub(super) fn tell_queue_level(&mut self) {
        let Some(playout) = self.serving.as_mut().map(|serving| &mut serving.playout) else {
            return;
        };
        if let Some(level) = playout.take_level() {
            let queued = playout.rate().duration_of(playout.queued() as u64);
            self.tell(EventKind::QueueLevel { level, queued_ms: whole_millis(queued) });
        }
    }
}
