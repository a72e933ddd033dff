//! Opening the state.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::clock::Clock;

/// How the state is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The SQLite file.
    pub path: PathBuf,
    /// The installation key; `None`: the file `<path>.key`, made (0600) with the state.
    pub key: Option<SecretString>,
    /// The configuration's environment label; `None` asks for no particular one.
    pub environment: Option<String>,
    /// What for.
    pub access: Access,
    /// The wall clock.
    pub clock: Clock,
}

/// What the state is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Runs syncs: takes the lock, makes or upgrades the file, starts the writer.
    Runner,
    /// Reads, and posts operator requests, beside a daemon.
    Reader,
}
