//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(5);
const SOAK: Duration = Duration::from_secs(600);
const ROBOT: Duration = Duration::from_secs(60);

const QUICK_MEASURED: Duration = Duration::from_secs(3);
const QUICK_SOAK: Duration = Duration::from_secs(20);

/// Measure what the server carries
#[derive(Parser, Debug)]
#[command(name = "bench-load")]
pub(crate) struct Options {
    /// One round of short runs, to see that everything works; writes no document
    #[arg(long)]
    quick: bool,
    /// Only this; may be given more than once; writes no document
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Case>,
    /// How long the soak takes [default: 10m, with --quick 20s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    soak: Option<Duration>,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured by itself.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    #[value(name = "rtp-1000")]
    Rtp1000,
    /// 200 calls too: a packet of 2,000 is compared with one of those.
    #[value(name = "rtp-2000")]
    Rtp2000,
    Recording,
    #[value(name = "audiosocket")]
    AudioSocket,
    SetUp,
    /// Once, and for longer than the others.
    Robot,
    Soak,
}

impl Options {
    /// How often each load is run.
    pub(crate) const fn rounds(&self) -> usize {
        if self.quick { 1 } else { ROUNDS }
    }

    /// How long each run is measured.
    pub(crate) const fn measured(&self) -> Duration {
        if self.quick { QUICK_MEASURED } else { MEASURED }
    }

    /// How long the soak takes.
    pub(crate) fn soak(&self) -> Duration {
        self.soak.unwrap_or(if self.quick { QUICK_SOAK } else { SOAK })
    }

    /// How long the calls with a bot are measured.
    pub(crate) const fn robot(&self) -> Duration {
        if self.quick { QUICK_MEASURED } else { ROBOT }
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = Case> {
        let wanted = |case: &Case| self.only.is_empty() || self.only.contains(case);
        Case::value_variants().iter().copied().filter(wanted)
    }

    /// Whether the figures are all that the document has.
    pub(crate) const fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty()
    }
}
