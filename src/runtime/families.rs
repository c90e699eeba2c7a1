use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::faults::Faults;

/// Writes the families of peers that are alike, in the form of OpenMetrics.
pub(super) struct Families<'a, 'e, M> {
    pub(super) encoder: &'a mut DescriptorEncoder<'e>,
    /// The label that names a peer.
    pub(super) label: &'static str,
    /// Each peer by its name.
    pub(super) peers: Vec<(&'a str, &'a M)>,
}

/// Where a peer counts something.
pub(super) type Read<M> = fn(&M) -> &AtomicU64;

impl<M> Families<'_, '_, M> {
    /// A value that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, read: Read<M>) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (peer, metrics) in &self.peers {
            let value = read(metrics).load(Ordering::Relaxed);
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(family.encode_family(&[(self.label, *peer)])?)?;
        }
        Ok(())
    }

    /// A count.
    pub(super) fn counter(&mut self, name: &str, help: &str, read: Read<M>) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (peer, metrics) in &self.peers {
            let count = ConstCounter::new(read(metrics).load(Ordering::Relaxed));
            count.encode(family.encode_family(&[(self.label, *peer)])?)?;
        }
        Ok(())
    }

    /// Counts of one thing by what became of it.
    pub(super) fn states(
        &mut self,
        name: &str,
        help: &str,
        states: &[(&str, Read<M>)],
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (peer, metrics) in &self.peers {
            for (state, read) in states {
                let labels = [(self.label, *peer), ("state", state)];
                let count = ConstCounter::new(read(metrics).load(Ordering::Relaxed));
                count.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// What went wrong.
    pub(super) fn faults(
        &mut self,
        name: &str,
        help: &str,
        faults: fn(&M) -> &Faults,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (peer, metrics) in &self.peers {
            for (reason, count) in faults(metrics).all() {
                let labels = [(self.label, *peer), ("reason", reason)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
