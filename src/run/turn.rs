//! Whose turn it is when several processes run syncs on one state.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    model::{
        Timestamp,
        spec::{Schedule, SyncSpec},
    },
    state::StateError,
};

use super::{Engine, RunError, Trigger, begin::Begun};

/// Processes that share a state agree on the time to this much.
const SLACK: Duration = Duration::from_secs(1);
/// How often a command asks whether a lease that stands in its way is renewed.
const ASK: Duration = Duration::from_secs(1);

/// A run of a sync that was due at `due` is not needed when another process has begun one after this. Each process counts
/// intervals from its own start, so one that is due in the middle of another's interval waits for the rest of its own.
/// What runs after others is due when the last of them closed, whose time is by the clock of the process that ran it.
pub(super) fn began_by(sync: &SyncSpec, due: Timestamp) -> Timestamp {
    match &sync.schedule {
        Schedule::Every(every) => due - *every + (*every / 10).min(SLACK),
        Schedule::Manual | Schedule::Cron(_) => due - SLACK,
        Schedule::After(_) => due,
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
