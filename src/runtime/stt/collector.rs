use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{SttMetrics, SttService};
use crate::runtime::families::{Families, Read};

/// Writes the families of speech-to-text services in the form of OpenMetrics.
#[derive(Debug)]
pub struct SttCollector(pub Vec<SttService>);

const SAMPLES: [(&str, Read<SttMetrics>); 3] = [
    ("sent", |m| &m.sent_samples),
    ("replayed", |m| &m.replayed_samples),
    ("dropped", |m| &m.dropped_samples),
];

impl Collector for SttCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let peers = self.0.iter().map(|service| (service.name(), service.metrics()));
        let mut families =
            Families { encoder: &mut encoder, label: "service", peers: peers.collect() };
        families.gauge("sidetone_stt_calls", "Calls that a service hears", |m| &m.open)?;
        families
            .counter("sidetone_stt_connections", "Connections to services", |m| &m.connections)?;
        families.counter("sidetone_stt_transcripts", "Final results with words in them", |m| {
            &m.transcripts
        })?;
        let help = "Events that a call did not take in time";
        families.counter("sidetone_stt_dropped_events", help, |m| &m.dropped_events)?;
        families.states("sidetone_stt_samples", "Samples for services", &SAMPLES)?;
        families.faults("sidetone_stt_faults", "What went wrong with services", |m| &m.faults)
    }
}
