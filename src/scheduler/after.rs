//! Syncs that run after others. What has closed is asked of the state, so that it survives a restart and does not matter
//! who ran them.

use super::plan::SyncPlan;
use crate::{
    model::Timestamp,
    state::{RunStatus, State, StateError, SyncRecord},
};

/// Runs that are looked through for one that ended well.
const RUNS_LOOKED_AT: u32 = 100;

/// When the last of a sync's parents closed `ok` or `partial`, if all have since the sync's own last start.
pub(super) async fn all_closed(
    state: &State,
    records: &[SyncRecord],
    name: &str,
    plan: &SyncPlan,
) -> Result<Option<Timestamp>, StateError> {
    let record_of = |name: &str| records.iter().find(|record| record.name == name);
    // Asked every few seconds, and mostly in vain: looking through runs costs more than this.
    let closed_since = |parent: &String| record_of(parent).is_some_and(|record| record.last_ok_at > plan.last_start);
    if !plan.parents().iter().all(closed_since) {
        return Ok(None);
    }
    let since = plan.last_start.max(last_start(state, records, name).await?);
    let mut latest = None;
    for parent in plan.parents() {
        let record = record_of(parent);
        // A skipped run counts as good, so this is never too early, and spares looking through the runs.
        let Some(record) = record.filter(|record| record.last_ok_at > since) else { return Ok(None) };
        let runs = state.runs(Some(record.id), RUNS_LOOKED_AT).await?;
        let closed = runs.iter().filter(|run| matches!(run.status, RunStatus::Ok | RunStatus::Partial));
        match closed.filter_map(|run| run.ended_at).max().filter(|ended| Some(*ended) > since) {
            Some(ended) => latest = latest.max(Some(ended)),
            None => return Ok(None),
        }
    }
    Ok(latest)
}

/// When a sync's last run began, as the state knows it. Runs that failed are left out: where another process cannot run the
/// sync, this one tries.
pub(super) async fn last_start(
    state: &State,
    records: &[SyncRecord],
    name: &str,
) -> Result<Option<Timestamp>, StateError> {
    let Some(record) = records.iter().find(|record| record.name == name) else { return Ok(None) };
    let runs = state.runs(Some(record.id), RUNS_LOOKED_AT).await?;
    let last = runs.iter().find(|run| !matches!(run.status, RunStatus::Failed | RunStatus::Refused));
    Ok(last.map(|run| run.started_at))
}
