//! Receive jitter buffers over the same traces, ours and others', for `make bench-jitter`.
//!
//! Plays seeded traces in virtual time, prints a table, then one line per bar: name, figure, limit,
//! `ok` or `short`; ends with code 0 only if every bar holds. Writes the figures of
//! `docs/jitter.md`, its plot, and what concealment sounds like to `target/jitter`.
//!
//! Without `--bench`, as `cargo test` runs it, every buffer plays a short trace, the traces are
//! checked against what they claim to be, and nothing is written.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect stops")]

mod clock;
#[path = "../common/mod.rs"]
mod common;
mod concealment;
mod content;
mod cost;
#[path = "../../tests/common/emulator.rs"]
mod emulator;
mod fixed;
mod ledger;
mod neteq_peer;
mod ours;
mod plots;
mod pulled;
mod report;
mod trace;
mod trial;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::common::bars::{Bars, Figure};
use crate::common::counting::Counting;
use crate::common::machine;
use crate::content::Content;
use crate::ledger::{Ledger, Outcome};
use crate::trace::{PLANS, Plan, Trace};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Where all chance comes from: of the seeds from 1 to 40 the one whose losses lie nearest to what
/// the traces are called.
const SEED: u64 = 23;

/// Delays of the fixed buffers.
const FIXED: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(200)];

/// The buffers that are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Buffer {
    Sidetone,
    Neteq,
    Fixed(Duration),
}

impl Buffer {
    const ALL: [Self; 4] =
        [Self::Sidetone, Self::Neteq, Self::Fixed(FIXED[0]), Self::Fixed(FIXED[1])];

    fn name(self) -> String {
        match self {
            Self::Sidetone => "Sidetone".to_owned(),
            Self::Neteq => "neteq".to_owned(),
            Self::Fixed(delay) => format!("fixed {} ms", delay.as_millis()),
        }
    }

    /// What becomes of a trace in it.
    fn play(self, trace: &Trace, content: &Arc<Content>) -> Outcome {
        let mut ledger = Ledger::new(trace);
        match self {
            Self::Sidetone => ours::play(content, &mut ledger),
            Self::Neteq => {
                neteq_peer::play(content, &mut ledger);
            }
            Self::Fixed(delay) => fixed::play(delay, &mut ledger),
        }
        ledger.outcome()
    }
}

/// A trace's figures, in the order of [`Buffer::ALL`].
struct Row {
    plan: Plan,
    outcomes: [Outcome; 4],
    cpu_ns: [f64; 4],
}

impl Row {
    fn measure(plan: Plan, content: &Arc<Content>) -> Self {
        let trace = plan.play(SEED);
        Self {
            plan,
            outcomes: Buffer::ALL.map(|buffer| buffer.play(&trace, content)),
            cpu_ns: cost::per_packet_ns(&trace, content, FIXED),
        }
    }

    fn bars(&self, bars: &mut Bars) {
        let [ours, neteq, ..] = &self.outcomes;
        let mut add = |what: &str, figure, limit| {
            bars.add(format!("{}, {what}", self.plan.name), Some(figure), limit);
        };
        let ratio = Figure::Ratio(ours.mean_ms / neteq.mean_ms);
        add("mean delay, to neteq's", ratio, Figure::Ratio(0.5));
        let [figure, limit] = [ours, neteq].map(|it| Figure::Share(it.concealed + it.stretched));
        add("concealed or stretched, limit neteq's", figure, limit);
        let missing = Figure::Count(ours.missing_samples);
        add("samples missing in the archive", missing, Figure::Count(0));
        let disordered = Figure::Count(ours.disordered + ours.unknown);
        add("samples out of order, twice, or unknown", disordered, Figure::Count(0));
    }
}

fn main() -> ExitCode {
    let content = Arc::new(Content::new());
    if !std::env::args().any(|argument| argument == "--bench") {
        trial::run(&content);
        println!("every buffer played, and the traces are what they claim; `cargo bench` measures");
        return ExitCode::SUCCESS;
    }
    match machine::pin() {
        Some(core) => println!("pinned to core {core}; {}", machine::processor()),
        None => println!("could not pin to a core: times will be less steady"),
    }
    let mut bars = Bars::default();
    let rows: Vec<Row> = PLANS
        .into_iter()
        .map(|plan| {
            let row = Row::measure(plan, &content);
            println!("{}", report::lines(&row));
            row.bars(&mut bars);
            row
        })
        .collect();
    let in_order_ns = cost::in_order_ns();
    let name = "jitter buffer, packet in order, hot";
    bars.add(name, Some(Figure::Nanoseconds(in_order_ns)), Figure::Nanoseconds(150.0));
    let (count, packets) = cost::in_order_allocations(&PLANS[0].play(SEED), &content);
    let name = format!("allocations of the leg, {packets} packets in order");
    bars.add(name, Some(Figure::Count(count)), Figure::Count(0));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/jitter");
    let lossy = concealment::measure(&folder).expect("files to listen to can be written");
    lossy.iter().for_each(|lossy| lossy.bars(&mut bars));
    if lossy.iter().any(|lossy| lossy.closeness[0].pesq.is_none()) {
        println!("pesq: not installed");
    }
    println!("what concealment sounds like: {}", folder.display());

    println!("\n{bars}");
    let (held, all) = bars.count();
    println!("{held} of {all} bars hold");
    let docs = root.join("docs");
    plots::draw(&docs.join("jitter-delay.svg"), &rows, &content).expect("the plot can be drawn");
    common::document::write(&docs.join("jitter.md"), &report::figures(&rows, &lossy, &bars))
        .expect("docs/jitter.md can be written");
    println!("docs/jitter.md and its plot have these figures");
    if bars.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
