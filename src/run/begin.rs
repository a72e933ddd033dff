//! How a run begins: whether it is its turn, whether anything changed, whether everything it needs is there.

use tokio::time::Instant;

use crate::{
    state::{CursorRecord, MappingRecord, NewSync, RunStatus, SyncRecord, SyncUpdate},
    telemetry::{event, events},
};

use super::{
    Engine, RunError, RunReport, prepare::Prepared, resync, skip::Looked, sync_run::Run, trigger::Trigger, turn,
};

/// A run that has begun, or that has ended already.
pub(super) enum Begun<'a> {
    Run(Box<(Run<'a>, Prepared<'a>)>),
    Ended(Box<RunReport>),
}

impl Engine {
    /// Checks what can be checked, registers the sync at its first run, and begins the run.
    pub(super) async fn begin<'a>(
        &'a self,
        name: &str,
        trigger: Trigger,
        started: Instant,
    ) -> Result<Begun<'a>, RunError> {
        let sync = self.sync(name).ok_or_else(|| RunError::unknown("sync", name))?;
        let known = self.state().sync(name).await?;
        known.as_ref().map_or(Ok(()), resync::refuse_paused)?;
        let unless_after = trigger.due().map(|due| turn::began_by(sync, due));
        if let Some(record) = &known {
            // Looked at once more under the lease; here it spares asking the source.
            self.state().check_turn(record.id, unless_after).await?;
        }
        // Reading and asking changes nothing, so a stop need not wait for a slow database.
        let looked = async {
            Ok(match self.look(sync, trigger).await? {
                Looked::Same(record) => Err(record),
                Looked::Read(answer) => Ok((answer, self.prepare(sync, known.as_ref()).await?)),
            })
        };
        let looked: Result<_, RunError> = tokio::select! {
            looked = looked => looked,
            () = self.parts.shutdown.cancelled() => return Err(RunError::Stopped),
        };
        let (answer, prepared) = match looked? {
            Ok(ready) => ready,
            Err(record) => return Ok(Begun::Ended(Box::new(self.skip(&record, trigger, unless_after).await?))),
        };
        let prepared_for = known.as_ref().map(left_by_runs);
        let record = match known {
            Some(record) => record,
            None => self.register(&prepared).await?,
        };
        let before = self.state().runs(Some(record.id), 1).await?;
        let guarded_before = before.first().is_some_and(|run| run.status == RunStatus::Guarded);
        let begun = self.state().begin_run_unless(record.id, trigger.name(), unless_after).await?;
        let lease = self.state().guard_lease(record.id, begun.epoch);
        let due = trigger.due().map(|due| due.to_string());
        event!(events::RUN_STARTED, sync = name, run = %begun.run, trigger = trigger.name(), due);
        if begun.recovered.dirty_marks > 0 || begun.recovered.interrupted_runs > 0 {
            event!(
                events::STATE_RECOVERED,
                sync = name,
                run = %begun.run,
                interrupted_runs = begun.recovered.interrupted_runs,
                dirty = begun.recovered.dirty_marks
            );
        }
        let mut run = Run { engine: self, sync, record, begun, started, guarded_before, answer, _lease: lease };
        match run.look_again(prepared, prepared_for).await {
            Ok(prepared) => Ok(Begun::Run(Box::new((run, prepared)))),
            Err(error) => Ok(Begun::Ended(Box::new(run.close(Err(error)).await))),
        }
    }

    async fn register(&self, prepared: &Prepared<'_>) -> Result<SyncRecord, RunError> {
        let spec = self.destination(prepared.sync)?;
        let new = NewSync { name: prepared.sync.name.clone(), target: prepared.target(spec), mapping: None };
        Ok(self.state().register_sync(new).await?)
    }
}

impl<'a> Run<'a> {
    /// Another process may have run the sync since it was looked at first, and an operator may have paused it or asked for a
    /// resync. Only under the lease does nobody move the cursor or the mapping any more.
    async fn look_again(
        &mut self,
        prepared: Prepared<'a>,
        prepared_for: Option<LeftByRuns>,
    ) -> Result<Prepared<'a>, RunError> {
        let (engine, state) = (self.engine, self.engine.state());
        if let Some(newer) = state.sync(&self.sync.name).await? {
            self.record = newer;
        }
        resync::refuse_paused(&self.record)?;
        if self.record.full_read.is_some() {
            // Only a clean end may be relied on.
            let update = SyncUpdate { full_read: Some(None), ..SyncUpdate::default() };
            state.update_sync(self.record.id, update).await?;
        }
        let now = left_by_runs(&self.record);
        if prepared_for.map_or(now == (None, None), |before| before == now) {
            return Ok(prepared);
        }
        tokio::select! {
            prepared = engine.prepare(self.sync, Some(&self.record)) => prepared,
            () = engine.parts.shutdown.cancelled() => Err(RunError::Stopped),
        }
    }
}

type LeftByRuns = (Option<MappingRecord>, Option<CursorRecord>);

/// What runs leave for the next one to be prepared with.
fn left_by_runs(record: &SyncRecord) -> LeftByRuns {
    (record.mapping.clone(), record.cursor.clone())
}
