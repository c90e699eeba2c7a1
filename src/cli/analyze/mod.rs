//! `sidetone analyze`: the RTP of a capture, run through the real engine.
//!
//! The capture is read twice: once to find its streams, once to play them, each into an engine of
//! its own, by the capture's clock. Nothing waits: an hour of calls takes seconds.

mod capture;
mod formats;
mod headers;
mod plot;
mod replay;
mod report;
mod streams;
mod transit;
mod wav;

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

use self::capture::CaptureError;
use self::formats::{Assignment, Formats};
use self::plot::Panel;
use self::replay::{Replay, Replayed};
use self::report::{Report, StreamReport, WavReport};
use self::streams::{Found, Key, Stream};
use self::transit::Spread;
use self::wav::WavFile;
use crate::audio::MediaFormat;
use crate::engine::Epoch;
use crate::processor::recorder::RecorderFactory;
use crate::processor::{Pipeline, Registry};
use crate::runtime::Clock;

/// Streams that are played at a time, each with a file open; the capture is read once for so many.
const BATCH: usize = 256;

/// Latest wall-clock time that a capture is believed, in seconds since the Unix epoch: the year
/// 36812.
const MAX_UNIX_SECONDS: u64 = 1 << 40;

const PIPELINE: &str = "analyze";

/// Run the RTP of a capture through the engine: statistics, decoded audio, plots
///
/// Reads pcap (µs and ns, either byte order) and pcapng, over Ethernet (VLAN tags too), Linux cooked
/// captures, loopback or bare IP, version 4 and 6. Of UDP only: AudioSocket, which is TCP, is not
/// looked at, and neither are IP fragments. Encrypted audio (SRTP) is not recognised as such and
/// decodes to noise.
///
/// Nothing is written without --wav or --plot.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct AnalyzeArgs {
    /// Capture (pcap or pcapng, not compressed)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What a payload type carries, such as 111=opus; may be given several times
    ///
    /// Known without it are the static payload types (0 ulaw, 8 alaw, 9 g722) and Asterisk's numbers
    /// (10 and 11 slin, 107 opus, 118 slin16, …). FORMAT is one of ulaw, alaw, g722, opus, slin,
    /// slin12 … slin96, cn, telephone-event.
    #[arg(long = "format", value_name = "PT=FORMAT")]
    pub formats: Vec<Assignment>,
    /// Folder for the decoded audio, one WAV file per stream; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub wav: Option<PathBuf>,
    /// Plots of transit delay and losses: a name that ends in .svg for one image of all streams, else
    /// a folder for an image per stream
    #[arg(long, value_name = "DIR|FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Why there are no figures.
#[derive(Debug, Error)]
enum AnalyzeError {
    #[error("{0}")]
    Capture(#[from] CaptureError),
    #[error("{}: no RTP over UDP was found in {frames} frames and {datagrams} UDP datagrams{}", path.display(), listed(notes))]
    NoRtp { path: PathBuf, frames: u64, datagrams: u64, notes: Vec<String> },
    #[error("cannot make the folder {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot draw {}: {source}", path.display())]
    Draw { path: PathBuf, source: Box<dyn Error> },
}

fn listed(notes: &[String]) -> String {
    notes.iter().map(|note| format!("\nNOTE  {note}")).collect()
}

/// Runs the analysis. The figures go to standard output. Exit code 1 where there are none, or a file
/// cannot be written.
pub(super) fn run(arguments: &AnalyzeArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = match analyze(arguments) {
        Ok(report) if arguments.json => report.write_json(&mut out),
        Ok(report) => report.write_text(&mut out),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn analyze(arguments: &AnalyzeArgs) -> Result<Report, AnalyzeError> {
    let AnalyzeArgs { file, formats, wav, plot, .. } = arguments;
    let formats = Formats::new(formats);
    let found = streams::find(file, &formats)?;
    if found.streams.is_empty() {
        return Err(AnalyzeError::NoRtp {
            path: file.clone(),
            frames: found.contents.frames,
            datagrams: found.contents.datagrams,
            notes: report::notes(&found),
        });
    }
    let folders = [wav.as_deref(), plot.as_deref().filter(|path| !is_svg(path))];
    for path in folders.into_iter().flatten() {
        fs::create_dir_all(path)
            .map_err(|source| AnalyzeError::Directory { path: path.to_owned(), source })?;
    }
    let reports = (1..).zip(&found.streams);
    let mut reports: Vec<_> =
        reports.map(|(number, stream)| StreamReport::new(number, stream, &formats)).collect();
    let mut panels = Vec::new();
    let decoded = found.streams.iter().enumerate();
    let decoded: Vec<_> =
        decoded.filter_map(|(index, stream)| Some((index, stream, stream.format?))).collect();
    for batch in decoded.chunks(BATCH) {
        for (index, replayed, wav) in play(arguments, &formats, &found, batch)? {
            let report = &mut reports[index];
            report.transit_ms = Spread::of(&replayed.arrivals);
            report.wav = wav;
            if plot.is_some() {
                panels.push((index, Panel::new(&report.title(), &replayed)));
            }
            report.stats = Some(replayed.stats);
        }
    }
    if let Some(plot) = plot {
        for (index, path) in draw(plot, arguments, &found.streams, &panels)? {
            reports[index].plot = Some(path);
        }
    }
    Ok(Report::new(file.clone(), &found, reports))
}

/// A stream that was played: its index, what the engine made of it, and its audio.
type Played = (usize, Replayed, Option<WavReport>);

/// Plays streams, each into its engine.
fn play(
    arguments: &AnalyzeArgs,
    formats: &Formats,
    found: &Found,
    batch: &[(usize, &Stream, MediaFormat)],
) -> Result<Vec<Played>, AnalyzeError> {
    let mut replays: HashMap<Key, (Duration, Replay<'_>)> = HashMap::new();
    let mut files = Vec::new();
    let instant = Clock::new().now();
    for &(index, stream, format) in batch {
        let rate = replay::settings().rate_of(format);
        let file = match &arguments.wav {
            Some(folder) => {
                let path = folder.join(name(arguments, index, stream, "wav"));
                let file = WavFile::create(&path, rate);
                Some(file.map_err(|source| AnalyzeError::Write { path, source })?)
            }
            None => None,
        };
        let wall = found.contents.start.min(Duration::from_secs(MAX_UNIX_SECONDS)) + stream.first;
        let epoch = Epoch { instant, wall };
        let replay = Replay::new(stream, format, formats, pipeline(file.clone()), epoch);
        replays.insert(stream.key, (stream.first, replay));
        files.push((rate, file));
    }
    streams::each_packet(&arguments.file, |at, key, packet, datagram| {
        if let Some((first, replay)) = replays.get_mut(&key) {
            replay.feed(at.saturating_sub(*first), packet, datagram);
        }
    })?;
    let mut played = Vec::new();
    for (&(index, stream, _), (rate, file)) in batch.iter().zip(files) {
        let Some((_, replay)) = replays.remove(&stream.key) else { continue };
        let replayed = replay.finish();
        let wav = match file {
            Some(file) => {
                let path = file.path().to_owned();
                let written = file.finish();
                let written =
                    written.map_err(|source| AnalyzeError::Write { path: path.clone(), source })?;
                let duration = rate.duration_of(written.samples);
                Some(WavReport { path, duration, beyond_samples: written.beyond })
            }
            None => None,
        };
        played.push((index, replayed, wav));
    }
    Ok(played)
}

/// The recorder into `file`; nothing at all without one.
fn pipeline(file: Option<WavFile>) -> Pipeline {
    let mut registry = Registry::default();
    let mut processors = Vec::new();
    if let Some(file) = file {
        registry.add_processor("recorder", Arc::new(RecorderFactory::new(Arc::new(file))));
        processors.push("recorder");
    }
    registry.add_pipeline(PIPELINE, &processors).expect("the processor was added");
    registry.pipeline(PIPELINE).expect("the pipeline was added")
}

/// Writes the plots, and answers where each stream's is.
fn draw(
    plot: &Path,
    arguments: &AnalyzeArgs,
    streams: &[Stream],
    panels: &[(usize, Panel)],
) -> Result<Vec<(usize, PathBuf)>, AnalyzeError> {
    let write = |path: &Path, panels: &[&Panel]| {
        let svg = plot::draw(panels)
            .map_err(|source| AnalyzeError::Draw { path: path.to_owned(), source })?;
        fs::write(path, svg).map_err(|source| AnalyzeError::Write { path: path.to_owned(), source })
    };
    if panels.is_empty() {
        return Ok(Vec::new());
    }
    if is_svg(plot) {
        write(plot, &panels.iter().map(|(_, panel)| panel).collect::<Vec<_>>())?;
        return Ok(panels.iter().map(|(index, _)| (*index, plot.to_owned())).collect());
    }
    let one = |(index, panel): &(usize, Panel)| {
        let path = plot.join(name(arguments, *index, &streams[*index], "svg"));
        write(&path, &[panel])?;
        Ok((*index, path))
    };
    panels.iter().map(one).collect()
}

/// The name of a stream's file: that of the capture, the stream's number and its SSRC.
fn name(arguments: &AnalyzeArgs, index: usize, stream: &Stream, extension: &str) -> String {
    let capture = arguments.file.file_stem().unwrap_or_default().to_string_lossy();
    format!("{capture}-{}-{:08x}.{extension}", index + 1, stream.key.ssrc.0)
}

fn is_svg(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}
