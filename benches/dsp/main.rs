//! Speed and quality of `dsp`, ours and others', for `make bench-dsp`.
//!
//! Prints criterion's figures, then one line per bar: name, figure, limit, `ok` or `short`; ends
//! with code 0 only if every bar holds. Together with the C libraries (feature `bench-peers`) it
//! also writes the figures of `docs/dsp.md` and its plots. The ratios of the bars are not
//! criterion's, which measures one function after the other: see [`timing::ratio`].
//!
//! Without `--bench`, as `cargo test` runs it, every function is called once, nothing is timed and
//! nothing is written.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect stops")]

#[path = "../common/mod.rs"]
mod common;
mod companding;
mod document;
#[cfg(feature = "bench-peers")]
mod native;
mod opus;
mod plots;
mod resamplers;
mod rows;
mod timing;

use std::path::Path;
use std::process::ExitCode;

use sidetone::dsp::resample::Quality;
use sidetone::dsp::spectrum::Converter;

use crate::common::machine;
use crate::companding::Law;
use crate::resamplers::Kind;
use crate::rows::{Bench, HIGH, VOICE, WITHOUT_BARS};
use crate::timing::{Caches, Contender};

fn main() -> ExitCode {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let speech = speech();
    if !is_bench {
        timing::shrink_pools();
        try_each(speech);
        println!("every function was called; `cargo bench` measures");
        return ExitCode::SUCCESS;
    }
    match machine::pin() {
        Some(core) => println!("pinned to core {core}; {}", document::machine()),
        None => println!("could not pin to a core: figures will be less steady"),
    }
    let mut bench = Bench::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion"));
    let [others, _] = opus::decoders(speech);
    timing::cool_with(others);
    bench.companding(speech);
    for pair in VOICE {
        bench.resampling(pair, Quality::Voice, true, speech);
    }
    for pair in HIGH {
        bench.resampling(pair, Quality::High, true, speech);
    }
    for quality in [Quality::Voice, Quality::High] {
        for pair in WITHOUT_BARS {
            bench.resampling(pair, quality, false, speech);
        }
    }
    bench.opus(speech);

    println!("\n{}", bench.bars);
    let (held, all) = bench.bars.count();
    println!("{held} of {all} bars hold");
    if cfg!(feature = "bench-peers") {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        plots::draw(&docs).expect("the plots can be written");
        let figures = document::figures(&bench.rows, &bench.bars);
        common::document::write(&docs.join("dsp.md"), &figures)
            .expect("docs/dsp.md can be written");
        println!("docs/dsp.md and its plots have these figures");
    } else {
        println!("without the feature bench-peers: docs/dsp.md stays as it is");
    }
    if bench.bars.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Five seconds of speech, whatever rate it is taken to have.
fn speech() -> &'static [i16] {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/speech-16k.wav");
    let samples: Result<Vec<i16>, _> =
        hound::WavReader::open(path).unwrap().into_samples().collect();
    samples.unwrap().leak()
}

/// Every function at least once, with what can be said of it without a clock.
fn try_each(speech: &'static [i16]) {
    let run = |contender: &mut Contender| {
        for caches in Caches::BOTH {
            contender.run(caches, 8);
        }
    };
    for law in Law::BOTH {
        companding::encoders(law, speech).iter_mut().for_each(run);
        companding::decoders(law, speech).iter_mut().for_each(run);
    }
    companding::swaps(speech).iter_mut().for_each(run);
    run(&mut companding::copy(speech));
    opus::encoders(speech).iter_mut().for_each(run);
    opus::decoders(speech).iter_mut().for_each(run);
    for quality in [Quality::Voice, Quality::High] {
        let (from, to) = HIGH[0];
        for kind in Kind::field(quality) {
            run(&mut rows::resampler(kind, from, to, speech));
            let gain = Converter::new(from, to, kind.function(from, to)).gains_db(&[1_000.0])[0];
            // dasp's sinc loses more than one decibel.
            assert!(gain.abs() < 2.0, "{}: {gain} dB at 1 kHz", kind.name());
        }
    }
    let document = include_str!("../../docs/dsp.md");
    assert!(common::document::replaced(document, "").is_some(), "docs/dsp.md lacks its markers");
}
