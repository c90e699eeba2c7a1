//! What is computed from trials, without one: from calls that are made up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::common::document;
use crate::figures::{Figures, Summary};
use crate::speech;
use crate::telephone::{FRAME, Frame, Line, PTIME};
use crate::trial::{Leg, Outcome, Trial, outcome};

pub(crate) fn run() {
    time_runs_from_the_first_sample_said_to_the_last_one_heard();
    a_caller_who_was_late_spoils_a_trial_and_one_late_afterwards_does_not();
    what_may_lie_here_or_there_is_spread();
    phrases_begin_with_an_audible_sample();
    bars_have_the_95th_percentile();
    let text = include_str!("../../docs/bargein.md");
    assert!(document::replaced(text, "").is_some(), "docs/bargein.md lacks its markers");
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A call whose caller begins to speak with sample 40 of the packet that is sent after 100 ms, and
/// hears the bot up to sample 79 of the packet that comes after 293 ms.
fn made_up(start: Instant) -> Line {
    let frame = |at, samples| Frame { at, late: ms(0), samples };
    let mut first = [0; FRAME];
    first[40..].fill(-5000);
    let mut last = [4000; FRAME];
    last[80..].fill(3);
    let said = (0..20).map(|n| {
        let samples = match n {
            0..5 => [0; FRAME],
            5 => first,
            _ => [5000; FRAME],
        };
        frame(start + n * PTIME, samples)
    });
    let heard = (0..20).map(|n| {
        let samples = match n {
            0..14 => [4000; FRAME],
            14 => last,
            _ => [0; FRAME],
        };
        frame(start + ms(13) + n * PTIME, samples)
    });
    Line { said: said.collect(), heard: heard.collect() }
}

fn time_runs_from_the_first_sample_said_to_the_last_one_heard() {
    let line = made_up(Instant::now());
    // Spoken 15 ms before its packet left, at 85 ms; played to 10 ms after its packet came, at 303 ms.
    assert_eq!(outcome(&line), Outcome::Silent(ms(218)));
    let mute = Line { heard: Vec::new(), ..line.clone() };
    assert_eq!(outcome(&mute), Outcome::Mute);
    let before = Line { heard: line.heard[..2].to_vec(), ..line };
    assert_eq!(outcome(&before), Outcome::Mute);
}

fn a_caller_who_was_late_spoils_a_trial_and_one_late_afterwards_does_not() {
    for (place, is_spoilt) in [(3, false), (5, true), (15, true), (16, false)] {
        let mut line = made_up(Instant::now());
        line.said[place].late = ms(6);
        assert_eq!(outcome(&line) == Outcome::Spoilt, is_spoilt, "packet {place}");
    }
}

fn what_may_lie_here_or_there_is_spread() {
    let trials: Vec<_> = (0..50).map(|number| Trial::new(Leg::Rtp, number, 50)).collect();
    let phases: Vec<_> = trials.iter().map(|trial| trial.phase).collect();
    assert!(phases.is_sorted_by(|a, b| a < b), "{phases:?}");
    assert_eq!((phases[0], phases[25], phases[49]), (0, 80, 156));
    let delays: BTreeSet<_> = trials.iter().map(|trial| trial.delay).collect();
    assert_eq!(delays, (0..20).map(ms).collect());
    let places: BTreeSet<_> = trials.iter().map(|trial| trial.shift * 20 % 32).collect();
    assert_eq!(places, (0..8).map(|place| 4 * place).collect());
}

fn phrases_begin_with_an_audible_sample() {
    let phrases = speech::phrases();
    assert_eq!(phrases.len(), 3);
    for phrase in phrases {
        assert!(phrase[0].unsigned_abs() >= speech::AUDIBLE && phrase.len() > 2400);
    }
}

fn bars_have_the_95th_percentile() {
    let mut figures = Figures::new(ms(180));
    let mut add = |number, outcome| {
        figures.add(Trial { outcome, ..Trial::new(Leg::Rtp, number, 50) });
    };
    for number in 0..48 {
        add(number, Outcome::Silent(ms(240 - u64::from(number))));
    }
    add(48, Outcome::Endless);
    add(49, Outcome::Endless);
    let summary = figures.summary(Leg::Rtp).expect("there are trials");
    let expected = Summary { least: 193.0, p50: 217.0, p95: 240.0, most: f64::INFINITY };
    assert_eq!(summary, expected);
    let rows: Vec<_> = figures.bars().rows().collect();
    let name = "RTP ulaw: barge-in, p95 of 50";
    assert_eq!(rows[0], [name, "240.00 ms", "240.00 ms", "ok"].map(str::to_owned));
    // No call over AudioSocket says nothing good of it.
    assert_eq!(rows[1][3], "short");
    // A trial that says nothing is not left out.
    figures.add(Trial { outcome: Outcome::Mute, ..Trial::new(Leg::Rtp, 49, 50) });
    assert!(figures.summary(Leg::Rtp).is_none());
}
