//! Delay against concealment, as SVG.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::common::panel::{COLOURS, Drawing, Look, legend, mesh};
use crate::content::Content;
use crate::ledger::Outcome;
use crate::{Buffer, Row, SEED};

const COLUMNS: usize = 3;
const PANEL: (u32, u32) = (400, 300);

/// Delays of the fixed buffer whose line is drawn, in milliseconds.
const LINE_MS: [u64; 14] = [0, 10, 20, 30, 40, 50, 60, 80, 100, 120, 160, 200, 250, 300];

type Point = (f64, f64);

/// What the plot shows, for those who cannot see it.
pub(crate) const ALTERNATIVE_TEXT: &str = "Mean added delay against concealed and stretched samples, a panel for \
    each trace: Sidetone, neteq, and fixed buffers of 0 to 300 ms as a line";

/// Draws a panel for each trace but those of drift.
pub(crate) fn draw(path: &Path, rows: &[Row], content: &Arc<Content>) -> Drawing {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.plan.drift_ppm == 0.0).collect();
    let lines = rows.len().div_ceil(COLUMNS);
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * lines as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (n, (area, row)) in root.split_evenly((lines, COLUMNS)).iter().zip(&rows).enumerate() {
        let trace = row.plan.play(SEED);
        let fixed: Vec<Point> = LINE_MS
            .into_iter()
            .map(|ms| point(&Buffer::Fixed(Duration::from_millis(ms)).play(&trace, content)))
            .collect();
        panel(area, row, &fixed, n == 0)?;
    }
    root.present()?;
    Ok(())
}

fn point(outcome: &Outcome) -> Point {
    (100.0 * (outcome.concealed + outcome.stretched), outcome.mean_ms)
}

fn panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    row: &Row,
    fixed: &[Point],
    has_legend: bool,
) -> Drawing
where
    B::ErrorType: 'static,
{
    let points: Vec<Point> = row.outcomes.iter().map(point).collect();
    let x = span(points.iter().chain(fixed).map(|point| point.0), 1.0);
    let y = span(points.iter().chain(fixed).map(|point| point.1), 10.0);
    let look = Look {
        caption: row.plan.name,
        x_digits: if x.end < 3.0 { 1 } else { 0 },
        x,
        y,
        x_desc: "concealed or stretched, %",
        y_desc: "mean added delay, ms",
        y_digits: 0,
    };
    let mut chart = mesh(area, &look)?;
    let colour = COLOURS[4];
    chart
        .draw_series(LineSeries::new(fixed.iter().copied(), colour.stroke_width(2)))?
        .label("fixed, 0 to 300 ms")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    for (n, buffer) in Buffer::ALL.into_iter().enumerate().take(2) {
        let colour = COLOURS[[0, 2][n]];
        chart
            .draw_series([Circle::new(points[n], 6, colour.filled())])?
            .label(buffer.name())
            .legend(move |(x, y)| Circle::new((x + 9, y), 5, colour.filled()));
    }
    if has_legend {
        legend(&mut chart, SeriesLabelPosition::UpperRight)?;
    }
    Ok(())
}

/// What holds all values, and a little more; at least `least` wide.
fn span(values: impl Iterator<Item = f64>, least: f64) -> Range<f64> {
    let highest = values.fold(least, f64::max);
    -0.05 * highest..1.08 * highest
}
