//! What starts a run, and whose turn it is when several processes run syncs on one state.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    model::{
        Timestamp,
        spec::{Schedule, SyncSpec},
    },
    state::StateError,
};

use super::{Engine, RunError, sync_run::Begun};

/// Processes that share a state agree on the time to this much.
const SLACK: Duration = Duration::from_secs(1);
/// How often a command asks whether a lease that stands in its way is renewed.
const ASK: Duration = Duration::from_secs(1);

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Its time had come.
    Schedule {
        /// When: a run of the sync that began later than this has done what was due.
        due: Timestamp,
    },
    /// A command.
    Command,
    /// A command beside a running daemon.
    Request,
}

impl Trigger {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule { .. } => "schedule",
            Self::Command => "command",
            Self::Request => "request",
        }
    }

    /// When it was due, if its time had come.
    pub const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Schedule { due } => Some(due),
            Self::Command | Self::Request => None,
        }
    }
}

/// A run of a sync that was due at `due` is not needed when another process has begun one after this. Each process counts
/// intervals from its own start, so one that is due in the middle of another's interval waits for the rest of its own.
pub(super) fn began_by(sync: &SyncSpec, due: Timestamp) -> Timestamp {
    match sync.schedule {
        Schedule::Every(every) => due - every + (every / 10).min(SLACK),
        Schedule::Manual => due - SLACK,
    }
}

impl Engine {
    /// As [`Engine::begin`]. A command that finds another process's lease waits until it is renewed, which shows that the
    /// process lives, or over.
    pub(super) async fn begin_patiently<'a>(
        &'a self,
        name: &str,
        trigger: Trigger,
        started: Instant,
    ) -> Result<Begun<'a>, RunError> {
        let mut first_until = None;
        loop {
            let error = match self.begin(name, trigger, started).await {
                Err(error) if trigger == Trigger::Command => error,
                begun => return begun,
            };
            let RunError::State(StateError::LeaseHeld { until, .. }) = error else { return Err(error) };
            if *first_until.get_or_insert(until) != until {
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(ASK) => {}
                () = self.parts.shutdown.cancelled() => return Err(error),
            }
        }
    }
}
