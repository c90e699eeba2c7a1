//! What is promised, and whether it holds.

use std::fmt;

/// A figure with its unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Figure {
    /// Times as long as something else.
    Ratio(f64),
    Milliseconds(f64),
    Nanoseconds(f64),
    Kibibytes(f64),
    Decibels(f64),
    /// Points of a scale, as PESQ's.
    Score(f64),
    /// Of a whole that is 1.
    Share(f64),
    /// How often something happened.
    Count(u64),
}

impl Figure {
    const fn value(self) -> f64 {
        match self {
            Self::Ratio(value)
            | Self::Milliseconds(value)
            | Self::Nanoseconds(value)
            | Self::Kibibytes(value)
            | Self::Decibels(value)
            | Self::Score(value)
            | Self::Share(value) => value,
            Self::Count(value) => value as f64,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(value) => write!(f, "{value:.3} ×"),
            Self::Milliseconds(value) => write!(f, "{value:.2} ms"),
            Self::Nanoseconds(value) => write!(f, "{value:.1} ns"),
            Self::Kibibytes(value) => write!(f, "{value:.1} KiB"),
            Self::Score(value) => write!(f, "{value:.2}"),
            Self::Share(value) => write!(f, "{:.3} %", 100.0 * value),
            Self::Count(value) => write!(f, "{value}"),
            // The smallest figures are ripples of hundredths of a decibel.
            Self::Decibels(value) if value.abs() < 1.0 => write!(f, "{value:.3} dB"),
            Self::Decibels(value) => write!(f, "{value:.1} dB"),
        }
    }
}

/// One promise: a figure that may not pass a limit.
struct Bar {
    name: String,
    /// None where what it is measured against is not there.
    figure: Option<Figure>,
    limit: Figure,
}

impl Bar {
    fn holds(&self) -> bool {
        self.figure.is_some_and(|figure| figure.value() <= self.limit.value())
    }
}

/// Every promise, in the order of the rows.
#[derive(Default)]
pub(crate) struct Bars(Vec<Bar>);

impl Bars {
    pub(crate) fn add(&mut self, name: impl Into<String>, figure: Option<Figure>, limit: Figure) {
        self.0.push(Bar { name: name.into(), figure, limit });
    }

    pub(crate) fn all_hold(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(Bar::holds)
    }

    /// How many hold, and how many there are.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.0.iter().filter(|bar| bar.holds()).count(), self.0.len())
    }

    /// Name, figure, limit, and whether it holds, of each.
    pub(crate) fn rows(&self) -> impl Iterator<Item = [String; 4]> {
        self.0.iter().map(|bar| {
            let figure = bar.figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string());
            let verdict = if bar.holds() { "ok" } else { "short" };
            [bar.name.clone(), figure, bar.limit.to_string(), verdict.to_owned()]
        })
    }
}

impl fmt::Display for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for [name, figure, limit, verdict] in self.rows() {
            writeln!(f, "{name:<70}{figure:>12}{limit:>12}  {verdict}")?;
        }
        Ok(())
    }
}
