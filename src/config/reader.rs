use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::error::{ConfigError, Place, Problem};
use super::suggest::closest;
use super::tree::{Node, Table, Value, parse_scalar, shown};
use crate::audio::SampleRate;

/// Collects what is wrong and which keys there are, while sections are read.
#[derive(Default)]
pub(super) struct Findings {
    errors: RefCell<Vec<ConfigError>>,
    /// Every key that was asked for, with the place where it was given.
    asked: RefCell<BTreeMap<String, Place>>,
}

impl Findings {
    /// Reports a problem at a place.
    pub(super) fn report(&self, place: Place, key: impl Into<String>, problem: Problem) {
        self.errors.borrow_mut().push(ConfigError { place, key: key.into(), problem });
    }

    /// Reports a problem with a key that has been read, at the place where it was given.
    pub(super) fn report_key(&self, key: impl Into<String>, problem: Problem) {
        let key = key.into();
        self.report(self.place(&key), key, problem);
    }

    /// Where a key that has been read was given.
    pub(super) fn place(&self, key: &str) -> Place {
        self.asked.borrow().get(key).cloned().unwrap_or_default()
    }

    /// Every key that has been asked for.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<String> {
        self.asked.borrow().keys().cloned().collect()
    }

    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }
}

/// One table of the configuration while its keys are read.
///
/// A getter reports what is wrong with its key and then answers with the default, so that reading
/// goes on. [`Section::finish`] reports the keys that nobody asked for.
pub(super) struct Section<'a> {
    path: String,
    place: Place,
    table: Option<&'a Table>,
    known: Vec<&'static str>,
    findings: &'a Findings,
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(super) fn root(table: &'a Table, findings: &'a Findings) -> Self {
        let place = Place::default();
        Self { path: String::new(), place, table: Some(table), known: Vec::new(), findings }
    }

    /// The path of one of this section's keys.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the section begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// Whether the value of this section was given and is a table.
    pub(super) fn is_table(&self) -> bool {
        self.table.is_some()
    }

    /// Whether `key` is given, of whatever type.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The section `key`; without keys where it is not given.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        self.known.push(key);
        let node = self.table.and_then(|table| table.get(key));
        self.below(key, node)
    }

    /// The sections that have names of the user's choice: all that is not read otherwise.
    pub(super) fn named_sections(&mut self) -> Vec<(&'a str, Section<'a>)> {
        let table = self.table;
        let others =
            table.into_iter().flatten().filter(|(key, _)| !self.known.contains(&key.as_str()));
        let found: Vec<_> =
            others.map(|(key, node)| (key.as_str(), self.below(key, Some(node)))).collect();
        self.table = None;
        found
    }

    /// The sections of an array of tables.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        self.known.push(key);
        match self.table.and_then(|table| table.get(key)) {
            None => Vec::new(),
            Some(Node { value: Value::Array(items), .. }) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.below(&format!("{key}.{index}"), Some(item)))
                .collect(),
            Some(node) => {
                self.wrong_type(key, node, "an array of tables, each under a header in [[ ]]");
                Vec::new()
            }
        }
    }

    fn below(&self, key: &str, node: Option<&'a Node>) -> Section<'a> {
        let table = match node {
            Some(Node { value: Value::Table(table), .. }) => Some(table),
            Some(node) => {
                self.wrong_type(key, node, "a table");
                None
            }
            None => None,
        };
        Section {
            path: self.key(key),
            place: node.map(|node| node.place.clone()).unwrap_or_default(),
            table,
            known: Vec::new(),
            findings: self.findings,
        }
    }

    /// Reports the keys of this section that are not known.
    pub(super) fn finish(self) {
        for (key, node) in self.table.into_iter().flatten() {
            if !self.known.contains(&key.as_str()) {
                let problem = Problem::UnknownKey {
                    suggestion: closest(key, self.known.iter().copied()).map(str::to_owned),
                    allowed: self.known.iter().map(|key| (*key).to_owned()).collect(),
                };
                self.findings.report(node.place.clone(), self.key(key), problem);
            }
        }
    }

    /// An integer within `allowed`.
    pub(super) fn integer<T>(
        &mut self,
        key: &'static str,
        default: T,
        allowed: RangeInclusive<T>,
    ) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i128>,
    {
        let words = format!("{} to {}", allowed.start(), allowed.end());
        self.integer_where(key, default, &words, |number| allowed.contains(&number))
    }

    fn integer_where<T>(
        &mut self,
        key: &'static str,
        default: T,
        allowed: &str,
        test: impl Fn(T) -> bool,
    ) -> T
    where
        T: Copy + TryFrom<i128>,
    {
        let Some(node) = self.take(key) else { return default };
        let given = match &node.value {
            Value::Integer(number) => Some(*number),
            Value::Raw(text) => match parse_scalar(text.trim()) {
                Some(Value::Integer(number)) => Some(number),
                _ => None,
            },
            _ => None,
        };
        let Some(given) = given else {
            self.wrong_type(key, node, "an integer");
            return default;
        };
        T::try_from(given).ok().filter(|number| test(*number)).unwrap_or_else(|| {
            self.refuse(key, node, Problem::not_allowed(given.to_string(), allowed));
            default
        })
    }

    /// A sample rate in Hz, one of `allowed`.
    pub(super) fn rate(
        &mut self,
        key: &'static str,
        default: SampleRate,
        allowed: &[SampleRate],
    ) -> SampleRate {
        let words: Vec<String> = allowed.iter().map(|rate| rate.hz().to_string()).collect();
        let is_allowed = |hz| SampleRate::try_from(hz).is_ok_and(|rate| allowed.contains(&rate));
        let hz = self.integer_where(key, default.hz(), &words.join(", "), is_allowed);
        SampleRate::try_from(hz).unwrap_or(default)
    }

    /// A sample rate in Hz, one of `allowed`, or 0 for that of whatever it is about.
    pub(super) fn rate_or_own(
        &mut self,
        key: &'static str,
        allowed: &[SampleRate],
    ) -> Option<SampleRate> {
        let words: Vec<String> = allowed.iter().map(|rate| rate.hz().to_string()).collect();
        let words = format!("0 (the call's), {}", words.join(", "));
        let is_allowed = |hz| hz == 0 || allowed.iter().any(|rate| rate.hz() == hz);
        SampleRate::try_from(self.integer_where(key, 0, &words, is_allowed)).ok()
    }

    /// A span given in milliseconds within `allowed`.
    pub(super) fn millis(
        &mut self,
        key: &'static str,
        default: Duration,
        allowed: RangeInclusive<u64>,
    ) -> Duration {
        let words = format!("{} to {} (milliseconds)", allowed.start(), allowed.end());
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        let ms = self.integer_where(key, default, &words, |ms| allowed.contains(&ms));
        Duration::from_millis(ms)
    }

    /// A span given in milliseconds within `allowed`, or 0 for never.
    pub(super) fn millis_or_never(
        &mut self,
        key: &'static str,
        default: Duration,
        allowed: RangeInclusive<u64>,
    ) -> Duration {
        let words =
            format!("0 (never), or {} to {} (milliseconds)", allowed.start(), allowed.end());
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        let ms = self.integer_where(key, default, &words, |ms| ms == 0 || allowed.contains(&ms));
        Duration::from_millis(ms)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(node) = self.take(key) else { return default };
        let given = match &node.value {
            Value::Boolean(flag) => Some(*flag),
            Value::Raw(text) => text.trim().parse().ok(),
            _ => None,
        };
        given.unwrap_or_else(|| {
            self.wrong_type(key, node, "true or false");
            default
        })
    }

    /// A string as it stands.
    pub(super) fn string(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        let text = string_of(node);
        if text.is_none() {
            self.wrong_type(key, node, "a string");
        }
        text
    }

    /// A string that no message shows.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        match &node.value {
            Value::String(text) | Value::Raw(text) if text.is_empty() => {
                self.refuse(key, node, Problem::not_allowed("an empty string", "a secret"));
                None
            }
            // Taken as it stands: to unquote it could change a password unseen.
            Value::String(text) | Value::Raw(text) => Some(text.clone()),
            other => {
                let actual = other.kind().to_owned();
                self.refuse(key, node, Problem::WrongType { expected: "a string", actual });
                None
            }
        }
    }

    /// A string that `parse` understands; `allowed` says what it does.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.string(key)?;
        let value = parse(&text);
        if value.is_none() {
            self.report(key, Problem::not_allowed(shown(&text), allowed));
        }
        value
    }

    /// A string that [`FromStr`] understands; `allowed` says what it does.
    pub(super) fn text<T: FromStr>(&mut self, key: &'static str, default: T, allowed: &str) -> T {
        self.parsed(key, allowed, |text| text.parse().ok()).unwrap_or(default)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        let Some(text) = self.string(key) else { return default };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let names = || words.iter().map(|(word, _)| *word);
        self.report(
            key,
            Problem::NotAllowed {
                actual: shown(&text),
                suggestion: closest(&text, names()).map(str::to_owned),
                allowed: names().collect::<Vec<_>>().join(", "),
            },
        );
        default
    }

    /// An array of strings; from the environment also words between commas.
    pub(super) fn strings(&mut self, key: &'static str) -> Option<Vec<String>> {
        const EXPECTED: &str = "an array of strings";
        let node = self.take(key)?;
        let parsed;
        let items = match &node.value {
            Value::Array(items) => items,
            Value::Raw(text) => match parse_scalar(text) {
                Some(Value::Array(items)) => {
                    parsed = items;
                    &parsed
                }
                _ => return Some(text.split(',').map(|word| word.trim().to_owned()).collect()),
            },
            _ => {
                self.wrong_type(key, node, EXPECTED);
                return None;
            }
        };
        let strings: Vec<String> = items.iter().filter_map(string_of).collect();
        if strings.len() < items.len() {
            let other = items.iter().find(|item| string_of(item).is_none());
            let found = other.map_or("another", |item| item.value.kind());
            let actual = format!("{found} among its items");
            self.refuse(key, node, Problem::WrongType { expected: EXPECTED, actual });
            return None;
        }
        Some(strings)
    }

    /// Reports a problem with one of this section's keys.
    pub(super) fn report(&self, key: &str, problem: Problem) {
        self.findings.report_key(self.key(key), problem);
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let node = self.table.and_then(|table| table.get(key));
        let place = node.map(|node| node.place.clone()).unwrap_or_default();
        self.findings.asked.borrow_mut().insert(self.key(key), place);
        node
    }

    fn wrong_type(&self, key: &str, node: &Node, expected: &'static str) {
        self.refuse(key, node, Problem::WrongType { expected, actual: node.value.described() });
    }

    fn refuse(&self, key: &str, node: &Node, problem: Problem) {
        self.findings.report(node.place.clone(), self.key(key), problem);
    }
}

/// A string, or what a string is in the environment: the text, unquoted where it is quoted.
fn string_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Raw(text) if text.starts_with(['"', '\'']) => match parse_scalar(text) {
            Some(Value::String(unquoted)) => Some(unquoted),
            _ => Some(text.clone()),
        },
        Value::Raw(text) => Some(text.clone()),
        _ => None,
    }
}
