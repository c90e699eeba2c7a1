use tracing::{info, warn};

use super::calls::Calls;
use crate::media::CallStats;
use crate::runtime::metrics::Totals;

/// A shard is overloaded where more than one in so many frames were sent too late of late.
const TOO_MANY: u64 = 10;

/// With fewer calls a shard is not overloaded, however late their frames are: it is not they that
/// keep it busy.
const FEWEST_CALLS: usize = 20;

/// What the rest of the process is told of a shard's calls, once a second.
impl Calls {
    /// Begins to find out how the calls are doing.
    pub(super) fn take_census(&mut self) {
        self.watch_lateness();
        self.census.begin(&self.totals.media);
    }

    /// Asks the next few of the calls how they are doing, and tells the rest of the process when all
    /// were asked; true where some are left.
    pub(super) fn go_on_with_census(&mut self) -> bool {
        let used = self.turns.len();
        let asked = self.census.ask_some(&self.slots, used, |slot| slot.engine.counters());
        if let Some(media) = asked {
            self.publish(media);
        }
        self.census.is_under_way()
    }

    /// Tells the last of it, once there is no call any more.
    pub(super) fn publish_the_end(&self) {
        self.publish(self.totals.media);
    }

    fn publish(&self, media: CallStats) {
        let totals = Totals { media, ..self.totals };
        self.parts.metrics.shard(self.parts.index).publish(totals);
    }

    /// Finds out whether frames are sent too late, so that there is no room for more calls.
    fn watch_lateness(&mut self) {
        let limit = self.parts.max_lateness;
        let recent = self.totals.lateness - std::mem::replace(&mut self.seen, self.totals.lateness);
        let late = !limit.is_zero()
            && self.slots.len() >= FEWEST_CALLS
            && recent.beyond(limit) > recent.total() / TOO_MANY;
        if self.parts.directory.set_late(self.parts.index, late) {
            let (shard, frames) = (self.parts.index, recent.total());
            if late {
                warn!(shard, frames, ?limit, "frames are sent too late: new calls are refused");
            } else {
                info!(shard, "frames are sent in time again: new calls are taken");
            }
        }
    }
}
