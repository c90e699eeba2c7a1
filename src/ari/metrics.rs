use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::handle::AriHandle;
use super::rejected::Rejected;
use crate::runtime::OpenError;

/// What is counted about one Asterisk.
#[derive(Debug, Default)]
pub struct AriMetrics {
    /// Whether the event stream is there.
    pub connected: AtomicBool,
    /// How often it was connected.
    pub connections: AtomicU64,
    /// Calls that are being set up, are up, or are being torn down.
    pub calls: AtomicU64,
    /// Events that could not be read.
    pub bad_events: AtomicU64,
    /// Requests that failed, but for "not found".
    pub failed_requests: AtomicU64,
    /// Callers who did not get to where a processor sent them.
    pub failed_transfers: AtomicU64,
    /// Digits for callers that were not sent.
    pub dropped_digits: AtomicU64,
    /// Callers turned away because their `Stasis()` arguments make no sense.
    pub rejected_arguments: AtomicU64,
    /// Callers turned away because no more calls could be opened.
    pub rejected_full: AtomicU64,
    /// Callers turned away because frames were sent too late already.
    pub rejected_overloaded: AtomicU64,
    /// Callers turned away because the server was stopping.
    pub rejected_stopping: AtomicU64,
    /// Callers found waiting for a server that had died.
    pub stranded: AtomicU64,
    /// Channels and bridges of ours that belonged to no call and were removed.
    pub orphans: AtomicU64,
}

impl AriMetrics {
    pub(super) fn reject(&self, rejected: &Rejected) {
        let counter = match rejected {
            Rejected::Arguments(_) | Rejected::Pipeline(_) => &self.rejected_arguments,
            Rejected::Media(OpenError::Full { .. }) => &self.rejected_full,
            Rejected::Media(OpenError::Overloaded) => &self.rejected_overloaded,
            Rejected::Media(OpenError::Format { .. } | OpenError::Disabled { .. }) => {
                &self.rejected_arguments
            }
            Rejected::Media(OpenError::Stopping) | Rejected::Stopping => &self.rejected_stopping,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes the families of every Asterisk in the form of OpenMetrics.
pub struct AriCollector(pub Vec<AriHandle>);

impl fmt::Debug for AriCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AriCollector").field(&self.0.len()).finish()
    }
}

type Read = fn(&AriMetrics) -> u64;

const GAUGES: [(&str, &str, Read); 2] = [
    ("sidetone_ari_connected", "Whether the event stream is there", |m| {
        m.connected.load(Ordering::Relaxed).into()
    }),
    ("sidetone_ari_calls", "Calls that have something in this Asterisk", |m| {
        m.calls.load(Ordering::Relaxed)
    }),
];

const COUNTERS: [(&str, &str, Read); 7] = [
    ("sidetone_ari_connections", "How often the event stream was connected", |m| {
        m.connections.load(Ordering::Relaxed)
    }),
    ("sidetone_ari_bad_events", "Events that could not be read", |m| {
        m.bad_events.load(Ordering::Relaxed)
    }),
    ("sidetone_ari_failed_requests", "Requests that failed", |m| {
        m.failed_requests.load(Ordering::Relaxed)
    }),
    ("sidetone_ari_failed_transfers", "Callers who did not get where they were sent", |m| {
        m.failed_transfers.load(Ordering::Relaxed)
    }),
    ("sidetone_ari_dropped_digits", "Digits for callers that were not sent", |m| {
        m.dropped_digits.load(Ordering::Relaxed)
    }),
    ("sidetone_ari_stranded", "Callers found waiting for a server that had died", |m| {
        m.stranded.load(Ordering::Relaxed)
    }),
    ("sidetone_ari_orphans", "Channels and bridges without a call that were removed", |m| {
        m.orphans.load(Ordering::Relaxed)
    }),
];

const REJECTED: [(&str, Read); 4] = [
    ("arguments", |m| m.rejected_arguments.load(Ordering::Relaxed)),
    ("full", |m| m.rejected_full.load(Ordering::Relaxed)),
    ("overloaded", |m| m.rejected_overloaded.load(Ordering::Relaxed)),
    ("stopping", |m| m.rejected_stopping.load(Ordering::Relaxed)),
];

impl Collector for AriCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, read) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for asterisk in &self.0 {
                let value = i64::try_from(read(asterisk.metrics())).unwrap_or(i64::MAX);
                let labels = [("asterisk", asterisk.name())];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, read) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for asterisk in &self.0 {
                let labels = [("asterisk", asterisk.name())];
                let value = read(asterisk.metrics());
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        let (name, help) = ("sidetone_ari_rejected", "Callers turned away");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for asterisk in &self.0 {
            for (reason, read) in REJECTED {
                let labels = [("asterisk", asterisk.name()), ("reason", reason)];
                let value = read(asterisk.metrics());
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
