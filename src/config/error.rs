use std::fmt;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

/// Where a value was given.
///
/// Ordered as errors are listed: the file from top to bottom, the environment, the flags.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Place {
    /// In the file, at a line that is counted from one.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: usize,
    },
    /// In the environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// On the command line.
    Flag {
        /// The flag, with its dashes.
        flag: &'static str,
    },
    /// Nowhere: the value is a default, or missing.
    #[default]
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// What is wrong with a key. Values of secrets are never part of it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Problem {
    /// A file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The text is not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// The parser's words, without the offending text.
        message: String,
    },
    /// No key has this name.
    #[error("unknown key{}; allowed: {}", did_you_mean(suggestion.as_deref()), allowed.join(", "))]
    UnknownKey {
        /// The closest name there is.
        suggestion: Option<String>,
        /// Every name there is at this place.
        allowed: Vec<String>,
    },
    /// The value has another type than the key.
    #[error("expected {expected}, found {actual}")]
    WrongType {
        /// The type of the key.
        expected: &'static str,
        /// The type that was found, with the value where it may be shown.
        actual: String,
    },
    /// The value has the right type and is not among the allowed ones.
    #[error("{actual} is not allowed{}; allowed: {allowed}", did_you_mean(suggestion.as_deref()))]
    NotAllowed {
        /// The value.
        actual: String,
        /// The closest word that is allowed.
        suggestion: Option<String>,
        /// What is allowed.
        allowed: String,
    },
    /// A key that must be given is not.
    #[error("missing: {wanted}")]
    Missing {
        /// What to give, and why.
        wanted: String,
    },
    /// The value is well-formed and does not fit to another one.
    #[error("{reason}")]
    Conflict {
        /// Which other one, and what would fit.
        reason: String,
    },
}

impl Problem {
    pub(super) fn not_allowed(actual: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::NotAllowed { actual: actual.into(), suggestion: None, allowed: allowed.into() }
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |word| format!(", did you mean `{word}`?"))
}

/// One thing that is wrong with a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// Where the value was given.
    pub place: Place,
    /// The key's path, such as `asterisk.0.url`; empty for the text as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with a configuration, one line each, at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok` without errors, else all of them in the order of their places.
    pub(super) fn check(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        Err(Self(errors))
    }

    /// The errors, in the order of their places.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
