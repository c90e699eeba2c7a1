//! What all plots look like.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Okabe and Ito's colours, which everybody can tell apart.
pub(crate) const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];

pub(crate) type Drawing = Result<(), Box<dyn Error>>;

/// A panel with two linear axes.
pub(crate) type Panel<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What a panel says, and what it spans.
pub(crate) struct Look<'a> {
    pub(crate) caption: &'a str,
    pub(crate) x: Range<f64>,
    pub(crate) y: Range<f64>,
    pub(crate) x_desc: &'a str,
    pub(crate) y_desc: &'a str,
    /// Digits behind the point.
    pub(crate) x_digits: i32,
    pub(crate) y_digits: i32,
}

/// A panel with its axes and nothing in it.
pub(crate) fn mesh<'a, B: DrawingBackend>(
    area: &'a DrawingArea<B, Shift>,
    look: &Look<'_>,
) -> Result<Panel<'a, B>, Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .caption(look.caption, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(look.x.clone(), look.y.clone())?;
    let mut mesh = chart.configure_mesh();
    if !look.y_desc.is_empty() {
        mesh.y_desc(look.y_desc);
    }
    mesh.light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 12))
        .x_desc(look.x_desc)
        .x_label_formatter(&|x| label(*x, look.x_digits))
        .y_label_formatter(&|y| label(*y, look.y_digits))
        .draw()?;
    Ok(chart)
}

/// The names of what was drawn.
pub(crate) fn legend<'a, B: DrawingBackend + 'a>(
    chart: &mut Panel<'a, B>,
    position: SeriesLabelPosition,
) -> Drawing
where
    B::ErrorType: 'static,
{
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// `value` with so many digits behind the point, and without a sign before zero.
fn label(value: f64, digits: i32) -> String {
    let scale = 10_f64.powi(digits);
    ((value * scale).round() / scale + 0.0).to_string()
}
