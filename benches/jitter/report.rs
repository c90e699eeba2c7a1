//! The figures as text: for the terminal, and for `docs/jitter.md`.

use std::fmt::{self, Write as _};

use crate::common::bars::Bars;
use crate::common::{document, machine};
use crate::concealment::{FILLINGS, Lossy};
use crate::{Buffer, Row, plots};

/// A trace's figures for the terminal.
pub(crate) fn lines(row: &Row) -> String {
    let mut text = String::new();
    write_lines(&mut text, row).expect("a string takes everything");
    text
}

fn write_lines(text: &mut String, row: &Row) -> fmt::Result {
    writeln!(text, "{}", row.plan.name)?;
    for ((buffer, outcome), cpu_ns) in Buffer::ALL.into_iter().zip(&row.outcomes).zip(row.cpu_ns) {
        writeln!(
            text,
            "  {:<14}mean {:8.2} ms  p95 {:7.1} ms  concealed {:7.3} %  stretched {:7.3} %  missing {:7.3} %  \
             disordered {:6}  {cpu_ns:7.0} ns",
            buffer.name(),
            outcome.mean_ms,
            outcome.p95_ms,
            100.0 * outcome.concealed,
            100.0 * outcome.stretched,
            100.0 * outcome.missing,
            outcome.disordered,
        )?;
    }
    if row.plan.drift_ppm != 0.0 {
        for (buffer, outcome) in Buffer::ALL.into_iter().zip(&row.outcomes) {
            let (name, first, last) = (buffer.name(), outcome.first_ms, outcome.last_ms);
            write!(text, "  {name:<14}first minute {first:.1} ms, last minute {last:.1} ms")?;
            if let Some([first, last]) = outcome.ahead_ms {
                write!(text, "; ahead of the clock {first:.1} ms, {last:.1} ms")?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

/// The figures, as Markdown.
pub(crate) fn figures(rows: &[Row], lossy: &[Lossy], bars: &Bars) -> String {
    let mut text = String::new();
    write_figures(&mut text, rows, lossy, bars).expect("a string takes everything");
    text
}

fn write_figures(text: &mut String, rows: &[Row], lossy: &[Lossy], bars: &Bars) -> fmt::Result {
    writeln!(
        text,
        "\nMeasured by `make bench-jitter` on {}, one core of it.\n",
        machine::processor()
    )?;
    text.push_str(&document::bars(bars));
    writeln!(text, "### Traces\n")?;
    for row in rows {
        writeln!(text, "#### {}\n", row.plan.name)?;
        writeln!(
            text,
            "| buffer | mean delay ms | p95 ms | concealed % | stretched % | missing % | out of order | ns per packet |"
        )?;
        writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|")?;
        for ((buffer, it), cpu_ns) in Buffer::ALL.into_iter().zip(&row.outcomes).zip(row.cpu_ns) {
            writeln!(
                text,
                "| {} | {:.2} | {:.1} | {:.3} | {:.3} | {:.3} | {} | {cpu_ns:.0} |",
                buffer.name(),
                it.mean_ms,
                it.p95_ms,
                100.0 * it.concealed,
                100.0 * it.stretched,
                100.0 * it.missing,
                it.disordered,
            )?;
        }
        writeln!(text)?;
    }
    writeln!(text, "### Two hours of drift\n")?;
    writeln!(
        text,
        "| trace | buffer | delay, first minute, ms | last minute | ahead of the clock, first minute, ms | last minute |"
    )?;
    writeln!(text, "|---|---|--:|--:|--:|--:|")?;
    for row in rows.iter().filter(|row| row.plan.drift_ppm != 0.0) {
        for (buffer, it) in Buffer::ALL.into_iter().zip(&row.outcomes) {
            let ahead = it.ahead_ms.map(|ahead| ahead.map(|ms| format!("{ms:.1}")));
            let [first, last] = ahead.unwrap_or_else(|| ["–", "–"].map(str::to_owned));
            writeln!(
                text,
                "| {} | {} | {:.1} | {:.1} | {first} | {last} |",
                row.plan.name,
                buffer.name(),
                it.first_ms,
                it.last_ms,
            )?;
        }
    }
    writeln!(text, "\n### Delay against concealment\n")?;
    writeln!(text, "![{}](jitter-delay.svg)\n", plots::ALTERNATIVE_TEXT)?;
    write_concealment(text, lossy)
}

fn write_concealment(text: &mut String, lossy: &[Lossy]) -> fmt::Result {
    writeln!(text, "### Concealment\n")?;
    writeln!(text, "| lost | filled with | segmental SNR dB | log-spectral distance dB | PESQ |")?;
    writeln!(text, "|---|---|--:|--:|--:|")?;
    for it in lossy {
        for (filling, closeness) in FILLINGS.into_iter().zip(&it.closeness) {
            let pesq = closeness.pesq.map_or_else(|| "–".to_owned(), |score| format!("{score:.2}"));
            writeln!(
                text,
                "| {:.0} %, {} packets | {filling} | {:.2} | {:.2} | {pesq} |",
                100.0 * it.loss,
                it.lost_packets,
                closeness.segmental_snr_db,
                closeness.log_spectral_distance_db,
            )?;
        }
    }
    writeln!(text)
}
