use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::ari::{AriCollector, AriHandle};
use crate::runtime::bot::{BotCollector, BotService};
use crate::runtime::recording::RecordingMetrics;
use crate::runtime::stt::{SttCollector, SttService};
use crate::runtime::{MediaCollector, MediaHandle};

/// Every family of metrics that the process has.
pub(super) fn registry(
    media: &MediaHandle,
    recordings: Arc<RecordingMetrics>,
    stt: Vec<SttService>,
    bots: Vec<BotService>,
    asterisk: Vec<AriHandle>,
) -> Registry {
    let mut registry = Registry::default();
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("sidetone_build", "The program", version);
    registry.register_collector(Box::new(MediaCollector(Arc::clone(media.metrics()))));
    registry.register_collector(Box::new(RecordingCollector(recordings)));
    registry.register_collector(Box::new(SttCollector(stt)));
    registry.register_collector(Box::new(BotCollector(bots)));
    registry.register_collector(Box::new(AriCollector(asterisk)));
    registry
}

/// Writes the families of recordings in the form of OpenMetrics.
#[derive(Debug)]
pub struct RecordingCollector(pub Arc<RecordingMetrics>);

impl Collector for RecordingCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = &*self.0;
        let open = i64::try_from(counts.open.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let help = "Recordings under way";
        let family =
            encoder.encode_descriptor("sidetone_recordings", help, None, MetricType::Gauge)?;
        ConstGauge::new(open).encode(family)?;

        let mut counter = |name: &str, help: &str, label: &str, rows: &[(&str, &AtomicU64)]| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (value, count) in rows {
                let labels = [(label, *value)];
                let row = family.encode_family(&labels)?;
                ConstCounter::new(count.load(Ordering::Relaxed)).encode(row)?;
            }
            Ok::<(), fmt::Error>(())
        };
        counter(
            "sidetone_recordings_ended",
            "Recordings by how they ended",
            "result",
            &[("done", &counts.done), ("failed", &counts.failed)],
        )?;
        counter(
            "sidetone_recording_samples",
            "Samples that were not written, or not in order",
            "state",
            &[
                ("dropped", &counts.dropped_samples),
                ("unrecorded", &counts.unrecorded_samples),
                ("late_patched", &counts.late_patched_samples),
            ],
        )
    }
}
