//! What can go wrong with the state. Every storage error is fail-stop (promise P7).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    model::{RunId, Timestamp},
    proof::Injected,
};

/// An error of the state store. Cheap to clone: the writer hands its first error to every later caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// Another process runs syncs on this state.
    #[error("another process runs syncs on this state (lock `{}`)", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// There is no state yet, and a reading command does not make one.
    #[error("there is no state at `{}`", path.display())]
    Missing {
        /// The state file, or the database's address without credentials.
        path: PathBuf,
    },
    /// The file is not a Syncline state.
    #[error("`{}` is not a Syncline state: {reason}", path.display())]
    Foreign {
        /// The state file, or the database's address without credentials.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// The state was written by a newer version.
    #[error("the state has schema version {found}, this program knows up to {known}")]
    Newer {
        /// The file's version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The state was written by an older version and only a command that runs syncs upgrades it.
    #[error("the state has schema version {found}, this program needs {needed}")]
    Older {
        /// The file's version.
        found: i64,
        /// The version needed.
        needed: i64,
    },
    /// Bytes in the state are damaged. Never treated as empty.
    #[error("the state is damaged: {what}")]
    Damaged {
        /// Which part, without any value.
        what: String,
    },
    /// The installation key is not the one that the state was made with.
    #[error("the installation key is not the one that this state was made with")]
    WrongKey,
    /// The installation key cannot be read or is unusable.
    #[error("the installation key `{}` cannot be used: {reason}", path.display())]
    Key {
        /// The key file, or the configuration's name for it.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The state belongs to another environment.
    #[error("the state belongs to environment `{found}`, the configuration says `{expected}`")]
    Environment {
        /// The label in the state.
        found: String,
        /// The label of the configuration.
        expected: String,
    },
    /// The SQLite library is too old to be safe.
    #[error("SQLite {found} is too old, {needed} or newer is needed")]
    SqliteVersion {
        /// The library's version.
        found: String,
        /// The oldest safe version.
        needed: &'static str,
    },
    /// Another instance runs the sync.
    #[error("instance `{holder}` runs this sync, at least until {until}")]
    LeaseHeld {
        /// `HOST/INSTANCE`.
        holder: String,
        /// When its lease ends unless it is renewed, by the database's clock.
        until: Timestamp,
    },
    /// A run of the sync has begun meanwhile, in another process.
    #[error("run {run} of this sync began meanwhile, at {at}")]
    RanMeanwhile {
        /// That run.
        run: RunId,
        /// When it began.
        at: Timestamp,
    },
    /// The lease could not be renewed in time: another instance may have taken the sync over.
    #[error("the lease of this sync could not be renewed in time")]
    LeaseExpired,
    /// The connection was lost while a transaction was committed: nobody knows whether it was. Never repeated.
    #[error("the state's database{} was lost in the middle of a commit: whether it happened is not known", named(place.as_deref()))]
    CommitUnknown {
        /// The database's address without credentials, where that is known.
        place: Option<Arc<Path>>,
        /// The cause.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The state's address cannot be used. The address is not shown, it may hold a password.
    #[error("`[state] url` cannot be used: {reason}")]
    Address {
        /// Why.
        reason: String,
    },
    /// The installation key is not given, and a state on PostgreSQL generates none.
    #[error("a state on PostgreSQL needs the installation key")]
    NoKey,
    /// The store has fewer commits than this process has seen in it: it was restored beneath it, or lost writes.
    #[error("the state went back under this process: it has {found} commits and had {had}")]
    WentBack {
        /// Commits now.
        found: i64,
        /// Commits that this process has seen.
        had: i64,
    },
    /// The lease was lost: another instance took the sync over.
    #[error("the lease of this sync was lost to a newer instance")]
    Fenced,
    /// A row that must be there is not (a run, a sync, an open intent).
    #[error("the state has no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// A run has no guarded set to approve.
    #[error("run {run} has nothing to approve")]
    NothingToApprove {
        /// The run.
        run: RunId,
    },
    /// A caller broke the store's contract: a bug.
    #[error("broken contract of the state: {0}")]
    Contract(String),
    /// A daemon compacted the snapshot while a reading command read it.
    #[error("the snapshot was rewritten while it was read")]
    Changed,
    /// The writer has stopped.
    #[error("the state writer has stopped")]
    Stopped,
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The database failed.
    #[error("the state store{} failed: cannot {action}", named(place.as_deref()))]
    Store {
        /// What was tried.
        action: &'static str,
        /// The state file, or the database's address without credentials, where that is known.
        place: Option<Arc<Path>>,
        /// The cause.
        #[source]
        source: Arc<sqlx::Error>,
    },
}

impl From<Injected> for StateError {
    /// As when the database is lost in the middle of a statement.
    fn from(injected: Injected) -> Self {
        Self::Store { action: "pass a boundary", place: None, source: Arc::new(sqlx::Error::Io(injected.into())) }
    }
}

impl StateError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    /// The same, of this state file or database.
    #[must_use]
    pub(super) fn at(self, place: &Path) -> Self {
        match self {
            Self::Store { action, place: None, source } => Self::Store { action, place: Some(place.into()), source },
            Self::CommitUnknown { place: None, source } => Self::CommitUnknown { place: Some(place.into()), source },
            other => other,
        }
    }

    /// What the process that holds the lock does (`run`, `sync`), if this is about a lock and it has said so.
    pub fn holder(&self) -> Option<String> {
        let Self::Locked { path } = self else { return None };
        std::fs::read_to_string(path).ok().filter(|command| !command.is_empty())
    }

    /// What an operator can do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some("stop the other `run` or `sync`, or let it finish"),
            Self::Missing { .. } => Some("it is made by the first `sync` or `run`; check `[state] url`"),
            Self::Foreign { .. } => Some("point `[state] url` at another file or database"),
            Self::Newer { .. } => {
                Some("run the newer version of the program, or restore the backup made before its upgrade")
            }
            Self::Older { .. } => {
                Some("start this version's `run` or `sync`: it makes a backup and upgrades the state")
            }
            Self::Damaged { .. } => Some("restore a backup; do not delete the state, that would send every row again"),
            Self::WrongKey | Self::Key { .. } => Some("give the key file that was made beside this state"),
            Self::Environment { .. } => Some("check that the configuration and the state file belong together"),
            Self::NothingToApprove { .. } => {
                Some("`runs` lists the runs; only a guarded run of the last days can be approved")
            }
            Self::Io { .. } | Self::Store { .. } => {
                Some("check the state's folder or database: free space, permissions, network")
            }
            Self::Changed => Some("try again"),
            Self::LeaseHeld { .. } => Some("let it finish; a lease whose process died ends by itself"),
            Self::Fenced | Self::LeaseExpired => Some(
                "the instance that took over goes on; this one was stopped or cut off for longer than `[state] lease`",
            ),
            Self::CommitUnknown { .. } => Some("start again: what was in flight is found and sent again where needed"),
            Self::WentBack { .. } => Some(
                "start again: every sync is then suspect until a resync; if the database was not restored on purpose, check \
                 that `[state] url` leads to one server, and to the primary",
            ),
            Self::Address { .. } => {
                Some("write `postgres://USER@HOST:PORT/DATABASE`, as a secret if it has a password")
            }
            Self::NoKey => {
                Some("set `[state] key = { file = \"…\" }` to at least 32 random characters, the same for every daemon")
            }
            Self::SqliteVersion { .. }
            | Self::RanMeanwhile { .. }
            | Self::NotFound { .. }
            | Self::Contract(_)
            | Self::Stopped => None,
        }
    }
}

/// A name within a sentence.
fn named(place: Option<&Path>) -> String {
    place.map(|place| format!(" `{}`", place.display())).unwrap_or_default()
}
