//! The figures in `docs/dsp.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use crate::bars::Bars;
use crate::plots;
use crate::rows::Row;
use crate::timing::POOL_BYTES;

/// What stands around the generated part.
const MARKERS: [&str; 2] = ["<!-- figures -->\n", "<!-- end of figures -->"];

/// Puts the figures between the markers of the document at `path`.
pub(crate) fn write(path: &Path, rows: &[Row], bars: &Bars) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let figures = figures(rows, bars);
    let text = replaced(&text, &figures)
        .ok_or_else(|| io::Error::other(format!("{} lacks its markers", path.display())))?;
    fs::write(path, text)
}

/// `text` with `figures` between its markers. None where it does not have them.
pub(crate) fn replaced(text: &str, figures: &str) -> Option<String> {
    let (head, rest) = text.split_once(MARKERS[0])?;
    let (_, tail) = rest.split_once(MARKERS[1])?;
    Some(format!("{head}{}{figures}{}{tail}", MARKERS[0], MARKERS[1]))
}

fn figures(rows: &[Row], bars: &Bars) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line("");
    line(&format!("Measured by `make bench-dsp` on {}.", machine()));
    line("");
    line("### Bars");
    line("");
    let (held, all) = bars.count();
    line(&format!("{held} of {all} hold."));
    line("");
    line("| bar | figure | limit | |");
    line("|---|--:|--:|---|");
    for row in bars.rows() {
        line(&format!("| {} |", row.join(" | ")));
    }
    line("");
    line("### Codecs, ns per frame of 20 ms");
    line("");
    line("| function | by | hot | cooled |");
    line("|---|---|--:|--:|");
    for row in rows.iter().filter(|row| row.audio.is_empty()) {
        for times in &row.times {
            let (hot, cooled) = (nanoseconds(times.hot_ns), nanoseconds(times.cooled_ns));
            line(&format!("| {} | {} | {hot} | {cooled} |", row.title, times.name));
        }
    }
    line("");
    line("### Resamplers, per frame of 20 ms");
    for row in rows.iter().filter(|row| !row.audio.is_empty()) {
        line("");
        line(&format!("#### {}", row.title));
        line("");
        line(&resamplers(row));
    }
    line("### Plots");
    line("");
    let [response, images] = plots::alternative_text();
    line(&format!("![{response}](dsp-response.svg)"));
    line("");
    line(&format!("![{images}](dsp-images.svg)"));
    line("");
    text
}

fn resamplers(row: &Row) -> String {
    let mut text = String::from(
        "| resampler | ns hot | ns cooled | bytes of state | delay ms | ripple dB | images dB | \
         edge dB | THD+N dB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (times, (figures, delay_s)) in row.times.iter().zip(&row.audio) {
        writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} | {:.3} | {:.1} | {:.1} | {:.1} |",
            times.name,
            nanoseconds(times.hot_ns),
            nanoseconds(times.cooled_ns),
            times.state_bytes,
            1e3 * delay_s,
            figures.ripple_db,
            figures.images_db,
            figures.edge_images_db,
            figures.thd_n_db,
        )
        .expect("a string takes everything");
    }
    text
}

/// Three digits that mean something; below 10, two.
fn nanoseconds(value: f64) -> String {
    if value < 99.95 {
        return format!("{value:.1}");
    }
    let unit = 10_f64.powf(value.log10().floor() - 2.0);
    format!("{:.0}", (value / unit).round() * unit)
}

/// The processor and the versions of what is linked.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("a processor without a name", |(_, model)| model);
    format!(
        "{model} ({:?}), one core of it, {}; pools of {} MiB",
        sidetone::dsp::simd::Level::best(),
        sidetone::dsp::opus::version(),
        POOL_BYTES >> 20
    )
}
