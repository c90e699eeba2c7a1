//! All trials, and what is promised of them.

use std::fmt::Write as _;
use std::time::Duration;

use crate::common::bars::{Bars, Figure};
use crate::common::document;
use crate::trial::{Leg, Outcome, Trial};

/// What may pass beyond the time that the detector wants to hear speech for.
const BEYOND: Duration = Duration::from_millis(60);

/// What was measured.
pub(crate) struct Figures {
    trials: Vec<Trial>,
    /// What the detector wants.
    least_speech: Duration,
}

/// How soon the bot was silent over one transport, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Summary {
    pub(crate) least: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) most: f64,
}

impl Figures {
    /// Of a detector that wants so much speech before it tells it.
    pub(crate) const fn new(least_speech: Duration) -> Self {
        Self { trials: Vec::new(), least_speech }
    }

    pub(crate) fn add(&mut self, trial: Trial) {
        self.trials.push(trial);
    }

    fn of(&self, leg: Leg) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(move |trial| trial.leg == leg)
    }

    /// One in which the bot did not stop lasts for ever. None where there are no trials, or one of
    /// them says nothing.
    pub(crate) fn summary(&self, leg: Leg) -> Option<Summary> {
        let times = self.of(leg).map(|trial| match trial.outcome {
            Outcome::Silent(time) => Some(time.as_secs_f64() * 1e3),
            Outcome::Endless => Some(f64::INFINITY),
            Outcome::Mute | Outcome::Spoilt => None,
        });
        let mut times = times.collect::<Option<Vec<f64>>>().filter(|times| !times.is_empty())?;
        times.sort_by(f64::total_cmp);
        let quantile = |share: f64| times[(share * times.len() as f64).ceil() as usize - 1];
        Some(Summary {
            least: times[0],
            p50: quantile(0.5),
            p95: quantile(0.95),
            most: times[times.len() - 1],
        })
    }

    /// The promises.
    pub(crate) fn bars(&self) -> Bars {
        let limit = (self.least_speech + BEYOND).as_secs_f64() * 1e3;
        let mut bars = Bars::default();
        for leg in Leg::ALL {
            let count = self.of(leg).count();
            let figure = self.summary(leg).map(|summary| Figure::Milliseconds(summary.p95));
            let name = format!("{}: barge-in, p95 of {count}", leg.name());
            bars.add(name, figure, Figure::Milliseconds(limit));
        }
        bars
    }

    /// What the document says.
    pub(crate) fn text(&self, machine: &str, bars: &Bars) -> String {
        let repeats: u32 = self.trials.iter().map(|trial| trial.repeats).sum();
        let mut text = format!(
            "\nMeasured by `make bench-bargein` on {machine}. The detector wants {} ms of speech; \
             {repeats} trials were repeated because the caller was late himself.\n\n\
             | transport | trials | least | p50 | p95 | most |\n|---|--:|--:|--:|--:|--:|\n",
            self.least_speech.as_millis()
        );
        for leg in Leg::ALL {
            let Some(Summary { least, p50, p95, most }) = self.summary(leg) else { continue };
            let (name, count) = (leg.name(), self.of(leg).count());
            let cells = [least, p50, p95, most].map(|ms| format!("{ms:.1} ms")).join(" | ");
            writeln!(text, "| {name} | {count} | {cells} |").expect("a String takes everything");
        }
        text.push('\n');
        text.push_str(&document::bars(bars));
        text
    }
}
