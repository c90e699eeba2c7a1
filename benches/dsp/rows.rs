//! The measurements: each row's times, bars and figures.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use sidetone::audio::SampleRate;
use sidetone::dsp::resample::Quality;
use sidetone::dsp::spectrum::{Bands, Converter, Figures};

use crate::common::bars::{Bars, Figure};
use crate::companding::{self, Law};
use crate::opus;
use crate::resamplers::{Kind, ROOM_FRAMES, frame_samples};
use crate::timing::{Caches, Contender, Place, cooled_ns, ratio};

/// The pairs of rates that have bars at `voice`.
pub(crate) const VOICE: [(SampleRate, SampleRate); 8] = [
    (SampleRate::HZ_8000, SampleRate::HZ_16000),
    (SampleRate::HZ_16000, SampleRate::HZ_8000),
    (SampleRate::HZ_8000, SampleRate::HZ_24000),
    (SampleRate::HZ_24000, SampleRate::HZ_8000),
    (SampleRate::HZ_8000, SampleRate::HZ_48000),
    (SampleRate::HZ_48000, SampleRate::HZ_8000),
    (SampleRate::HZ_16000, SampleRate::HZ_24000),
    (SampleRate::HZ_24000, SampleRate::HZ_16000),
];

/// Those that have bars at `high` too.
pub(crate) const HIGH: [(SampleRate, SampleRate); 2] =
    [(SampleRate::HZ_8000, SampleRate::HZ_16000), (SampleRate::HZ_16000, SampleRate::HZ_8000)];

/// Pairs that are measured at both qualities without a bar.
pub(crate) const WITHOUT_BARS: [(SampleRate, SampleRate); 5] = [
    (SampleRate::HZ_16000, SampleRate::HZ_48000),
    (SampleRate::HZ_48000, SampleRate::HZ_16000),
    (SampleRate::HZ_8000, SampleRate::HZ_44100),
    (SampleRate::HZ_44100, SampleRate::HZ_8000),
    (SampleRate::HZ_44100, SampleRate::HZ_48000),
];

/// One function's times for a frame, in nanoseconds.
pub(crate) struct Times {
    pub(crate) name: String,
    pub(crate) hot_ns: f64,
    pub(crate) cooled_ns: f64,
    pub(crate) state_bytes: usize,
}

/// A row of functions that do the same, ours first.
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) times: Vec<Times>,
    /// What each resampler does to audio, and its delay in seconds.
    pub(crate) audio: Vec<(Figures, f64)>,
}

/// Where measurements go.
pub(crate) struct Bench {
    criterion: Criterion,
    /// Where criterion leaves its estimates.
    folder: PathBuf,
    pub(crate) bars: Bars,
    pub(crate) rows: Vec<Row>,
}

impl Bench {
    pub(crate) fn new(folder: &Path) -> Self {
        let criterion = Criterion::default()
            .without_plots()
            .output_directory(folder)
            .sample_size(20)
            .nresamples(2_000)
            .warm_up_time(Duration::from_millis(40))
            .measurement_time(Duration::from_millis(120));
        Self { criterion, folder: folder.to_owned(), bars: Bars::default(), rows: Vec::new() }
    }

    /// Times of each contender, medians: hot by criterion, cooled by our own clock.
    fn times(&mut self, title: &str, contenders: &mut [Contender]) -> Vec<Times> {
        let group_name = file_name(title);
        let mut group = self.criterion.benchmark_group(&group_name);
        for contender in &mut *contenders {
            group.bench_function(file_name(&contender.name), |bencher| {
                bencher.iter_custom(|frames| contender.run(Caches::Hot, frames));
            });
        }
        group.finish();
        let hot = |contender: &Contender| {
            let path = self.folder.join(&group_name).join(file_name(&contender.name));
            let text = fs::read(path.join("new/estimates.json")).expect("criterion leaves it");
            let estimates: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            estimates["median"]["point_estimate"].as_f64().expect("a number")
        };
        let cooled = cooled_ns(contenders);
        let times = |(contender, cooled_ns): (&Contender, f64)| Times {
            name: contender.name.clone(),
            hot_ns: hot(contender),
            cooled_ns,
            state_bytes: contender.state_bytes,
        };
        contenders.iter().zip(cooled).map(times).collect()
    }

    /// G.711, held against the crates and, decoding, a copy; and L16, held against a copy.
    pub(crate) fn companding(&mut self, speech: &'static [i16]) {
        let mut copy = companding::copy(speech);
        for law in Law::BOTH {
            for decode in [false, true] {
                let title =
                    format!("G.711 {} {}", law.name(), if decode { "decode" } else { "encode" });
                let make = if decode { companding::decoders } else { companding::encoders };
                let mut contenders = make(law, speech);
                let (ours, crates) = contenders.split_first_mut().expect("ours is the first");
                for caches in Caches::BOTH {
                    // To the fastest of several the ratio is the largest.
                    let ratios = crates.iter_mut().map(|peer| ratio(ours, peer, caches));
                    let ratio_to_fastest = ratios.reduce(f64::max).expect("there are crates");
                    let name = format!("{title}, {}, to the fastest crate", caches.name());
                    self.bars.add(name, Some(Figure::Ratio(ratio_to_fastest)), Figure::Ratio(0.4));
                    if decode {
                        let name = format!("{title}, {}, to memcpy", caches.name());
                        let to_copy = ratio(ours, &mut copy, caches);
                        self.bars.add(name, Some(Figure::Ratio(to_copy)), Figure::Ratio(4.0));
                    }
                }
                let times = self.times(&title, &mut contenders);
                self.rows.push(Row { title, times, audio: Vec::new() });
            }
        }
        let mut contenders = Vec::from(companding::swaps(speech));
        for swap in &mut contenders {
            for caches in Caches::BOTH {
                let name = format!("{}, {}, to memcpy", swap.name, caches.name());
                let to_copy = ratio(swap, &mut copy, caches);
                self.bars.add(name, Some(Figure::Ratio(to_copy)), Figure::Ratio(2.0));
            }
        }
        contenders.push(copy);
        let title = "L16, and a copy of as much".to_owned();
        let times = self.times(&title, &mut contenders);
        self.rows.push(Row { title, times, audio: Vec::new() });
    }

    /// Opus, held against libopus without our wrapper.
    pub(crate) fn opus(&mut self, speech: &'static [i16]) {
        for (title, mut contenders) in [
            ("Opus encode, 16 kHz", opus::encoders(speech)),
            ("Opus decode, 16 kHz", opus::decoders(speech)),
        ] {
            let [ours, raw] = &mut contenders;
            for caches in Caches::BOTH {
                let name = format!("{title}, {}, to libopus", caches.name());
                let overhead = ratio(ours, raw, caches);
                self.bars.add(name, Some(Figure::Ratio(overhead)), Figure::Ratio(1.03));
            }
            let times = self.times(title, &mut contenders);
            self.rows.push(Row { title: title.to_owned(), times, audio: Vec::new() });
        }
    }

    /// One pair of rates at one quality.
    pub(crate) fn resampling(
        &mut self,
        (from, to): (SampleRate, SampleRate),
        quality: Quality,
        has_bars: bool,
        speech: &'static [i16],
    ) {
        let mut field = Kind::field(quality);
        if !HIGH.contains(&(from, to)) {
            field.retain(|kind| !kind.takes_its_time());
        }
        let mut contenders: Vec<Contender> =
            field.iter().map(|&kind| resampler(kind, from, to, speech)).collect();
        let name = format!("{quality:?}").to_lowercase();
        let title = format!("{} → {} kHz {name}", kilohertz(from), kilohertz(to));
        if has_bars {
            self.resampling_time_bars(&title, quality, &field, &mut contenders);
        }
        let times = self.times(&title, &mut contenders);
        drop(contenders);
        let audio: Vec<_> = field.iter().map(|&kind| audio(kind, from, to)).collect();
        if has_bars {
            self.resampling_audio_bars(&title, quality, &audio[0]);
        }
        self.rows.push(Row { title, times, audio });
    }

    fn resampling_time_bars(
        &mut self,
        title: &str,
        quality: Quality,
        field: &[Kind],
        contenders: &mut [Contender],
    ) {
        let (ours, peers) = contenders.split_first_mut().expect("ours is the first");
        let mut against = |what: &str, peer: Option<usize>, limit: f64| {
            for caches in Caches::BOTH {
                let figure = peer.map(|n| Figure::Ratio(ratio(ours, &mut peers[n - 1], caches)));
                let name = format!("{title}, {}, to {what}", caches.name());
                self.bars.add(name, figure, Figure::Ratio(limit));
            }
        };
        let is_first = title.starts_with("8 → 16");
        let place = |name: &str| field.iter().position(|kind| kind.name() == name);
        match quality {
            Quality::Voice => {
                let limit = if is_first { 0.2 } else { 0.25 };
                against("speexdsp q5", place("speexdsp q5"), limit);
                if is_first {
                    against("audio-codec", place("audio-codec"), 1.0);
                }
            }
            Quality::High => against("speexdsp q10", place("speexdsp q10"), 0.1),
        }
    }

    fn resampling_audio_bars(&mut self, title: &str, quality: Quality, audio: &(Figures, f64)) {
        let (figures, delay_s) = audio;
        let mut add = |name: &str, figure, limit| {
            self.bars.add(format!("{title}, {name}"), Some(figure), limit);
        };
        let decibels = Figure::Decibels;
        let (images, edge) = match quality {
            Quality::Voice => (-70.0, -60.0),
            Quality::High => (-95.0, -95.0),
        };
        if quality == Quality::Voice {
            add("delay", Figure::Milliseconds(1e3 * delay_s), Figure::Milliseconds(4.0));
            add("THD+N at 1 kHz", decibels(figures.thd_n_db), decibels(-80.0));
        }
        add("ripple", decibels(figures.ripple_db), decibels(0.1));
        add("images and aliases", decibels(figures.images_db), decibels(images));
        add("images and aliases of the edge", decibels(figures.edge_images_db), decibels(edge));
    }
}

/// A resampler for the measurement of times: each call has a frame of its own.
pub(crate) fn resampler(
    kind: Kind,
    from: SampleRate,
    to: SampleRate,
    speech: &'static [i16],
) -> Contender {
    let samples = frame_samples(from);
    let frames = speech.len() / samples;
    let input = |call| speech[call % frames * samples..][..samples].to_vec();
    let frame = frame_samples(to);
    let place = Place { frame, room: ROOM_FRAMES * frame };
    let build = || kind.build(from, to);
    Contender::new(&kind.name(), build, input, place, |resampler, input, output| {
        black_box(resampler.process(input, output));
    })
}

/// What a resampler does to audio, and its delay in seconds.
fn audio(kind: Kind, from: SampleRate, to: SampleRate) -> (Figures, f64) {
    let delay_s = Converter::new(from, to, kind.function(from, to)).delay_s();
    let mut converter = Converter::new(from, to, kind.function(from, to));
    (converter.figures(&Bands::between(from, to)), delay_s)
}

pub(crate) fn kilohertz(rate: SampleRate) -> String {
    (f64::from(rate.hz()) / 1e3).to_string()
}

/// `title` as criterion may name a folder.
fn file_name(title: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    title.replace('µ', "u").replace(" → ", "-").replace(", ", " ").chars().map(letter).collect()
}
