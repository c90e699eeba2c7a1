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
use std::time::Duration;

use clap::Parser;
use sidetone::processor::vad::VadSettings;

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
    /// What tells speech, as `vad.detector` has it; writes no document
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// The least speech that it tells while the bot speaks; writes no document
    #[arg(long, value_name = "MS")]
    least_ms: Option<u64>,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

const TRIALS: u32 = 50;

impl Arguments {
    /// Whether the figures are those that the document has.
    fn is_whole(&self) -> bool {
        self.trials == TRIALS && self.detector.is_none() && self.least_ms.is_none()
    }

    /// How long somebody must speak, while the bot does, before the detector tells it.
    fn least_speech(&self) -> Duration {
        let default = VadSettings::default().playing_min_speech;
        self.least_ms.map_or(default, Duration::from_millis)
    }

    /// The detector is the one that the server has by itself, with its own settings, unless told
    /// otherwise.
    fn configuration(&self, url: &str) -> String {
        let detector = self.detector.iter().map(|name| format!("detector = {name:?}\n"));
        let least = self.least_ms.iter().map(|ms| format!("playing_min_speech_ms = {ms}\n"));
        let vad: String = detector.chain(least).collect();
        format!(
            "[vad]\n{vad}\
             [bot.tone]\ndialect = \"twilio\"\nurl = {url:?}\nbarge_in = \"auto_clear\"\n\
             [pipelines.robot]\nprocessors = [\"vad\", \"bot\"]\n"
        )
    }
}

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
    let sidetone = Sidetone::start(&[block], &arguments.configuration(&bot.url));
    sidetone.wait_connected(&["pbx"]);
    let mut figures = Figures::new(arguments.least_speech());
    for leg in Leg::ALL {
        for number in 0..arguments.trials {
            let trial = Trial::new(leg, number, arguments.trials).run(&asterisk);
            println!("{trial}");
            figures.add(trial);
        }
    }
    let bars = figures.bars();
    println!("\n{bars}");
    let (held, all) = bars.count();
    println!("{held} of {all} bars hold");
    if arguments.is_whole() {
        let version = installation.version().unwrap_or_default();
        let machine = format!("{}, {}, {version}", machine::processor(), machine::kernel());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bargein.md");
        document::write(&path, &figures.text(&machine, &bars)).expect("docs/bargein.md is there");
        println!("docs/bargein.md has these figures");
    }
    if bars.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
