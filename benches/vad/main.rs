//! Detectors of speech on the same telephone calls, ours and others', for `make bench-vad`.
//!
//! Prints a table, then one line per bar: name, figure, limit, `ok` or `short`; ends with code 0 only
//! if every bar holds. Together with `webrtc-vad` (feature `bench-peers`) it also writes the figures
//! of `docs/vad.md` and its plots.
//!
//! Without `--bench`, as `cargo test` runs it, every detector hears some seconds, nothing is timed
//! and nothing is written.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect stops")]

#[path = "../common/mod.rs"]
mod common;
mod contenders;
mod corpus;
mod cost;
mod edges;
mod noise;
mod onnxruntime;
mod over_the_bot;
mod plots;
mod report;
mod scoring;
mod trial;

use std::path::Path;
use std::process::ExitCode;

use crate::common::bars::{Bars, Figure};
use crate::common::machine;
use crate::contenders::Contender;
use crate::corpus::{NARROW, Track};
use crate::cost::Cost;
use crate::edges::Edges;
use crate::noise::Noise;
use crate::onnxruntime::Peer;
use crate::over_the_bot::{Interruptions, Scene};
use crate::report::Told;
use crate::scoring::Tally;

/// From which score on a frame counts as speech: every detector's default.
const THRESHOLD: f32 = 0.5;

/// Speech above noise, in decibels.
const SNRS_DB: [u8; 4] = [20, 10, 5, 0];

/// What a track is heard in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Surroundings {
    Clean,
    Noisy(Noise, u8),
}

impl Surroundings {
    fn all() -> Vec<Self> {
        let noisy = |noise| SNRS_DB.map(|snr_db| Self::Noisy(noise, snr_db));
        let noisy = Noise::ALL.into_iter().flat_map(noisy);
        std::iter::once(Self::Clean).chain(noisy).collect()
    }

    const fn snr_db(self) -> Option<u8> {
        match self {
            Self::Clean => None,
            Self::Noisy(_, snr_db) => Some(snr_db),
        }
    }
}

/// The corpus, and a minute of each noise.
struct Material {
    tracks: Vec<Track>,
    noises: Vec<Vec<f64>>,
}

impl Material {
    fn new(tracks: Vec<Track>) -> Self {
        let noises = Noise::ALL.into_iter().map(|noise| noise.make(&tracks)).collect();
        Self { tracks, noises }
    }

    fn heard(&self, track: &Track, surroundings: Surroundings) -> Vec<i16> {
        track.heard(match surroundings {
            Surroundings::Clean => None,
            Surroundings::Noisy(noise, snr_db) => {
                Some((&self.noises[noise as usize], f64::from(snr_db)))
            }
        })
    }
}

/// A detector's figures.
struct Row {
    contender: Contender,
    /// In each of [`Surroundings::all`].
    tallies: Vec<(Surroundings, Tally)>,
    cost: Cost,
}

impl Row {
    fn measure(contender: Contender, material: &Material) -> Self {
        let tallies = Surroundings::all()
            .into_iter()
            .map(|surroundings| {
                let mut tally = Tally::default();
                for track in &material.tracks {
                    let heard = material.heard(track, surroundings);
                    tally.add(track, &contender.scores(&heard), THRESHOLD);
                }
                (surroundings, tally)
            })
            .collect();
        Self { contender, tallies, cost: Cost::measure(contender, material) }
    }

    /// What was counted in every noise of that level, or without noise.
    fn tally(&self, snr_db: Option<u8>) -> Tally {
        let mut sum = Tally::default();
        let same = self.tallies.iter().filter(|(it, _)| it.snr_db() == snr_db);
        same.for_each(|(_, tally)| sum.merge(tally));
        sum
    }
}

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        trial::run();
        println!("every detector heard some seconds; `cargo bench` measures");
        return ExitCode::SUCCESS;
    }
    match machine::pin() {
        Some(core) => println!("pinned to core {core}; {}", machine::processor()),
        None => println!("could not pin to a core: times will be less steady"),
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let material = Material::new(corpus::tracks(root, NARROW));
    println!("{}", report::corpus_line(&material.tracks));
    let rows: Vec<Row> = Contender::ALL
        .iter()
        .map(|&contender| {
            let row = Row::measure(contender, &material);
            println!("{}", report::lines(&row));
            row
        })
        .collect();
    let edges: Vec<Edges> = Edges::all(&material);
    edges.iter().for_each(|edges| println!("{}", edges.line()));
    let interruptions = Interruptions::all(&material, &[None, Some(20), Some(10)]);
    interruptions.iter().for_each(|it| println!("{}", it.line()));
    let levels = cost::levels(&material);
    let peer = Peer::measure(root, &material);
    println!("{}", report::levels(&levels, peer.as_ref()));

    let bars = bars(&rows, &interruptions, &levels);
    println!("\n{bars}");
    let (held, all) = bars.count();
    println!("{held} of {all} bars hold");
    if cfg!(feature = "bench-peers") {
        let docs = root.join("docs");
        plots::draw(&docs, &rows).expect("the plots can be written");
        let told = Told { edges: &edges, interruptions: &interruptions };
        let figures = report::figures(&rows, &told, &levels, peer.as_ref(), &material, &bars);
        common::document::write(&docs.join("vad.md"), &figures).expect("docs/vad.md is there");
        println!("docs/vad.md and its plots have these figures");
    } else {
        println!("without the feature bench-peers: docs/vad.md stays as it is");
    }
    if bars.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bars(rows: &[Row], interruptions: &[Interruptions], levels: &[cost::OfLevel]) -> Bars {
    let row = |wanted| {
        let found = rows.iter().find(|row| row.contender == wanted);
        found.expect("each contender has a row")
    };
    let (silero, auto) = (row(Contender::Silero), row(Contender::Auto));
    let mut bars = Bars::default();
    let mut add = |name: &str, figure, limit| bars.add(name, Some(figure), limit);
    let at_10 = silero.tally(Some(10));
    let tenth = Figure::Share(0.1);
    add("silero, all noises at 10 dB, speech missed", Figure::Share(1.0 - at_10.recall()), tenth);
    add("silero, the same, false positives", Figure::Share(at_10.false_positives()), tenth);
    for snr_db in std::iter::once(None).chain(SNRS_DB.map(Some)) {
        let [auto, silero] = [auto, silero].map(|row| row.tally(snr_db).recall());
        let name = snr_db.map_or("clean".to_owned(), |snr_db| format!("all noises at {snr_db} dB"));
        let name = format!("auto, {name}, speech missed that silero does not miss");
        add(&name, Figure::Share(silero - auto), Figure::Share(0.01));
    }
    let in_quiet = || interruptions.iter().filter(|it| it.snr_db.is_none());
    let louder = Scene { bot_db: 11, echo_db: None };
    let over = in_quiet().find(|it| it.scene == louder).expect("each scene is measured");
    let name = "processor, over a bot 11 dB louder, callers missed";
    add(name, Figure::Share(over.missed_share()), Figure::Share(0.05));
    let invented = in_quiet().map(|it| it.invented as u64).sum();
    let name = "processor, the bot's echo by itself, told as speech";
    add(name, Figure::Count(invented), Figure::Count(0));
    let name = "auto, frame of 20 ms, half of the time silent";
    add(name, Figure::Nanoseconds(auto.cost.frame_ns), Figure::Nanoseconds(5_000.0));
    let best = levels.last().expect("there is a level");
    let name = "silero, its own frame of 32 ms";
    add(name, Figure::Nanoseconds(best.frame_ns), Figure::Nanoseconds(15_000.0));
    bars
}
