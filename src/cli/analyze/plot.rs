use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::replay::Replayed;

/// Size of one stream's panel.
const SIZE: (u32, u32) = (1_000, 280);
/// Columns that are told apart where a stream has more packets than can be seen.
const COLUMNS: usize = 1_000;
/// Up to so many packets, each has its dot.
const MAX_DOTS: usize = 4 * COLUMNS;

/// Okabe and Ito's colours, which everybody can tell apart.
const DOT: RGBColor = RGBColor(0, 114, 178);
const TARGET: RGBColor = RGBColor(0, 158, 115);
const LOSS: RGBColor = RGBColor(213, 0, 0);

/// Height of a loss's mark, as a share of the panel's.
const MARK: f64 = 0.07;

/// One stream, with no more points than can be seen.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Panel {
    title: String,
    /// Seconds since the stream's first packet, and milliseconds above the fastest one.
    dots: Vec<(f64, f64)>,
    target: Vec<(f64, f64)>,
    losses: Vec<f64>,
    seconds: f64,
}

impl Panel {
    pub(super) fn new(title: &str, replayed: &Replayed) -> Self {
        let dots = replayed.arrivals.iter().map(|one| (one.at.as_secs_f64(), one.delay_ms));
        let dots: Vec<_> = dots.collect();
        let target: Vec<_> =
            replayed.targets.iter().map(|(at, target)| (at.as_secs_f64(), *target)).collect();
        let losses: Vec<_> = replayed.losses.iter().map(|at| at.as_secs_f64()).collect();
        let ends = [dots.last(), target.last()].into_iter().flatten().map(|point| point.0);
        let seconds = ends.chain(losses.last().copied()).fold(0.1, f64::max);
        let extremes =
            if dots.len() > MAX_DOTS { ": the least and the most per column" } else { "" };
        let title = format!("{title}{extremes}");
        let dots = thinned(dots, seconds, MAX_DOTS);
        let target = thinned(target, seconds, COLUMNS);
        Self { title, dots, target, losses, seconds }
    }

    fn highest(&self) -> f64 {
        self.dots.iter().chain(&self.target).map(|point| point.1).fold(10.0, f64::max) * 1.1
    }
}

/// The points, or the lowest and the highest of each column where there are more than `most`.
fn thinned(points: Vec<(f64, f64)>, span: f64, most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points;
    }
    let mut columns: BTreeMap<usize, [(f64, f64); 2]> = BTreeMap::new();
    for point in points {
        let column = (point.0 / span * COLUMNS as f64) as usize;
        let [lowest, highest] = columns.entry(column).or_insert([point; 2]);
        if point.1 < lowest.1 {
            *lowest = point;
        }
        if point.1 > highest.1 {
            *highest = point;
        }
    }
    columns.into_values().flatten().collect()
}

/// The panels below each other, as SVG: dots for packets by arrival and transit delay, a line for
/// the jitter buffer's target where it is known, a red mark at the bottom for each packet lost.
///
/// # Errors
/// Those of the drawing library.
pub(super) fn draw(panels: &[&Panel]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let count = u32::try_from(panels.len())?;
        let size = (SIZE.0, SIZE.1.checked_mul(count).ok_or("too many streams for one image")?);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn draw_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panel: &Panel,
) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    let (x, y): (Range<f64>, Range<f64>) = (0.0..panel.seconds * 1.01, 0.0..panel.highest());
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 14))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y.clone())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 12))
        .x_desc("seconds since the stream's first packet")
        .y_desc("transit delay, ms above the least")
        .draw()?;
    let dots = panel.dots.iter().map(|point| Circle::new(*point, 1, DOT.filled()));
    chart.draw_series(dots)?;
    if !panel.target.is_empty() {
        chart.draw_series(LineSeries::new(panel.target.iter().copied(), TARGET.stroke_width(2)))?;
    }
    let mark = |at: &f64| PathElement::new([(*at, 0.0), (*at, y.end * MARK)], LOSS);
    chart.draw_series(panel.losses.iter().map(mark))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::cli::analyze::transit::Arrival;

    fn replayed(packets: u32) -> Replayed {
        let arrival = |n: u32| Arrival {
            at: Duration::from_millis(20) * n,
            delay_ms: f64::from(n % 100) + if n == 7_777 { 500.0 } else { 0.0 },
        };
        let losses = vec![Duration::from_millis(30), Duration::from_millis(50)];
        let targets = vec![(Duration::ZERO, 20.0), (Duration::from_secs(1), 40.0)];
        let arrivals = (0..packets).map(arrival).collect();
        Replayed { stats: Value::Null, arrivals, losses, targets }
    }

    #[test]
    fn each_packet_has_a_dot_and_each_loss_a_mark() {
        let panel = Panel::new("a <stream>", &replayed(100));
        let svg = draw(&[&panel, &panel]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 200);
        let marks =
            svg.lines().filter(|line| line.contains("polyline") && line.contains("#D50000"));
        assert_eq!(marks.count(), 4);
        let lines =
            svg.lines().filter(|line| line.contains("polyline") && line.contains("#009E73"));
        assert_eq!(lines.count(), 2);
        assert!(svg.contains("a &lt;stream&gt;") && !svg.contains("a <stream>"), "{svg}");
    }

    #[test]
    fn a_long_stream_keeps_its_extremes_and_a_bounded_number_of_dots() {
        let panel = Panel::new("long", &replayed(90_000));
        assert!(panel.dots.len() <= 2 * (COLUMNS + 1), "{}", panel.dots.len());
        assert!(panel.dots.contains(&(7_777.0 * 0.02, 577.0)));
        assert!(panel.title.contains("per column"));
    }

    #[test]
    fn a_stream_without_packets_can_be_drawn() {
        let nothing =
            Replayed { stats: Value::Null, arrivals: vec![], losses: vec![], targets: vec![] };
        assert!(draw(&[&Panel::new("none", &nothing)]).unwrap().contains("</svg>"));
    }
}
