//! Plots of resamplers, as SVG: gain, and images and aliases.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use sidetone::audio::SampleRate;
use sidetone::dsp::resample::Quality;
use sidetone::dsp::spectrum::{Converter, steps};

use crate::common::panel::{COLOURS, Drawing, Look, legend as draw_legend, mesh};
use crate::resamplers::Kind;
use crate::rows::kilohertz;

const LOW: SampleRate = SampleRate::HZ_8000;
const HIGH: SampleRate = SampleRate::HZ_16000;

/// Points of a curve.
const POINTS: usize = 144;

const SIZE: (u32, u32) = (1_000, 420);
type Points = Vec<(f64, f64)>;

/// The resamplers that are drawn.
fn kinds() -> Vec<Kind> {
    vec![
        Kind::Sidetone(Quality::Voice),
        Kind::Sidetone(Quality::High),
        #[cfg(feature = "bench-peers")]
        Kind::Speex(5),
        #[cfg(feature = "bench-peers")]
        Kind::Speex(10),
        Kind::AudioCodec,
    ]
}

/// Draws all plots into `folder`.
pub(crate) fn draw(folder: &Path) -> Drawing {
    let panels = [
        ("Gain, 8 → 16 kHz, dB: where it should be 0", 0.0..4_000.0, -0.3..0.1),
        ("The same: where it falls", 3_000.0..4_000.0, -30.0..2.0),
    ];
    let curves = curves(|kind| gains(kind, LOW, HIGH));
    let legend = SeriesLabelPosition::LowerLeft;
    plot(&folder.join("dsp-response.svg"), &panels, &[curves.clone(), curves], legend)?;

    let panels = [
        ("Strongest image of a tone, 8 → 16 kHz, dB", 0.0..4_000.0, -130.0..5.0),
        ("Strongest alias of a tone, 16 → 8 kHz, dB", 4_000.0..8_000.0, -130.0..5.0),
    ];
    let images = self::curves(|kind| spurious(kind, LOW, HIGH, 40.0..3_960.0));
    let aliases = self::curves(|kind| spurious(kind, HIGH, LOW, 4_030.0..7_970.0));
    let legend = SeriesLabelPosition::UpperLeft;
    plot(&folder.join("dsp-images.svg"), &panels, &[images, aliases], legend)
}

fn curves(points: impl Fn(Kind) -> Points) -> Vec<Points> {
    kinds().into_iter().map(points).collect()
}

/// Half a step from round frequencies, where rounding would look like images.
fn frequencies(band: &Range<f64>) -> Vec<f64> {
    steps(&(band.start + 0.618..=band.end - 0.618), POINTS)
}

fn gains(kind: Kind, from: SampleRate, to: SampleRate) -> Points {
    let frequencies = frequencies(&(40.0..3_980.0));
    let gains = Converter::new(from, to, kind.function(from, to)).gains_db(&frequencies);
    frequencies.into_iter().zip(gains).collect()
}

fn spurious(kind: Kind, from: SampleRate, to: SampleRate, band: Range<f64>) -> Points {
    let mut converter = Converter::new(from, to, kind.function(from, to));
    let point = |frequency| (frequency, converter.spurious_db(frequency));
    frequencies(&band).into_iter().map(point).collect()
}

fn plot(
    path: &Path,
    panels: &[(&str, Range<f64>, Range<f64>); 2],
    curves: &[Vec<Points>; 2],
    legend: SeriesLabelPosition,
) -> Drawing {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    panel(&left, &panels[0], &curves[0], Some(legend))?;
    panel(&right, &panels[1], &curves[1], None)?;
    root.present()?;
    Ok(())
}

fn panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    (caption, x, y): &(&str, Range<f64>, Range<f64>),
    curves: &[Points],
    legend: Option<SeriesLabelPosition>,
) -> Drawing
where
    B::ErrorType: 'static,
{
    let y_span = y.end - y.start;
    let look = Look {
        caption,
        x: x.clone(),
        y: y.clone(),
        x_desc: "frequency of the tone, Hz",
        y_desc: "",
        x_digits: 0,
        y_digits: if y_span < 2.0 { 2 } else { 0 },
    };
    let mut chart = mesh(area, &look)?;
    for ((kind, points), colour) in kinds().into_iter().zip(curves).zip(COLOURS) {
        let line = LineSeries::new(within(points, x, y), colour.stroke_width(2));
        let line = chart.draw_series(line)?;
        line.label(kind.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    if let Some(position) = legend {
        draw_legend(&mut chart, position)?;
    }
    Ok(())
}

/// The points within a panel, and those next to them, which are put onto its edge: plotters would
/// draw on beyond it.
fn within(points: &[(f64, f64)], x: &Range<f64>, y: &Range<f64>) -> Points {
    let is_inside =
        |n: usize| points.get(n).is_some_and(|point| x.contains(&point.0) && y.contains(&point.1));
    (0..points.len())
        .filter(|&n| is_inside(n) || is_inside(n + 1) || n > 0 && is_inside(n - 1))
        .map(|n| (points[n].0.clamp(x.start, x.end), points[n].1.clamp(y.start, y.end)))
        .collect()
}

/// What the plots show, for those who cannot see them.
pub(crate) fn alternative_text() -> [String; 2] {
    let (low, high) = (kilohertz(LOW), kilohertz(HIGH));
    let names: Vec<String> = kinds().into_iter().map(Kind::name).collect();
    let names = names.join(", ");
    [
        format!("Gain against frequency from {low} to {high} kHz: {names}"),
        format!("Images from {low} to {high} kHz and aliases back: {names}"),
    ]
}
