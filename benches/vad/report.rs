//! The figures as text: for the terminal, and for `docs/vad.md`.

use std::fmt::{self, Write as _};

use crate::common::bars::Bars;
use crate::common::{document, machine};
use crate::corpus::Track;
use crate::cost::OfLevel;
use crate::edges::Edges;
use crate::onnxruntime::Peer;
use crate::over_the_bot::Interruptions;
use crate::scoring::Tally;
use crate::{Material, Row, SNRS_DB, Surroundings, plots};

/// How much there is to listen to.
pub(crate) fn corpus_line(tracks: &[Track]) -> String {
    let cells: usize = tracks.iter().map(|track| track.labels.len()).sum();
    let speech = tracks.iter().flat_map(|track| &track.labels).filter(|label| **label).count();
    let pieces: usize = tracks.iter().map(|track| track.pieces().len()).sum();
    format!(
        "{} voices, {:.0} minutes in all, {:.0} % of it speech in {pieces} pieces",
        tracks.len(),
        cells as f64 / 6_000.0,
        100.0 * speech as f64 / cells as f64
    )
}

fn name(surroundings: Surroundings) -> String {
    match surroundings {
        Surroundings::Clean => "clean".to_owned(),
        Surroundings::Noisy(noise, snr_db) => format!("{}, {snr_db} dB", noise.name()),
    }
}

fn milliseconds(value: f64) -> String {
    if value.is_finite() { format!("{value:.0}") } else { "–".to_owned() }
}

/// A detector's figures for the terminal.
pub(crate) fn lines(row: &Row) -> String {
    let mut text = format!(
        "{}: {:.0} ns a frame of 20 ms, of {:.0} ns alone\n",
        row.contender.name(),
        row.cost.frame_ns,
        row.cost.alone_ns
    );
    let all = SNRS_DB.map(|snr_db| (format!("all, {snr_db} dB"), row.tally(Some(snr_db))));
    let single = row.tallies.iter().map(|(it, tally)| (name(*it), tally.clone()));
    for (name, tally) in single.chain(all) {
        writeln!(
            text,
            "  {name:<14}area {:.4}  precision {:.3}  recall {:.3}  false positives {:.3}  onset {} ms, {} ms",
            tally.area(),
            tally.precision(),
            tally.recall(),
            tally.false_positives(),
            milliseconds(tally.onset_ms(0.5)),
            milliseconds(tally.onset_ms(0.95)),
        )
        .expect("a string takes everything");
    }
    text
}

/// Silero's frame at each level, and in onnxruntime.
pub(crate) fn levels(levels: &[OfLevel], peer: Option<&Peer>) -> String {
    let best = levels.last().expect("there is a level").frame_ns;
    let ours = levels.iter().map(|it| (format!("{:?}", it.level), it.frame_ns));
    let theirs = peer.map(|peer| ("onnxruntime, one thread".to_owned(), peer.frame_ns));
    let mut text = String::new();
    for (name, frame_ns) in ours.chain(theirs) {
        let ratio = frame_ns / best;
        writeln!(
            text,
            "silero, 32 ms, {name}: {frame_ns:.0} ns, {ratio:.2} times the best level's"
        )
        .expect("a string takes everything");
    }
    if let Some(peer) = peer {
        writeln!(
            text,
            "silero at 10 dB, voices of 16 kHz: area {:.4} by its 8 kHz half, {:.4} by its 16 kHz half",
            peer.narrow_area, peer.wide_area
        )
        .expect("a string takes everything");
    }
    text
}

/// What the processor tells with its defaults.
pub(crate) struct Told<'a> {
    pub(crate) edges: &'a [Edges],
    pub(crate) interruptions: &'a [Interruptions],
}

/// The figures, as Markdown.
pub(crate) fn figures(
    rows: &[Row],
    told: &Told<'_>,
    levels: &[OfLevel],
    peer: Option<&Peer>,
    material: &Material,
    bars: &Bars,
) -> String {
    let mut text = String::new();
    write_figures(&mut text, rows, told, levels, peer, material, bars)
        .expect("a string takes everything");
    text
}

fn write_figures(
    text: &mut String,
    rows: &[Row],
    told: &Told<'_>,
    levels: &[OfLevel],
    peer: Option<&Peer>,
    material: &Material,
    bars: &Bars,
) -> fmt::Result {
    let machine = machine::processor();
    writeln!(text, "\nMeasured by `make bench-vad` on {machine}, one core of it: ")?;
    text.pop();
    text.pop();
    writeln!(text, " {}.\n", corpus_line(&material.tracks))?;
    text.push_str(&document::bars(bars));

    writeln!(text, "### All noises together\n")?;
    head(text, "speech above noise")?;
    for snr_db in std::iter::once(None).chain(SNRS_DB.map(Some)) {
        let place = snr_db.map_or("no noise".to_owned(), |snr_db| format!("{snr_db} dB"));
        for row in rows {
            line(text, &place, row, &row.tally(snr_db))?;
        }
    }
    writeln!(text, "\n![{}](vad-curves.svg)\n", plots::CURVES_TEXT)?;

    writeln!(text, "### Each noise\n")?;
    head(text, "noise")?;
    for (n, (surroundings, _)) in rows[0].tallies.iter().enumerate().skip(1) {
        for row in rows {
            line(text, &name(*surroundings), row, &row.tallies[n].1)?;
        }
    }
    writeln!(text, "\n![{}](vad-noise.svg)\n", plots::AREAS_TEXT)?;

    write_told(text, told)?;

    writeln!(text, "\n### Cost\n")?;
    writeln!(text, "| detector | ns per frame of 20 ms, 200 calls in turn | one call alone |")?;
    writeln!(text, "|---|--:|--:|")?;
    for row in rows {
        let (name, cost) = (row.contender.name(), row.cost);
        writeln!(text, "| {name} | {:.0} | {:.0} |", cost.frame_ns, cost.alone_ns)?;
    }
    writeln!(text, "\n| Silero's own frame, of 32 ms | ns | to the best |")?;
    writeln!(text, "|---|--:|--:|")?;
    let best = levels.last().expect("there is a level").frame_ns;
    for it in levels {
        let ratio = it.frame_ns / best;
        writeln!(text, "| ours, {:?} | {:.0} | {ratio:.2} × |", it.level, it.frame_ns)?;
    }
    if let Some(peer) = peer {
        let ratio = peer.frame_ns / best;
        writeln!(text, "| onnxruntime, one thread | {:.0} | {ratio:.2} × |", peer.frame_ns)?;
        writeln!(text, "\n### Its two halves\n")?;
        writeln!(text, "| voices of 16 kHz, all noises at 10 dB | area |\n|---|--:|")?;
        writeln!(text, "| 8 kHz half, resampled to that | {:.4} |", peer.narrow_area)?;
        writeln!(text, "| 16 kHz half | {:.4} |", peer.wide_area)?;
    }
    writeln!(text)
}

fn write_told(text: &mut String, told: &Told<'_>) -> fmt::Result {
    writeln!(text, "### The processor with its defaults\n")?;
    writeln!(
        text,
        "| heard | pieces | missed | invented a minute | begin off ms, p50 | p95 | end off ms, p50 | p95 | told after ms, \
         p50 | p95 |"
    )?;
    writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for it in told.edges {
        let [p50, p95] = [0.5, 0.95].map(|quantile| it.quantiles(quantile).map(milliseconds));
        let invented = 60.0 * it.invented as f64 / it.seconds;
        let (name, pieces, missed) = (it.name(), it.pieces, it.missed);
        write!(text, "| {name} | {pieces} | {missed} | {invented:.2} |")?;
        for (p50, p95) in p50.iter().zip(&p95) {
            write!(text, " {p50} | {p95} |")?;
        }
        writeln!(text)?;
    }

    writeln!(text, "\n### The processor while the bot speaks\n")?;
    writeln!(
        text,
        "| bot | noise | callers | missed | told after ms, p50 | p90 | p95 | invented a minute |"
    )?;
    writeln!(text, "|---|---|--:|--:|--:|--:|--:|--:|")?;
    for it in told.interruptions {
        let [p50, p90, p95] = [0.5, 0.9, 0.95].map(|quantile| milliseconds(it.delay_ms(quantile)));
        let (noise, invented) = (it.noise(), it.invented_a_minute());
        let Interruptions { scene, pieces, missed, .. } = it;
        writeln!(
            text,
            "| {scene} | {noise} | {pieces} | {missed} | {p50} | {p90} | {p95} | {invented:.2} |"
        )?;
    }
    Ok(())
}

fn head(text: &mut String, what: &str) -> fmt::Result {
    writeln!(
        text,
        "| {what} | detector | AUC | precision | recall | false positives | onset ms, p50 | p95 |"
    )?;
    writeln!(text, "|---|---|--:|--:|--:|--:|--:|--:|")
}

fn line(text: &mut String, place: &str, row: &Row, tally: &Tally) -> fmt::Result {
    writeln!(
        text,
        "| {place} | {} | {:.4} | {:.3} | {:.3} | {:.3} | {} | {} |",
        row.contender.name(),
        tally.area(),
        tally.precision(),
        tally.recall(),
        tally.false_positives(),
        milliseconds(tally.onset_ms(0.5)),
        milliseconds(tally.onset_ms(0.95)),
    )
}
