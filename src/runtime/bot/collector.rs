use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{BotMetrics, BotService};
use crate::runtime::families::{Families, Read};

/// Writes the families of bots in the form of OpenMetrics.
#[derive(Debug)]
pub struct BotCollector(pub Vec<BotService>);

const SAMPLES: [(&str, Read<BotMetrics>); 4] = [
    ("sent", |m| &m.sent_samples),
    ("dropped", |m| &m.dropped_samples),
    ("received", |m| &m.received_samples),
    ("discarded", |m| &m.discarded_samples),
];

impl Collector for BotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let peers = self.0.iter().map(|bot| (bot.name(), bot.metrics()));
        let mut families = Families { encoder: &mut encoder, label: "bot", peers: peers.collect() };
        let help = "Calls that talk with a bot, or wait for it";
        families.gauge("sidetone_bot_calls", help, |m| &m.open)?;
        families
            .counter("sidetone_bot_connections", "Connections with bots", |m| &m.connections)?;
        families
            .counter("sidetone_bot_fallbacks", "Calls whose bot was given up", |m| &m.fallbacks)?;
        let help = "Notices that a bot was not told in time";
        families.counter("sidetone_bot_dropped_notices", help, |m| &m.dropped_notices)?;
        families.states("sidetone_bot_samples", "Samples for bots and of them", &SAMPLES)?;
        families.faults("sidetone_bot_faults", "What went wrong with bots", |m| &m.faults)
    }
}
