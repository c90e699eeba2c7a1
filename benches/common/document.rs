//! The generated part of a document.

use std::path::Path;
use std::{fs, io};

use super::bars::Bars;

/// What stands around the generated part.
const MARKERS: [&str; 2] = ["<!-- figures -->\n", "<!-- end of figures -->"];

/// Puts the figures between the markers of the document at `path`.
pub(crate) fn write(path: &Path, figures: &str) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let text = replaced(&text, figures)
        .ok_or_else(|| io::Error::other(format!("{} lacks its markers", path.display())))?;
    fs::write(path, text)
}

/// `text` with `figures` between its markers. None where it does not have them.
pub(crate) fn replaced(text: &str, figures: &str) -> Option<String> {
    let (head, rest) = text.split_once(MARKERS[0])?;
    let (_, tail) = rest.split_once(MARKERS[1])?;
    Some(format!("{head}{}{figures}{}{tail}", MARKERS[0], MARKERS[1]))
}

/// The bars as a section with a table.
pub(crate) fn bars(bars: &Bars) -> String {
    let (held, all) = bars.count();
    let mut text = format!(
        "### Bars\n\n{held} of {all} hold.\n\n| bar | figure | limit | |\n|---|--:|--:|---|\n"
    );
    for row in bars.rows() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text.push('\n');
    text
}
