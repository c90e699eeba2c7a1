use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How loud the log is. Libraries are never louder than warnings, except at [`LogLevel::Trace`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogLevel {
    /// What needs somebody's attention.
    Error,
    /// And what went wrong and was dealt with.
    Warn,
    /// And start, stop, and each call's begin and end.
    #[default]
    Info,
    /// And what explains a call's course.
    Debug,
    /// And everything, of the libraries also; callers' numbers may be in it.
    Trace,
}

impl LogLevel {
    /// Every level with its word, from quiet to loud.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// The form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Section `[log]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogSettings {
    /// How loud.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// Section `[server]`, but for what concerns shards, which belongs to the runtime.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerSettings {
    /// How long calls may go on after the server was asked to stop.
    pub grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10) }
    }
}

/// Section `[pipelines]`: what can be done with a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pipelines {
    /// The pipeline of a call that names none.
    pub default: String,
    /// Each pipeline's processors, in their order.
    pub named: BTreeMap<String, Vec<String>>,
}

impl Default for Pipelines {
    /// `echo`, `record` and `echo-record`; without a name, `echo`.
    fn default() -> Self {
        let built_in: [(&str, &[&str]); 3] = [
            ("echo", &["echo"]),
            ("record", &["recorder"]),
            ("echo-record", &["recorder", "echo"]),
        ];
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            default: "echo".to_owned(),
            named: built_in.iter().map(|(name, list)| ((*name).to_owned(), owned(list))).collect(),
        }
    }
}
