//! Plots, as SVG: the curve of hits over false alarms, and what noise does to the area below it.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::common::panel::{COLOURS, Drawing, Look, legend, mesh};
use crate::noise::Noise;
use crate::{Row, SNRS_DB, Surroundings};

const PANEL: (u32, u32) = (400, 320);

type Points = Vec<(f64, f64)>;

/// What the plots show, for those who cannot see them.
pub(crate) const CURVES_TEXT: &str = "Hits over false alarms, a panel for each level of noise: every detector's curve, and a dot at its default threshold";
pub(crate) const AREAS_TEXT: &str =
    "Area below that curve against the level of the noise, a panel for each noise: every detector";

/// Draws both plots into `folder`.
pub(crate) fn draw(folder: &Path, rows: &[Row]) -> Drawing {
    let size = (2 * PANEL.0, 2 * PANEL.1);
    let path = folder.join("vad-curves.svg");
    let root = SVGBackend::new(&path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, snr_db) in root.split_evenly((2, 2)).iter().zip(SNRS_DB) {
        curves(area, rows, snr_db)?;
    }
    root.present()?;

    let path = folder.join("vad-noise.svg");
    let root = SVGBackend::new(&path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, noise) in root.split_evenly((2, 2)).iter().zip(Noise::ALL) {
        areas(area, rows, noise)?;
    }
    root.present()?;
    Ok(())
}

fn curves<B: DrawingBackend>(area: &DrawingArea<B, Shift>, rows: &[Row], snr_db: u8) -> Drawing
where
    B::ErrorType: 'static,
{
    let look = Look {
        caption: &format!("all noises, {snr_db} dB below the speech"),
        x: 0.0..1.0,
        y: 0.0..1.02,
        x_desc: "false positives",
        y_desc: "recall",
        x_digits: 1,
        y_digits: 1,
    };
    let mut chart = mesh(area, &look)?;
    for (row, colour) in rows.iter().zip(COLOURS) {
        let tally = row.tally(Some(snr_db));
        let points = tally.curve();
        let at_threshold = (tally.false_positives(), tally.recall());
        chart.draw_series([Circle::new(at_threshold, 4, colour.filled())])?;
        // A yes or no has no curve, but one point.
        let points = if row.contender.is_yes_or_no() { vec![at_threshold] } else { points };
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(row.contender.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    if snr_db == SNRS_DB[0] {
        legend(&mut chart, SeriesLabelPosition::LowerRight)?;
    }
    Ok(())
}

fn areas<B: DrawingBackend>(area: &DrawingArea<B, Shift>, rows: &[Row], noise: Noise) -> Drawing
where
    B::ErrorType: 'static,
{
    let look = Look {
        caption: noise.name(),
        x: -1.0..21.0,
        y: 0.48..1.01,
        x_desc: "speech above the noise, dB",
        y_desc: "area below the curve",
        x_digits: 0,
        y_digits: 2,
    };
    let mut chart = mesh(area, &look)?;
    for (row, colour) in rows.iter().zip(COLOURS) {
        let points: Points = row
            .tallies
            .iter()
            .filter_map(|(surroundings, tally)| match surroundings {
                Surroundings::Noisy(it, snr_db) if *it == noise => {
                    Some((f64::from(*snr_db), tally.area()))
                }
                _ => None,
            })
            .collect();
        let dots = points.iter().map(|&point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(row.contender.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    if noise == Noise::ALL[0] {
        legend(&mut chart, SeriesLabelPosition::LowerRight)?;
    }
    Ok(())
}
