//! Sets the log up from the configuration.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing::{Subscriber, level_filters::LevelFilter, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{Layer as _, Registry, filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt as _};

use super::escape::Escaping;
use crate::model::spec::LogSettings;

/// Only lines with exactly this target pass; [`super::event!`] sets it.
const TARGET: &str = "syncline";

/// The log could not be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// `[log] level` is not a known level.
    #[error("log level is `{got}`, expected `error`, `warn`, `info`, `debug` or `trace`")]
    Level {
        /// What the configuration says.
        got: String,
    },
    /// `[log] format` is not a known format.
    #[error("log format is `{got}`, expected `auto`, `json` or `pretty`")]
    Format {
        /// What the configuration says.
        got: String,
    },
    /// The process already has a log.
    #[error("the log is already set up")]
    AlreadySet(#[from] SetGlobalDefaultError),
}

/// Sets the process's log up: lines to standard error, and a line instead of the standard report for a panic.
///
/// # Errors
/// An unknown level or format, or a second call in one process.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let subscriber = subscriber(settings, io::stderr().is_terminal(), io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)?;
    super::hook_panics();
    Ok(())
}

/// The log as a value, for writers other than standard error and for tests (`tracing::subscriber::with_default`).
///
/// `terminal` says whether a person reads the lines: `auto` is then the pretty format, with colours.
/// Only Syncline's own events pass, whatever the level: lines of other crates may hold statements, headers or values
/// (sqlx logs slow statements and server notices at `warn`). Messages of the `log` crate are not collected at all.
///
/// # Errors
/// An unknown level or format.
pub fn subscriber<W>(
    settings: &LogSettings,
    terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let finest = level(&settings.level)?;
    let own = filter_fn(move |line| line.target() == TARGET && line.level() <= &finest).with_max_level_hint(finest);
    let colour = terminal && is_pretty(&settings.format, terminal)?;
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(Escaping { inner: writer, colour });
    if is_pretty(&settings.format, terminal)? {
        let layer = if colour { layer } else { layer.with_ansi(false) };
        return Ok(Box::new(Registry::default().with(layer.compact().with_filter(own))));
    }
    let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
    Ok(Box::new(Registry::default().with(layer.with_ansi(false).with_filter(own))))
}

fn level(text: &str) -> Result<LevelFilter, LogError> {
    match text {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        other => Err(LogError::Level { got: other.to_owned() }),
    }
}

fn is_pretty(format: &str, terminal: bool) -> Result<bool, LogError> {
    match format {
        "auto" => Ok(terminal),
        "json" => Ok(false),
        "pretty" => Ok(true),
        other => Err(LogError::Format { got: other.to_owned() }),
    }
}
