use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::figures::Figures;
use super::limits::Limits;

/// What the demonstration found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every figure keeps to its limit.
    pub(super) ok: bool,
    /// Where the recordings are.
    directory: PathBuf,
    /// Part of the round trip that the echo itself waits.
    echo_delay_ms: f64,
    limits: Limits,
    transports: Vec<Figures>,
    /// A line per figure that does not.
    failures: Vec<String>,
}

impl Report {
    pub(super) fn new(directory: PathBuf, echo_delay_ms: f64, transports: Vec<Figures>) -> Self {
        let limits = Limits::DEFAULT;
        let failures: Vec<_> =
            transports.iter().flat_map(|figures| limits.failures(figures)).collect();
        Self { ok: failures.is_empty(), directory, echo_delay_ms, limits, transports, failures }
    }

    /// Writes the report as one JSON object.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes the report for people.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Speech played into the server over loopback, echoed and recorded:\n")?;
        write_aligned(out, &self.rows())?;
        writeln!(
            out,
            "\n\
             uplink latency: from the caller's send of a frame to its arrival at a processor\n\
             round trip: from the caller's send of a frame to its reception of the packet with\n  \
             the frame's last sample; {:.0} ms of it are the echo's own delay, and up to 20 ms the\n  \
             wait for the next packet\n\
             correlation: with what the caller sent, which for ulaw is the speech after one trip\n  \
             through the codec, so that 1 can be reached; the recording's right side with the\n  \
             echo that the caller heard\n\n\
             Listen (left the caller, right the echo):",
            self.echo_delay_ms
        )?;
        for figures in &self.transports {
            let path = figures.recording.path.display();
            writeln!(out, "  {:<11}  {path}", figures.transport.label())?;
        }
        writeln!(out)?;
        if self.ok {
            return writeln!(out, "All is as it must be.");
        }
        for failure in &self.failures {
            writeln!(out, "FAILED  {failure}")?;
        }
        let held_up_ms = self.transports.iter().map(|f| f.held_up_ms).fold(0.0, f64::max);
        if held_up_ms > self.echo_delay_ms {
            writeln!(
                out,
                "This machine held the caller itself up for {held_up_ms:.0} ms; the echo bridges \
                 {:.0} ms. Try again\nwhen it is less busy.",
                self.echo_delay_ms
            )?;
        }
        Ok(())
    }

    /// The table: what, one column per transport, what it must be.
    fn rows(&self) -> Vec<Vec<String>> {
        let Limits { lost, correlation, uplink_p99_ms, round_trip_p99_ms, .. } = self.limits;
        let above = format!("above {correlation}");
        let mut rows = Vec::new();
        let mut row = |name: &str, figure: &dyn Fn(&Figures) -> String, must_be: &str| {
            let figures = self.transports.iter().map(figure);
            rows.push(
                [vec![name.to_owned()], figures.collect(), vec![must_be.to_owned()]].concat(),
            );
        };
        row("", &|f| f.transport.to_string(), "must be");
        row("format", &|f| f.format.to_string(), "");
        row(
            "packets to the server",
            &|f| arrow(f.packets.caller_sent, f.packets.server_received),
            "",
        );
        row(
            "packets to the caller",
            &|f| arrow(f.packets.server_sent, f.packets.caller_received),
            "",
        );
        row("lost", &|f| f.packets.lost.to_string(), &lost.to_string());
        let p99 = |limit: f64| format!("p99 below {limit} ms");
        row(
            "uplink latency p50 / p99",
            &|f| format!("{:.2} / {:.2} ms", f.uplink_latency.p50_ms, f.uplink_latency.p99_ms),
            &p99(uplink_p99_ms),
        );
        row(
            "round trip p50 / p99",
            &|f| format!("{:.1} / {:.1} ms", f.round_trip.p50_ms, f.round_trip.p99_ms),
            &p99(round_trip_p99_ms),
        );
        row("echo, correlation", &|f| format!("{:.4}", f.correlation), &above);
        row("recorded", &|f| seconds(f.recording.duration_ms), "as the call");
        row("the call", &|f| seconds(f.recording.call_duration_ms), "");
        let both = |f: &Figures| [f.recording.caller_correlation, f.recording.echo_correlation];
        row(
            "left / right, correlation",
            &|f| both(f).map(|coefficient| format!("{coefficient:.4}")).join(" / "),
            &above,
        );
        row(
            "right behind left",
            &|f| format!("{:.1} ms", f.recording.echo_behind_ms),
            &format!("0 to {round_trip_p99_ms} ms"),
        );
        rows
    }
}

fn arrow(sent: u64, received: u64) -> String {
    format!("{sent} sent, {received} came")
}

fn seconds(ms: f64) -> String {
    format!("{:.3} s", ms / 1_000.0)
}

/// Writes rows in columns as wide as their longest cell.
fn write_aligned(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::figures::tests::good;

    fn text(figures: Figures) -> (bool, String) {
        let report = Report::new(PathBuf::from("recordings"), 40.0, vec![figures]);
        let mut out = Vec::new();
        report.write_text(&mut out).unwrap();
        (report.ok, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_good_report_has_the_figures_and_no_failure() {
        let (ok, text) = text(good());
        assert!(ok);
        for part in ["248 sent, 248 came", "0.20 / 2.00 ms", "40 ms of it", "call.wav", "All is"] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(!text.contains("FAILED"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn a_bad_report_tells_each_failure_and_whether_the_machine_stood_still() {
        let mut figures = good();
        figures.correlation = 0.5;
        let (ok, told) = text(figures);
        assert!(!ok && !told.contains("All is") && !told.contains("held the caller"));
        assert!(told.contains("FAILED  rtp: correlation of the echo"), "{told}");

        let mut figures = good();
        (figures.correlation, figures.held_up_ms) = (0.5, 62.0);
        let (_, told) = text(figures);
        assert!(told.contains("held the caller itself up for 62 ms"), "{told}");
    }

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["", "rtp", "must be"]), row(["lost", "12345", ""])];
        let mut out = Vec::new();
        write_aligned(&mut out, &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "        rtp    must be\n  lost  12345\n");
    }
}
