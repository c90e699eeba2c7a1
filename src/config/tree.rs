use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};

/// A value with the place where it was given.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

pub(super) type Table = BTreeMap<String, Node>;

/// A value as far as its text alone tells.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(Table),
    Array(Vec<Node>),
    String(String),
    /// Saturated where the text has more digits than fit.
    Integer(i128),
    Boolean(bool),
    /// A float or a date: no key takes one.
    Other {
        kind: &'static str,
        text: String,
    },
    /// Text of an environment variable or a flag; the key decides what it means.
    Raw(String),
}

/// Strings longer than this are cut in messages.
const SHOWN_CHARS: usize = 60;

impl Value {
    /// The kind of value, without the value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "an array",
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::Other { kind, .. } => kind,
            Self::Raw(_) => "text",
        }
    }

    /// The value as messages show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::String(text) | Self::Raw(text) => shown(text),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Other { text, .. } => text.clone(),
            Self::Table(_) | Self::Array(_) => self.kind().to_owned(),
        }
    }

    /// The kind of value and, where it is short enough to be of use, the value.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Table(_) | Self::Array(_) => self.kind().to_owned(),
            _ => format!("{} ({})", self.kind(), self.shown()),
        }
    }
}

/// A string in quotes, cut to a length that fits into a message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Parses a file's text.
///
/// # Errors
/// Every syntax error, each with its line.
pub(super) fn parse(path: &Path, text: &str) -> Result<Table, Vec<ConfigError>> {
    let lines = Lines::new(path, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(lines.table(root.get_ref()));
    }
    let mut errors: Vec<ConfigError> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or_default();
            let mut message = error.message().to_owned();
            // Only here: any other span could hold a secret.
            if message == "duplicate key"
                && let Some(key) = text.get(span.clone())
            {
                message = format!("duplicate key `{}`", key.trim());
            }
            ConfigError {
                place: lines.place(span.start),
                key: String::new(),
                problem: Problem::Syntax { message },
            }
        })
        .collect();
    errors.sort_by(|a, b| a.place.cmp(&b.place));
    Err(errors)
}

/// Parses the text of an environment variable or a flag as one TOML value.
pub(super) fn parse_scalar(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    Some(Lines::new(Path::new(""), text).value(value.get_ref()))
}

/// Turns offsets of a text into lines.
struct Lines {
    path: Arc<Path>,
    starts: Vec<usize>,
}

impl Lines {
    fn new(path: &Path, text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { path: path.into(), starts: std::iter::once(0).chain(ends).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        Place::File { path: Arc::clone(&self.path), line }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let node = Node {
                    place: self.place(key.span().start),
                    value: self.value(value.get_ref()),
                };
                (key.get_ref().clone().into_owned(), node)
            })
            .collect()
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Integer(number) => Value::Integer(
                i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX),
            ),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Float(number) => {
                Value::Other { kind: "a float", text: number.as_str().to_owned() }
            }
            DeValue::Datetime(date) => Value::Other { kind: "a date", text: date.to_string() },
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| Node {
                        place: self.place(item.span().start),
                        value: self.value(item.get_ref()),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_syntax_error_has_its_line_and_no_text_of_the_file() {
        let text = "[rtp]\nport = \n\n[api\nuser = \"hunter2\n[rtp]\nport = 1\n";
        let errors = parse(Path::new("f.toml"), text).expect_err("not TOML");
        assert!(errors.len() >= 2, "{errors:?}");
        assert_eq!(errors[0].place.to_string(), "f.toml:2");
        assert!(errors.iter().all(|error| !error.to_string().contains("hunter2")), "{errors:?}");
    }

    #[test]
    fn a_value_stands_at_the_line_of_its_key() {
        let table = parse(Path::new("f"), "\n[a]\n\nb = [\n  1,\n]\n").expect("TOML");
        let Value::Table(a) = &table["a"].value else { panic!("a table") };
        assert_eq!(a["b"].place.to_string(), "f:4");
        let Value::Array(items) = &a["b"].value else { panic!("an array") };
        assert_eq!(items[0].place.to_string(), "f:5");
    }

    #[test]
    fn a_long_string_is_cut_in_messages() {
        assert_eq!(shown("short"), "\"short\"");
        assert_eq!(shown(&"x".repeat(61)).len(), SHOWN_CHARS + 5);
    }
}
