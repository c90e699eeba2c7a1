//! What the server carries, for `make bench-load`.
//!
//! Runs the server and `sidetone load` as processes of their own, each on its core: so many calls,
//! beside a loop that does nothing but send back what comes. Prints a row for every run, then one
//! line per bar: name, figure, limit, `ok` or `short`; ends with code 0 only if every bar holds.
//! Writes the figures of `docs/performance.md`.
//!
//! Without `--bench`, as `cargo test` runs it, no process is started: what is computed from a run is
//! checked on runs that are made up, and nothing is written.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock, and waits for processes")]
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect stops")]

mod callers;
#[path = "../common/mod.rs"]
mod common;
mod echo_bot;
mod figures;
mod load;
mod metrics;
mod options;
mod report;
mod run;
mod server;
mod soak;
mod trial;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::common::document;
use crate::figures::Figures;
use crate::load::{AUDIOSOCKET, RECORDING, ROBOT, RTP_200, RTP_1000, RTP_2000, STEADY};
use crate::options::{Case, Options};
use crate::run::{Bench, Run};
use crate::soak::Soak;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        trial::run();
        println!("what is computed from a run is right; `cargo bench` measures");
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let bench = Bench::new(options.measured());
    let machine = report::machine(&bench);
    println!("{machine}\n");
    println!("{}", report::heading());
    let mut figures = Figures::default();
    for round in 1..=options.rounds() {
        let mut add = |load, run: Option<Run>| {
            if let Some(run) = &run {
                println!("{}", report::line(round, run));
            }
            figures.add(round, load, run);
        };
        for case in options.cases() {
            match case {
                Case::Rtp1000 => add(&RTP_1000, bench.echo(&RTP_1000)),
                Case::Rtp2000 => {
                    add(&RTP_200, bench.echo(&RTP_200));
                    add(&RTP_2000, bench.echo(&RTP_2000));
                }
                Case::Recording => add(&RECORDING, bench.echo(&RECORDING)),
                Case::AudioSocket => add(&AUDIOSOCKET, bench.echo(&AUDIOSOCKET)),
                Case::SetUp => add(&STEADY, bench.set_up()),
                Case::Robot | Case::Soak => {}
            }
        }
    }
    if options.cases().any(|case| case == Case::Robot) {
        let run = bench.lasting(options.robot()).echo(&ROBOT);
        if let Some(run) = &run {
            println!("{}", report::line(1, run));
        }
        figures.add(1, &ROBOT, run);
    }
    if options.cases().any(|case| case == Case::Soak) {
        println!();
        let soak = Soak::measure(&bench, options.soak());
        let soak = soak.inspect_err(|error| println!("soak: no figures: {error}"));
        figures.add_soak(options.soak(), soak.ok());
    }
    println!("\n{}", report::summary(&figures));
    let bars = figures.bars();
    println!("{bars}");
    let (held, all) = bars.count();
    println!("{held} of {all} bars hold");
    if options.is_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        document::write(&path, &report::figures(&machine, &figures, &bars))
            .expect("docs/performance.md can be written");
        println!("docs/performance.md has these figures");
    }
    if bars.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
