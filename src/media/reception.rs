use std::time::Duration;

use serde::Serialize;

use super::quality::{self, Equipment};
use super::{InterarrivalJitter, LossRuns};
use crate::audio::MediaFormat;

/// How well a call's audio arrived, and how that is heard.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Reception {
    /// Interarrival jitter as of the latest packet (RFC 3550 section 6.4.1 and A.8).
    pub jitter_ms: f64,
    /// Share of the packets that were not there in time, 0 to 1: lost, or later than anybody waited.
    pub missing: f64,
    /// Their burstiness (ITU-T G.107 `BurstR`): 1 where each is missing by itself, more where they
    /// come in runs.
    pub burst_ratio: f64,
    /// How long packets wait behind a missing one, as of the latest.
    pub target_delay_ms: f64,
    /// Mean time that packets waited behind missing ones, over all packets.
    pub added_delay_ms: f64,
    /// How fast the sender's clock is, in parts per million; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_ppm: Option<f64>,
    /// Rating factor R of the E-model (ITU-T G.107), 0 to 93.2, of what lies behind us: the packets'
    /// length and the wait behind missing ones as delay, and what was missing. Absent for codecs
    /// without the factors that the model needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r: Option<f64>,
    /// The same as mean opinion score, conversational, estimated: MOS-CQE (ITU-T P.800.1), 1 to 4.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_cqe: Option<f64>,
}

/// Takes note of how a stream arrives.
#[derive(Debug, Default)]
pub(super) struct Observer {
    jitter: InterarrivalJitter,
    losses: LossRuns,
    packets: u64,
    waited: Duration,
}

impl Observer {
    /// A packet arrived, in whatever order: times as for [`InterarrivalJitter::push`].
    pub(super) fn arrived(&mut self, arrival: Duration, media: Duration) {
        self.jitter.push(arrival, media);
    }

    /// A packet is used in its turn, after it waited so long.
    pub(super) fn used(&mut self, waited: Duration) {
        self.losses.received();
        self.packets += 1;
        self.waited += waited;
    }

    /// So many packets in a row are given up.
    pub(super) fn gave_up(&mut self, packets: u64) {
        self.losses.lost(packets);
    }

    /// Another stream begins.
    pub(super) fn restart(&mut self) {
        self.jitter.restart();
    }

    /// What there is to say, of packets of that length.
    pub(super) fn report(
        &self,
        format: MediaFormat,
        packet: Duration,
        target_delay: Duration,
        drift_ppm: Option<f64>,
    ) -> Reception {
        let millis = |span: Duration| span.as_secs_f64() * 1e3;
        let packets = u32::try_from(self.packets).unwrap_or(u32::MAX).max(1);
        let added_delay = self.waited / packets;
        let (missing, burst_ratio) = (self.losses.fraction_lost(), self.losses.burst_ratio());
        let rated = Equipment::of(format, true).filter(|_| self.packets > 0).map(|equipment| {
            quality::quality(equipment, packet + added_delay, missing, burst_ratio)
        });
        Reception {
            jitter_ms: millis(self.jitter.jitter()),
            missing,
            burst_ratio,
            target_delay_ms: millis(target_delay),
            added_delay_ms: millis(added_delay),
            drift_ppm,
            r: rated.map(|quality| quality.r.max(0.0)),
            mos_cqe: rated.map(|quality| quality.mos_cqe),
        }
    }
}
