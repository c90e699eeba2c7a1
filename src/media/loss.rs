/// Counts packets received and lost, and how the losses come in runs: what the E-model asks for
/// (see [`quality`](super::quality::quality)).
///
/// Packets are told in the order of their sequence numbers, once their fate is known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LossRuns {
    received: u64,
    lost: u64,
    /// Losses in a row, the one at work included.
    runs: u64,
    losing: bool,
}

impl LossRuns {
    /// A counter that was told of no packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next packet was received.
    pub fn received(&mut self) {
        self.received = self.received.saturating_add(1);
        self.losing = false;
    }

    /// The next `packets` were lost; 0 changes nothing.
    pub fn lost(&mut self, packets: u64) {
        if packets == 0 {
            return;
        }
        self.lost = self.lost.saturating_add(packets);
        self.runs = self.runs.saturating_add(u64::from(!self.losing));
        self.losing = true;
    }

    /// The share of packets that were lost, 0 to 1; 0 before the first packet.
    #[must_use]
    pub fn fraction_lost(&self) -> f64 {
        let packets = self.received.saturating_add(self.lost);
        self.lost as f64 / packets.max(1) as f64
    }

    /// ITU-T G.107's BurstR: the mean length of the runs of lost packets, over the one that
    /// independent losses of the same share have, which is 1 / (1 − share).
    ///
    /// More than 1 for losses in bursts, less for losses that keep their distance. 1 where nothing
    /// was lost or nothing was received: then there is nothing to compare.
    #[must_use]
    pub fn burst_ratio(&self) -> f64 {
        if self.runs == 0 || self.received == 0 {
            return 1.0;
        }
        self.lost as f64 / self.runs as f64 * (1.0 - self.fraction_lost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x` is a packet lost, anything else one received.
    fn told(packets: &str) -> LossRuns {
        let mut runs = LossRuns::new();
        for packet in packets.chars() {
            if packet == 'x' { runs.lost(1) } else { runs.received() }
        }
        runs
    }

    #[test]
    fn the_share_is_that_of_all_packets() {
        assert_eq!(told("").fraction_lost(), 0.0);
        assert_eq!(told("....").fraction_lost(), 0.0);
        assert_eq!(told("x..x").fraction_lost(), 0.5);
        assert_eq!(told("xx").fraction_lost(), 1.0);
    }

    #[test]
    fn the_burst_ratio_is_the_mean_run_over_that_of_independent_losses() {
        // Runs of 1, 3 and 2 among 12 packets: a mean of 2, and half of them lost: 2 × 0.5.
        assert_eq!(told("x..xxx.xx...").burst_ratio(), 1.0);
        // One run of 4 in 8: 4 × 0.5.
        assert_eq!(told("..xxxx..").burst_ratio(), 2.0);
        // Every second one: 1 × 0.5, as far apart as can be.
        assert_eq!(told("x.x.x.x.").burst_ratio(), 0.5);
    }

    #[test]
    fn losses_told_in_pieces_are_one_run() {
        let mut pieces = told("..");
        pieces.lost(3);
        pieces.lost(0);
        pieces.lost(1);
        pieces.received();
        assert_eq!(pieces, told("..xxxx."));
    }

    #[test]
    fn without_a_loss_or_without_a_packet_the_ratio_is_one() {
        for packets in ["", "...", "xxx"] {
            assert_eq!(told(packets).burst_ratio(), 1.0, "{packets:?}");
        }
    }

    #[test]
    fn independent_losses_have_a_ratio_near_one() {
        let mut state = 7_u64;
        let mut runs = LossRuns::new();
        for _ in 0..1_000_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 32 < u64::from(u32::MAX) / 10 { runs.lost(1) } else { runs.received() }
        }
        // 100,000 losses in 90,000 runs. The length of a run is geometric with a deviation of
        // √0.1/0.9 = 0.35, that of the mean 0.35/√90,000 = 0.0012; three of these.
        assert!((runs.fraction_lost() - 0.1).abs() < 3.0 * 0.0003, "{}", runs.fraction_lost());
        assert!((runs.burst_ratio() - 1.0).abs() < 0.0036, "{}", runs.burst_ratio());
    }

    #[test]
    fn counts_at_their_end_stay_there() {
        let mut runs = LossRuns::new();
        runs.received();
        runs.lost(u64::MAX);
        runs.lost(u64::MAX);
        runs.received();
        assert_eq!(runs.fraction_lost(), 1.0);
        assert_eq!(runs.burst_ratio(), 0.0);
    }
}
