use std::io::{self, Write};

use super::SLOT;
use super::tally::{Packets, Tally};

/// Tells on standard error, once a second, how a run goes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    told: Packets,
}

impl Progress {
    /// Tells of the second before `slot`.
    pub(super) fn tell(&mut self, slot: u64, running: usize, calls: u32, tally: &mut Tally) {
        let second = tally.packets.since(&self.told);
        self.told = tally.packets;
        let round_trip = tally.recent_round_trip.quantile_ms(0.99);
        let round_trip = round_trip.map_or("—".to_owned(), |ms| format!("{ms:.1} ms"));
        // A standard error that is closed is no reason to stop.
        let _ = writeln!(
            io::stderr(),
            "{:3.0} s  {running} of {calls} calls  {} packets/s out, {} in  lost {}  \
             round trip p99 {round_trip}",
            SLOT.as_secs_f64() * slot as f64,
            second.sent,
            second.received,
            tally.packets.order.lost,
        );
        tally.recent_round_trip.clear();
    }
}
