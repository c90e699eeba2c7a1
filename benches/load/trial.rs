//! What is computed from runs, without one: from answers of the server and of `sidetone load` that
//! are made up.

use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use crate::callers::Found;
use crate::common::document;
use crate::figures::Figures;
use crate::load::{Load, RECORDING, ROBOT, RTP_200, RTP_1000, RTP_2000};
use crate::metrics::Scrape;
use crate::options::{Case, Options};
use crate::report;
use crate::run::Run;
use crate::soak::Memory;

pub(crate) fn run() {
    lateness_is_that_of_the_frames_between_two_looks();
    figures_are_found_by_name_and_added_up_by_family();
    callers_that_were_late_or_dropped_something_spoil_a_run();
    bars_have_medians_of_costs_and_sums_of_losses();
    a_recording_that_nobody_saw_is_missing();
    a_call_with_a_bot_has_its_share_of_a_core();
    a_run_without_figures_is_a_bar_that_does_not_hold();
    memory_is_flat_or_grows_from_a_fifth_of_the_time_on();
    options_choose_loads();
    let text = include_str!("../../docs/performance.md");
    assert!(document::replaced(text, "").is_some(), "docs/performance.md lacks its markers");
}

fn histogram(counts: [u64; 4]) -> Scrape {
    let bounds = ["0.001", "0.002", "0.005", "+Inf"];
    let line = |(bound, count)| {
        format!("sidetone_tick_lateness_seconds_bucket{{le=\"{bound}\"}} {count}\n")
    };
    let lines: String = bounds.into_iter().zip(counts).map(line).collect();
    Scrape(format!("sidetone_tick_lateness_seconds_sum 1.5\n{lines}"))
}

fn lateness_is_that_of_the_frames_between_two_looks() {
    let before = histogram([0, 0, 500, 500]).lateness();
    let bounds_ms = |counts| {
        let lateness = histogram(counts).lateness().since(&before);
        [0.5, 0.99, 1.0].map(|share| lateness.bound_ms(share))
    };
    assert_eq!(bounds_ms([990, 1_000, 1_500, 1_500]), [1.0, 1.0, 2.0]);
    assert_eq!(bounds_ms([989, 990, 1_500, 1_500]), [1.0, 2.0, 5.0]);
    assert_eq!(bounds_ms([499, 989, 1_490, 1_500]), [2.0, 5.0, f64::INFINITY]);
}

fn figures_are_found_by_name_and_added_up_by_family() {
    let scrape = Scrape(
        "# TYPE sidetone_calls gauge\nsidetone_calls{transport=\"rtp\"} 3\n\
         sidetone_calls{transport=\"audiosocket\"} 4\n\
         sidetone_calls_started_total{transport=\"rtp\"} 100\nsidetone_recordings 2\n\
         sidetone_receive_overruns_total{transport=\"rtp\"} 5\n"
            .to_owned(),
    );
    assert_eq!(scrape.sum("sidetone_calls"), 7.0);
    assert_eq!(scrape.value("sidetone_calls{transport=\"audiosocket\"}"), 4.0);
    assert_eq!(scrape.value("sidetone_recordings"), 2.0);
    assert_eq!(scrape.overruns(), 5);
}

/// A report in which the server takes `us` per packet and the bare loop 10.
fn made_up_report(us: f64, lost: u64, sent_late_ms: f64) -> Value {
    serde_json::json!({
        "setup": { "calls": 1_000, "failed": 1 },
        "packets": { "lost": lost, "unsent": 0, "overruns": 0 },
        "echo": { "calls_without": 2, "samples_wrong": 3, "samples_missing": 4 },
        "round_trip_ms": { "p50": 20.5, "p99": 20.0 + us / 10.0 },
        "generator": { "send_lateness_ms": { "p50": 0.1, "p99": sent_late_ms } },
        "server": {
            "cpu_us_per_packet": us, "calls_per_core": 2_000.0, "resident_bytes_per_call": 20_480.0
        },
        "bare": {
            "cpu_us_per_packet": 10.0, "round_trip_ms": { "p50": 0.1, "p99": 0.2 },
            "packets": { "lost": 0, "unsent": 0, "overruns": 0 }
        }
    })
}

fn found(us: f64, lost: u64, sent_late_ms: f64) -> Found {
    serde_json::from_value(made_up_report(us, lost, sent_late_ms)).expect("a report")
}

fn made_up(load: &'static Load, us: f64, lost: u64) -> Run {
    let now = histogram([0, 100, 100, 100]);
    Run::new(load, found(us, lost, 0.1), &now, &histogram([0; 4]).lateness())
}

fn callers_that_were_late_or_dropped_something_spoil_a_run() {
    assert_eq!(found(10.0, 0, 5.0).fault(), None);
    assert!(found(10.0, 0, 5.1).fault().is_some());
    // What is lost on the way is the server's.
    assert_eq!(found(10.0, 7, 0.1).fault(), None);
    let spoilt = |pointer: &str, value: Value| {
        let mut report = made_up_report(10.0, 0, 0.1);
        *report.pointer_mut(pointer).expect("a figure") = value;
        serde_json::from_value::<Found>(report).expect("a report").fault().is_some()
    };
    assert!(!spoilt("/bare/round_trip_ms/p99", 5.0.into()));
    assert!(spoilt("/bare/round_trip_ms/p99", 5.1.into()));
    for pointer in ["/packets/unsent", "/packets/overruns", "/bare/packets/overruns"] {
        assert!(spoilt(pointer, 1.into()), "{pointer}");
    }
}

fn bars_have_medians_of_costs_and_sums_of_losses() {
    let mut figures = Figures::default();
    for (round, us) in [11.0, 30.0, 12.0].into_iter().enumerate() {
        figures.add(round, &RTP_200, Some(made_up(&RTP_200, 2.0 * us, 0)));
        let lost = u64::from(us > 20.0);
        figures.add(round, &RTP_1000, Some(made_up(&RTP_1000, us, lost)));
        figures.add(round, &RTP_2000, Some(made_up(&RTP_2000, us, 0)));
    }
    let rows: Vec<_> = figures.bars().rows().collect();
    let row = |name: &str| {
        let row = rows.iter().find(|row| row[0] == name);
        let [_, figure, limit, verdict] = row.unwrap_or_else(|| panic!("no {name} in {rows:#?}"));
        [figure, limit, verdict].map(String::as_str)
    };
    let of_1000 = |what: &str| row(&format!("{}: {what}", RTP_1000.name));
    assert_eq!(of_1000("processor time per packet, to bare"), ["1.200 ×", "1.250 ×", "ok"]);
    assert_eq!(of_1000("answers lost"), ["1", "0", "short"]);
    assert_eq!(of_1000("samples wrong or missing"), ["21", "0", "short"]);
    assert_eq!(of_1000("calls without echo"), ["9", "0", "short"]);
    assert_eq!(of_1000("round trip p99"), ["21.20 ms", "25.00 ms", "ok"]);
    assert_eq!(of_1000("tick lateness p99, at most"), ["2.00 ms", "2.00 ms", "ok"]);
    assert_eq!(of_1000("memory per call"), ["20.0 KiB", "32.0 KiB", "ok"]);
    every_run_has_a_row(&figures);
    let name = "processor time per packet, 2,000 calls, to that of 200";
    assert_eq!(row(name), ["0.500 ×", "1.000 ×", "ok"]);
    assert_eq!(figures.runs().map(|(round, _)| round).collect::<Vec<_>>(), [0, 1, 2].repeat(3));
}

fn every_run_has_a_row(figures: &Figures) {
    let text = report::figures("a machine", figures, &figures.bars());
    let (_, table) = text.split_once("### Runs\n\n").expect("a section");
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 2 + figures.runs().count(), "{table}");
    let cells = |row: &&str| row.matches('|').count();
    assert!(rows.iter().all(|row| cells(row) == cells(&rows[0])), "{table}");
    let (second, first) =
        (rows[6], "| 1,000 calls, RTP | 1 | 30.00 | 10.00 | 3.000 | 2000 | 20.50 |");
    assert!(second.starts_with(first), "{second}");
}

fn a_recording_that_nobody_saw_is_missing() {
    let mut figures = Figures::default();
    figures.add(1, &RECORDING, Some(made_up(&RECORDING, 11.0, 0)));
    let name = format!("{}: recordings missing", RECORDING.name);
    let bars = figures.bars();
    let row = bars.rows().find(|row| row[0] == name).expect("a bar");
    assert_eq!(row[1..], ["1000", "0", "short"]);
}

fn a_call_with_a_bot_has_its_share_of_a_core() {
    let mut figures = Figures::default();
    figures.add(1, &ROBOT, Some(made_up(&ROBOT, 11.0, 0)));
    let name = format!("{}: processor time per call, of a core", ROBOT.name);
    let bars = figures.bars();
    let row = bars.rows().find(|row| row[0] == name).expect("a bar");
    assert_eq!(row[1..], ["0.050 %", "0.200 %", "ok"]);
}

fn a_run_without_figures_is_a_bar_that_does_not_hold() {
    let mut figures = Figures::default();
    figures.add(1, &RTP_1000, None);
    let rows: Vec<_> = figures.bars().rows().collect();
    let name = format!("{}: runs without figures", RTP_1000.name);
    assert_eq!(rows, [[name.as_str(), "1", "0", "short"].map(str::to_owned)]);
    assert!(!figures.bars().all_hold());
}

fn memory_is_flat_or_grows_from_a_fifth_of_the_time_on() {
    let samples = |place: usize| if place < 40 { 1.0 } else { 50.0 };
    let memory = Memory::of(&(0..200).map(samples).collect::<Vec<_>>());
    assert_eq!(memory, Memory { settled_mib: 50.0, ended_mib: 50.0, most_mib: 50.0 });
    assert_eq!(memory.growth(), 0.0);
    let samples = |place: usize| 50.0 + if place < 190 { 0.0 } else { 5.0 };
    let memory = Memory::of(&(0..200).map(samples).collect::<Vec<_>>());
    assert!((memory.growth() - 0.1).abs() < 1e-9, "{memory:?}");
    let mut figures = Figures::default();
    figures.add_soak(Duration::from_secs(60), None);
    assert!(!figures.bars().all_hold(), "a soak without figures holds");
}

fn options_choose_loads() {
    let options = |text: &str| Options::try_parse_from(text.split(' ')).expect("options");
    let all = options("bench --bench");
    assert!(all.is_whole() && all.cases().count() == 7 && all.rounds() == 5);
    let quick = options("bench --quick --soak 1m --only set-up --only soak --bench");
    assert!(!quick.is_whole() && quick.rounds() == 1 && quick.soak().as_secs() == 60);
    assert_eq!(quick.cases().collect::<Vec<_>>(), [Case::SetUp, Case::Soak]);
}
