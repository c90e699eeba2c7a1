use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{SttMetrics, SttService};

/// Writes the families of speech-to-text services in the form of OpenMetrics.
#[derive(Debug)]
pub struct SttCollector(pub Vec<SttService>);

type Read = fn(&SttMetrics) -> &AtomicU64;

const COUNTERS: [(&str, &str, Read); 3] = [
    ("sidetone_stt_connections", "Connections to services", |m| &m.connections),
    ("sidetone_stt_transcripts", "Final results with words in them", |m| &m.transcripts),
    ("sidetone_stt_dropped_events", "Events that a call did not take in time", |m| {
        &m.dropped_events
    }),
];

const SAMPLES: [(&str, Read); 3] = [
    ("sent", |m| &m.sent_samples),
    ("replayed", |m| &m.replayed_samples),
    ("dropped", |m| &m.dropped_samples),
];

impl Collector for SttCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) = ("sidetone_stt_calls", "Calls that a service hears");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for service in &self.0 {
            let labels = [("service", service.name())];
            let open = service.metrics().open.load(Ordering::Relaxed);
            let open = i64::try_from(open).unwrap_or(i64::MAX);
            ConstGauge::new(open).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, read) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for service in &self.0 {
                let labels = [("service", service.name())];
                let count = read(service.metrics()).load(Ordering::Relaxed);
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let (name, help) = ("sidetone_stt_samples", "Samples for services");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for service in &self.0 {
            for (state, read) in SAMPLES {
                let labels = [("service", service.name()), ("state", state)];
                let count = read(service.metrics()).load(Ordering::Relaxed);
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let (name, help) = ("sidetone_stt_faults", "What went wrong with services");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for service in &self.0 {
            for (reason, count) in service.metrics().all_faults() {
                let labels = [("service", service.name()), ("reason", reason)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
