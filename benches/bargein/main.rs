//! How soon the bot falls silent when the caller speaks, for `make bench-bargein`.
//!
//! Each trial is a call through a real Asterisk: a bot plays a tone without end, a caller listens to
//! it for a while and then begins to speak. What is measured is the time from his first sample to the
//! last one of the tone that he hears, both by one clock; `docs/bargein.md` says what that contains.
//! Prints a line for every trial, then one per bar: name, figure, limit, `ok` or `short`; ends with
//! code 0 only if every bar holds. Writes the figures of `docs/bargein.md`.
//!
//! Without `--bench`, as `cargo test` runs it, nothing is called: what is computed from a trial is
//! checked on trials that are made up.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock, and waits for processes")]
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect stops")]

#[path = "../../tests/common/asterisk.rs"]
mod asterisk;
mod bot;
#[path = "../common/mod.rs"]
mod common;
mod figures;
#[path = "../../tests/common/sidetone.rs"]
mod server;
mod speech;
#[path = "../../tests/common/telephone.rs"]
mod telephone;
mod trial;
mod unheard;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::asterisk::{ARI_PASSWORD, ARI_USER, Asterisk, Options};
use crate::bot::ToneBot;
use crate::common::{document, machine};
use crate::figures::Figures;
use crate::server::{Block, Sidetone};
use crate::trial::{Leg, Trial};

/// Measure how soon the bot falls silent when the caller speaks
#[derive(Parser, Debug)]
#[command(name = "bench-bargein")]
struct Arguments {
    /// Calls over each transport; with another number than that, no document is written
    #[arg(long, value_name = "COUNT", default_value_t = TRIALS, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    trials: u32,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

const TRIALS: u32 = 50;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        unheard::run();
        println!("what is computed from a trial is right; `cargo bench` measures");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let installation = match asterisk::available() {
        Ok(installation) => installation,
        Err(error) => {
            println!("nothing can be measured: {error}");
            return ExitCode::FAILURE;
        }
    };
    let asterisk = Asterisk::start(&installation, &Options::default());
    let bot = ToneBot::start();
    let url = asterisk.ari_url();
    let block = Block { name: "pbx", url: &url, user: ARI_USER, password: ARI_PASSWORD, more: "" };
    let sidetone = Sidetone::start(&[block], &configuration(&bot.url));
    sidetone.wait_connected(&["pbx"]);
    let mut figures = Figures::default();
    for leg in Leg::ALL {
        for number in 0..arguments.trials {
            let trial = Trial::run(&asterisk, leg, number, arguments.trials);
            println!("{trial}");
            figures.add(trial);
        }
    }
    let bars = figures.bars();
    println!("\n{bars}");
    let (held, all) = bars.count();
    println!("{held} of {all} bars hold");
    if arguments.trials == TRIALS {
        let version = installation.version().unwrap_or_default();
        let machine = format!("{}, {}, {version}", machine::processor(), machine::kernel());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bargein.md");
        document::write(&path, &figures.text(&machine, &bars)).expect("docs/bargein.md is there");
        println!("docs/bargein.md has these figures");
    }
    if bars.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The detector is the one that the server has by itself, with its own settings.
fn configuration(url: &str) -> String {
    format!(
        "[bot.tone]\ndialect = \"twilio\"\nurl = {url:?}\nbarge_in = \"auto_clear\"\n\
         [pipelines.robot]\nprocessors = [\"vad\", \"bot\"]\n"
    )
}
