use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::runtime::Handle;

use super::lateness::Lateness;
use crate::call::Transport;
use crate::media::{CallStats, DigitSource, Reception, Rejected, Rejections};

/// Why an AudioSocket connection was turned away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Refused {
    /// As many connections as allowed are there.
    Full,
    /// No UUID frame came in time.
    UuidTimeout,
    /// The first frame was no UUID.
    NoUuid,
    /// Nobody announced this UUID.
    UnknownUuid,
    /// The shards send their frames too late already.
    Overloaded,
    /// The server is stopping.
    Stopping,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::UuidTimeout,
        Self::NoUuid,
        Self::UnknownUuid,
        Self::Overloaded,
        Self::Stopping,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::UuidTimeout => "uuid_timeout",
            Self::NoUuid => "no_uuid",
            Self::UnknownUuid => "unknown_uuid",
            Self::Overloaded => "overloaded",
            Self::Stopping => "stopping",
        }
    }
}

/// What is counted on the media side. Totals of running calls are brought up to date once a
/// second.
#[derive(Debug)]
pub struct Metrics {
    shards: Box<[ShardMetrics]>,
    refused: [AtomicU64; Refused::ALL.len()],
    receptions: Receptions,
}

/// How well the audio of calls arrived that are over.
#[derive(Debug)]
struct Receptions {
    jitter_seconds: Histogram,
    missing: Histogram,
    target_delay_seconds: Histogram,
    drift_ppm: Histogram,
    mos: Histogram,
}

impl Receptions {
    fn new() -> Self {
        Self {
            jitter_seconds: Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]),
            missing: Histogram::new([0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]),
            target_delay_seconds: Histogram::new([0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5]),
            drift_ppm: Histogram::new([-200.0, -50.0, -20.0, -5.0, 5.0, 20.0, 50.0, 200.0]),
            mos: Histogram::new([1.5, 2.0, 2.5, 3.0, 3.5, 3.75, 4.0, 4.25, 4.5]),
        }
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
pub(super) struct ShardMetrics {
    published: Mutex<Totals>,
}

/// Sums over a shard's calls, those that ended and those that run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// Calls that run, by transport.
    pub(super) running: [u64; Transport::COUNT],
    /// Calls that began, by transport.
    pub(super) started: [u64; Transport::COUNT],
    /// Calls whose caller was heard, by transport.
    pub(super) ready: [u64; Transport::COUNT],
    /// Calls given up after a panic.
    pub(super) panicked: u64,
    /// What the calls counted.
    pub(super) media: CallStats,
    /// What belonged to no call.
    pub(super) stray: Rejections,
    /// Datagrams that found the port's receive buffer full.
    pub(super) overruns: u64,
    /// How late frames were sent.
    pub(super) lateness: Lateness,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        for index in 0..Transport::COUNT {
            self.running[index] += other.running[index];
            self.started[index] += other.started[index];
            self.ready[index] += other.ready[index];
        }
        self.panicked += other.panicked;
        self.media += &other.media;
        self.stray += &other.stray;
        self.overruns += other.overruns;
        self.lateness += other.lateness;
    }
}

impl ShardMetrics {
    pub(super) fn publish(&self, totals: Totals) {
        *lock(&self.published) = totals;
    }
}

impl Metrics {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| ShardMetrics::default()).collect(),
            refused: Default::default(),
            receptions: Receptions::new(),
        }
    }

    /// A call is over in which something was received.
    pub(super) fn observe(&self, reception: &Reception) {
        let receptions = &self.receptions;
        receptions.jitter_seconds.observe(reception.jitter_ms / 1e3);
        receptions.missing.observe(reception.missing);
        receptions.target_delay_seconds.observe(reception.target_delay_ms / 1e3);
        if let Some(ppm) = reception.drift_ppm {
            receptions.drift_ppm.observe(ppm);
        }
        if let Some(score) = reception.mos_cqe {
            receptions.mos.observe(score);
        }
    }

    pub(super) fn shard(&self, index: usize) -> &ShardMetrics {
        &self.shards[index]
    }

    pub(super) fn refuse(&self, reason: Refused) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for shard in &self.shards {
            sum.add(&lock(&shard.published));
        }
        sum
    }

    /// How many AudioSocket connections were turned away for this reason.
    #[must_use]
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].load(Ordering::Relaxed)
    }

    /// Calls given up after a panic.
    #[must_use]
    pub fn panicked(&self) -> u64 {
        self.totals().panicked
    }

    /// What the calls counted, all together.
    #[must_use]
    pub fn media(&self) -> CallStats {
        self.totals().media
    }

    /// What came to an RTP port and belonged to no call.
    #[must_use]
    pub fn stray(&self) -> Rejections {
        self.totals().stray
    }
}

/// Writes the families of the media side in the form of OpenMetrics.
#[derive(Debug)]
pub struct MediaCollector(pub std::sync::Arc<Metrics>);

impl Collector for MediaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let totals = self.0.totals();
        let media = totals.media;
        let by_transport = |counts: [u64; Transport::COUNT]| {
            [Transport::Rtp, Transport::AudioSocket]
                .map(|transport| ("transport", transport.label(), counts[transport.index()]))
        };
        let mut family = |name: &str, help: &str, kind, rows: &[(&str, &str, u64)]| {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (label, value, count) in rows {
                let labels = [(*label, *value)];
                let row = family.encode_family(&labels)?;
                match kind {
                    MetricType::Gauge => {
                        ConstGauge::new(i64::try_from(*count).unwrap_or(i64::MAX)).encode(row)?;
                    }
                    _ => ConstCounter::new(*count).encode(row)?,
                }
            }
            Ok::<(), std::fmt::Error>(())
        };
        family(
            "sidetone_calls",
            "Calls that run",
            MetricType::Gauge,
            &by_transport(totals.running),
        )?;
        family(
            "sidetone_calls_started",
            "Calls that began",
            MetricType::Counter,
            &by_transport(totals.started),
        )?;
        family(
            "sidetone_calls_ready",
            "Calls whose caller was heard",
            MetricType::Counter,
            &by_transport(totals.ready),
        )?;
        if let Ok(runtime) = Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks() as u64;
            let help = "Tasks of the control side";
            family("sidetone_tasks", help, MetricType::Gauge, &[("side", "control", tasks)])?;
        }
        family(
            "sidetone_packets",
            "Packets of audio by what became of them",
            MetricType::Counter,
            &[
                ("state", "received", media.packets_received),
                // With the late ones: a counter must not fall when one of them comes.
                ("state", "missed", media.packets_lost + media.packets_late),
                ("state", "late", media.packets_late),
                ("state", "reordered", media.packets_reordered),
                ("state", "sent", media.packets_sent),
            ],
        )?;
        family(
            "sidetone_frames",
            "Frames that were not what the peer, or we, had meant to send",
            MetricType::Counter,
            &[
                ("state", "concealed", media.frames_concealed),
                ("state", "recovered", media.frames_recovered),
                ("state", "retimed", media.frames_retimed),
                ("state", "skipped", media.frames_skipped),
            ],
        )?;
        family(
            "sidetone_stream_changes",
            "Breaks in a peer's stream that were followed",
            MetricType::Counter,
            &[
                ("change", "restart", media.stream_restarts),
                ("change", "timestamp_jump", media.timestamp_jumps),
            ],
        )?;
        family(
            "sidetone_digits",
            "DTMF digits of callers by who told of them first",
            MetricType::Counter,
            &DigitSource::ALL.map(|source| ("source", source.label(), media.digits.of(source))),
        )?;
        family(
            "sidetone_playbacks",
            "Files and tones that were to be played",
            MetricType::Counter,
            &[("result", "failed", media.playbacks_failed)],
        )?;
        let reasons = |counts: Rejections| {
            Rejected::ALL.map(|reason| ("reason", reason.label(), counts.of(reason)))
        };
        family(
            "sidetone_rejected",
            "What peers of calls sent and was dropped",
            MetricType::Counter,
            &reasons(media.rejected),
        )?;
        family(
            "sidetone_stray",
            "Datagrams that belonged to no call and were dropped",
            MetricType::Counter,
            &reasons(totals.stray),
        )?;
        family(
            "sidetone_receive_overruns",
            "Datagrams that found the receive buffer of their RTP port full",
            MetricType::Counter,
            &[("transport", Transport::Rtp.label(), totals.overruns)],
        )?;
        let refused = Refused::ALL.map(|reason| ("reason", reason.label(), self.0.refused(reason)));
        family(
            "sidetone_connections_refused",
            "AudioSocket connections that were turned away",
            MetricType::Counter,
            &refused,
        )?;
        family(
            "sidetone_panics",
            "Calls given up after a panic",
            MetricType::Counter,
            &[("room", "engine", totals.panicked)],
        )?;
        let Receptions { jitter_seconds, missing, target_delay_seconds, drift_ppm, mos } =
            &self.0.receptions;
        for (name, help, histogram) in [
            ("sidetone_call_jitter_seconds", "Interarrival jitter at a call's end", jitter_seconds),
            ("sidetone_call_missing_ratio", "Share of a call's packets not there in time", missing),
            (
                "sidetone_call_target_delay_seconds",
                "How long packets waited behind a missing one, at a call's end",
                target_delay_seconds,
            ),
            ("sidetone_call_drift_ppm", "How fast a caller's clock was", drift_ppm),
            ("sidetone_call_mos", "A call's mean opinion score by the E-model", mos),
        ] {
            histogram.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                MetricType::Histogram,
            )?)?;
        }
        let help = "How late frames were sent";
        let kind = MetricType::Histogram;
        let lateness = totals.lateness;
        encoder
            .encode_descriptor("sidetone_tick_lateness_seconds", help, None, kind)?
            .encode_histogram::<NoLabelSet>(
                lateness.sum_s(),
                lateness.total(),
                &lateness.buckets(),
                None,
            )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn how_well_each_call_arrived_is_counted_once_where_it_is_known() {
        let metrics = Arc::new(Metrics::new(1));
        let rated = Reception {
            jitter_ms: 7.0,
            missing: 0.03,
            mos_cqe: Some(4.1),
            drift_ppm: Some(-30.0),
            ..Reception::default()
        };
        metrics.observe(&rated);
        metrics.observe(&Reception { jitter_ms: 30.0, ..Reception::default() });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(MediaCollector(metrics)));
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        for line in [
            "sidetone_call_jitter_seconds_bucket{le=\"0.01\"} 1",
            "sidetone_call_jitter_seconds_bucket{le=\"0.05\"} 2",
            "sidetone_call_missing_ratio_bucket{le=\"0.02\"} 1",
            "sidetone_call_missing_ratio_count 2",
            "sidetone_call_target_delay_seconds_count 2",
            "sidetone_call_drift_ppm_bucket{le=\"-20.0\"} 1",
            "sidetone_call_drift_ppm_count 1",
            "sidetone_call_mos_bucket{le=\"4.25\"} 1",
            "sidetone_call_mos_count 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} in\n{text}");
        }
    }
}
