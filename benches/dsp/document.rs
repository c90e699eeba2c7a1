//! The figures in `docs/dsp.md`.

use std::fmt::Write as _;

use crate::common::bars::Bars;
use crate::common::document;
use crate::common::machine::processor;
use crate::plots;
use crate::rows::Row;
use crate::timing::POOL_BYTES;

/// The figures, as Markdown.
pub(crate) fn figures(rows: &[Row], bars: &Bars) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line("");
    line(&format!("Measured by `make bench-dsp` on {}.", machine()));
    line("");
    line(document::bars(bars).trim_end());
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
    format!(
        "{} ({:?}), one core of it, {}; pools of {} MiB",
        processor(),
        sidetone::dsp::simd::Level::best(),
        sidetone::dsp::opus::version(),
        POOL_BYTES >> 20
    )
}
