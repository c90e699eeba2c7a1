use std::io::{self, IsTerminal};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Starts the log of the process, on standard error. A log that is there already stays.
pub(super) fn start(settings: &LogSettings) {
    let level = match settings.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let libraries = match settings.level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Error => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    };
    let filter = Targets::new().with_default(libraries).with_target("sidetone", level);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match settings.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Whoever started one before has a reason.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
