//! The daemon's own settings.

use std::{path::PathBuf, time::Duration};

use super::{SecretSpec, TextSpec};

/// The daemon's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The state store.
    pub state: StateSettings,
    /// The inbound HTTP server.
    pub http: HttpSettings,
    /// Logging.
    pub log: LogSettings,
    /// The scheduler.
    pub scheduler: SchedulerSettings,
}

/// `[state]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// `sqlite://FILE` or `postgres://…`.
    pub url: TextSpec,
    /// The installation key; generated beside an SQLite file when absent.
    pub key: Option<SecretSpec>,
    /// Where spools and side files go when the state is on PostgreSQL; an SQLite file has them in its own folder.
    pub folder: PathBuf,
    /// How long a lease lasts unless it is renewed.
    pub lease: Duration,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Address of `/healthz` and `/readyz`; loopback only.
    pub listen: Option<std::net::SocketAddr>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// `auto` (pretty on a terminal, else JSON), `json` or `pretty`.
    pub format: String,
}

/// `[scheduler]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// Runs at once.
    pub max_runs: usize,
    /// Batches in flight for one run.
    pub workers_per_run: usize,
}
