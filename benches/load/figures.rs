//! All runs, and what is promised of them.

use std::time::Duration;

use crate::common::bars::{Bars, Figure};
use crate::common::machine::median;
use crate::load::{
    AUDIOSOCKET, Load, RECORDING, ROBOT, RTP_200, RTP_1000, RTP_2000, SOAK_GROWTH, STEADY,
    TIMES_FEW_CALLS,
};
use crate::run::Run;
use crate::soak::Soak;

/// The order in which loads are told of.
const LOADS: [&Load; 7] =
    [&RTP_200, &RTP_1000, &RTP_2000, &RECORDING, &AUDIOSOCKET, &STEADY, &ROBOT];

/// What was measured.
#[derive(Default)]
pub(crate) struct Figures {
    /// With the rounds, in the order in which they ran.
    runs: Vec<(usize, Run)>,
    /// The loads of runs that have no figures.
    failed: Vec<&'static Load>,
    /// How long a soak was asked for, if there was one.
    soaked: Option<Duration>,
    soak: Option<Soak>,
}

impl Figures {
    /// Takes a run of `load`, if it has figures.
    pub(crate) fn add(&mut self, round: usize, load: &'static Load, run: Option<Run>) {
        match run {
            Some(run) => self.runs.push((round, run)),
            None => self.failed.push(load),
        }
    }

    /// Takes the soak of that length, if it has figures.
    pub(crate) fn add_soak(&mut self, length: Duration, soak: Option<Soak>) {
        (self.soaked, self.soak) = (Some(length), soak);
    }

    pub(crate) const fn soak(&self) -> Option<&Soak> {
        self.soak.as_ref()
    }

    /// Load by load, in the order of the rounds.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (usize, &Run)> {
        LOADS.into_iter().flat_map(|load| {
            let of_load = self.runs.iter().filter(move |(_, run)| run.load == load);
            of_load.map(|(round, run)| (*round, run))
        })
    }

    fn of(&self, load: &Load) -> impl Iterator<Item = &Run> {
        self.runs.iter().map(|(_, run)| run).filter(move |run| run.load == load)
    }

    /// The promises: costs and times are medians over the rounds; what was lost is added up.
    pub(crate) fn bars(&self) -> Bars {
        let mut bars = Bars::default();
        for load in LOADS {
            let failed = self.failed.iter().filter(|it| **it == load).count() as u64;
            if failed > 0 {
                let name = format!("{}: runs without figures", load.name);
                bars.add(name, Some(Figure::Count(failed)), Figure::Count(0));
            }
            if self.of(load).next().is_some() {
                self.bars_of(load, &mut bars);
            }
        }
        if self.of(&RTP_200).next().is_some() {
            let cost = |run: &Run| Some(run.found.server.as_ref()?.cpu_us_per_packet);
            let few = |round| {
                let mut runs = self.runs.iter().filter(|(_, run)| run.load == &RTP_200);
                cost(&runs.find(|(it, _)| *it == round)?.1)
            };
            let many = self.runs.iter().filter(|(_, run)| run.load == &RTP_2000);
            // A round that lacks either has no ratio.
            let ratios = many.filter_map(|(round, run)| Some(cost(run)? / few(*round)?));
            let ratio = all(ratios.map(Some)).map(Figure::Ratio);
            let name = "processor time per packet, 2,000 calls, to that of 200";
            bars.add(name, ratio, Figure::Ratio(TIMES_FEW_CALLS));
        }
        if let Some(length) = self.soaked {
            let growth = self.soak.as_ref().map(|soak| Figure::Share(soak.memory.growth()));
            let length = humantime::format_duration(length);
            let name = format!("growth of resident memory in a soak of {length}");
            bars.add(name, growth, Figure::Share(SOAK_GROWTH));
        }
        bars
    }

    fn bars_of(&self, load: &Load, bars: &mut Bars) {
        let mut add = |what: &str, figure: Option<Figure>, limit| {
            bars.add(format!("{}: {what}", load.name), figure, limit);
        };
        if let Some(limit) = load.limits.times_bare {
            let figure = all(self.of(load).map(Run::times_bare)).map(Figure::Ratio);
            add("processor time per packet, to bare", figure, Figure::Ratio(limit));
        }
        let mut none = |what: &str, count: &dyn Fn(&Run) -> u64| {
            let count = Figure::Count(self.of(load).map(count).sum());
            add(what, Some(count), Figure::Count(0));
        };
        none("answers lost", &|run| run.found.packets.lost);
        none("samples wrong or missing", &|run| run.found.samples_bad());
        none("calls without echo", &|run| run.calls_failed);
        if load.is_recorded() {
            // A run whose recordings nobody has looked for counts as one without.
            let recorded = |run: &Run| run.recorded.map_or(run.calls, |it| it.missing);
            none("recordings missing", &recorded);
            none("samples that were not recorded", &|run| {
                run.recorded.map_or(0, |recorded| recorded.samples_dropped)
            });
        }
        if let Some(limit) = load.limits.round_trip_p99_ms {
            let figure = all(self.of(load).map(|run| Some(run.found.round_trip_ms?.p99)));
            add("round trip p99", figure.map(Figure::Milliseconds), Figure::Milliseconds(limit));
        }
        if let Some(limit) = load.limits.tick_lateness_p99_ms {
            let figure = all(self.of(load).map(|run| Some(run.tick_lateness_p99_ms)));
            let figure = figure.map(Figure::Milliseconds);
            add("tick lateness p99, at most", figure, Figure::Milliseconds(limit));
        }
        if let Some(limit) = load.limits.kib_per_call {
            let figure = all(self.of(load).map(Run::kib_per_call)).map(Figure::Kibibytes);
            add("memory per call", figure, Figure::Kibibytes(limit));
        }
        if let Some(limit) = load.limits.share_per_call {
            let figure = all(self.of(load).map(Run::share_per_call)).map(Figure::Share);
            add("processor time per call, of a core", figure, Figure::Share(limit));
        }
    }

    /// How many runs there are, how often one was repeated, and how many have late callers all the
    /// same.
    pub(crate) fn repeats(&self) -> [usize; 3] {
        let repeats: u32 = self.runs.iter().map(|(_, run)| run.repeats).sum();
        let spoilt = self.runs.iter().filter(|(_, run)| run.fault.is_some()).count();
        [self.runs.len(), repeats as usize, spoilt]
    }
}

/// The median, where every round has the figure.
fn all(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.collect::<Option<Vec<f64>>>().filter(|values| !values.is_empty()).map(median)
}
