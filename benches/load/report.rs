//! The figures as text: for the terminal, and for `docs/performance.md`.

use crate::common::bars::Bars;
use crate::common::{document, machine};
use crate::figures::Figures;
use crate::load::CHURNED;
use crate::run::{Bench, Run};
use crate::soak::Soak;

/// What a row tells, behind its load: heading and width.
const COLUMNS: [(&str, usize); 14] = [
    ("round", 5),
    ("µs per packet", 13),
    ("bare", 6),
    ("ratio", 6),
    ("calls per core", 14),
    ("round trip p50 ms", 17),
    ("p99", 7),
    ("tick lateness p99 ms", 20),
    ("KiB per call", 12),
    ("lost", 5),
    ("bad samples", 11),
    ("failed calls", 12),
    ("overruns", 8),
    ("sent late p99 ms", 16),
];

/// Room for a load's name.
const NAME: usize = 46;

/// What a row has where there is no figure.
const NONE: &str = "–";

/// Where it is measured.
pub(crate) fn machine(bench: &Bench) -> String {
    let (processor, kernel) = (machine::processor(), machine::kernel());
    let Bench { cores, server_core, callers_core, .. } = bench;
    let shared = if server_core == callers_core { ", which is the same" } else { "" };
    format!(
        "{processor}, {cores} cores, {kernel}; the server is on core {server_core}, its callers on \
         core {callers_core}{shared}"
    )
}

/// The head of the rows, for the terminal.
pub(crate) fn heading() -> String {
    aligned("", &COLUMNS.map(|(heading, _)| heading.to_owned()))
}

/// A run's row for the terminal.
pub(crate) fn line(round: usize, run: &Run) -> String {
    aligned(run.load.name, &cells(round, run))
}

fn aligned(name: &str, cells: &[String; COLUMNS.len()]) -> String {
    let mut text = format!("{name:<NAME$}");
    for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
        text.push_str(&format!("  {cell:>width$}"));
    }
    text
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.digits$}"))
}

fn cells(round: usize, run: &Run) -> [String; COLUMNS.len()] {
    let found = &run.found;
    let (ours, bare) = (found.server.as_ref(), found.bare.as_ref());
    let us = |cost: Option<f64>| figure(cost, 2);
    [
        round.to_string(),
        us(ours.map(|it| it.cpu_us_per_packet)),
        us(bare.map(|it| it.cpu_us_per_packet)),
        figure(run.times_bare(), 3),
        figure(ours.map(|it| it.calls_per_core), 0),
        figure(found.round_trip_ms.map(|it| it.p50), 2),
        figure(found.round_trip_ms.map(|it| it.p99), 2),
        format!("≤ {}", run.tick_lateness_p99_ms),
        figure(run.kib_per_call(), 1),
        found.packets.lost.to_string(),
        found.samples_bad().to_string(),
        format!("{} of {}", run.calls_failed, run.calls),
        run.overruns.to_string(),
        figure(found.sent_late_ms(), 2) + if run.fault.is_some() { "!" } else { "" },
    ]
}

/// What there is to tell beside the rows.
pub(crate) fn summary(figures: &Figures) -> String {
    let mut text = repeats(figures);
    if let Some(soak) = figures.soak() {
        text.push_str(&format!("\n{}", sentence(soak)));
    }
    text.push('\n');
    text
}

/// How steady the callers were.
fn repeats(figures: &Figures) -> String {
    let [runs, repeats, spoilt] = figures.repeats();
    format!(
        "{runs} runs, and {repeats} that were repeated because the callers themselves were late or \
         there were no figures. Runs that say little all the same (!): {spoilt}."
    )
}

fn sentence(soak: &Soak) -> String {
    let Soak { memory, found, .. } = soak;
    format!(
        "Soak of {}, {}: {} calls, {} failed. Resident memory {:.2} MiB after a fifth of the time, \
         {:.2} MiB at the end, {:.2} MiB at most. {} answers lost, {} samples wrong or missing, {} \
         overruns; tick lateness p99 ≤ {} ms, packets sent late by {} ms (p99).",
        humantime::format_duration(soak.length),
        CHURNED.name,
        found.setup.calls,
        found.calls_failed(),
        memory.settled_mib,
        memory.ended_mib,
        memory.most_mib,
        found.packets.lost,
        found.samples_bad(),
        soak.overruns,
        soak.tick_lateness_p99_ms,
        figure(found.sent_late_ms(), 2),
    )
}

/// The figures that were measured on `machine`, as Markdown.
pub(crate) fn figures(machine: &str, figures: &Figures, bars: &Bars) -> String {
    let mut text = format!("\nMeasured by `make bench-load` on {machine}.\n\n");
    text.push_str(&document::bars(bars));
    let headings = COLUMNS.map(|(heading, _)| heading).join(" | ");
    text.push_str(&format!("### Runs\n\n| load | {headings} |\n"));
    text.push_str(&format!("|---{}|\n", "|--:".repeat(COLUMNS.len())));
    for (round, run) in figures.runs() {
        text.push_str(&format!("| {} | {} |\n", run.load.name, cells(round, run).join(" | ")));
    }
    text.push_str(&format!("\n{}\n", repeats(figures)));
    if let Some(soak) = figures.soak() {
        text.push_str(&format!("\n### Soak\n\n{}\n", sentence(soak)));
    }
    text.push('\n');
    text
}
