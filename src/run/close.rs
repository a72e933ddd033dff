//! How a run closes: counts that add up, a status, one row in the state, one line in the log.

use std::time::Duration;

use serde_json::json;

use crate::{
    delivery::StopReason,
    model::{Counts, InvalidRow},
    proof::{Boundary, reach},
    state::{RunClose, RunStatus, StateError, SyncUpdate},
    telemetry::{RunFinished, event, events},
    wire::FaultKind,
};

use super::{
    Engine, RunError, RunReport,
    ending::{chain, failed_report, report_of, status_of},
    outcome::Outcome,
    report::{Elsewhere, millis},
    skip::full_read,
    sync_run::{Run, elapsed},
};

/// A run whose work has ended, one way or the other.
pub(super) struct Ended<'a, 'b> {
    pub(super) run: &'b Run<'a>,
}

impl Ended<'_, '_> {
    /// Closes the run in the state and logs it. What cannot be recorded makes the run failed.
    pub(super) async fn close(&self, ended: Result<Outcome, RunError>) -> RunReport {
        let mut report = match ended {
            Ok(outcome) => self.close_carried_out(outcome).await,
            Err(error) => failed_report(&self.run.sync.name, &error),
        };
        report.run = Some(self.run.begun.run);
        report.durations.total_ms = millis(elapsed(self.run));
        if let Err(error) = self.write(&report).await {
            let failed = failed_report(&self.run.sync.name, &RunError::State(error));
            report =
                RunReport { run: report.run, ..failed.having_done(&report.counts, report.durations, report.requests) };
        }
        self.log(&report);
        report
    }

    /// Also a run that fails here tells what it has done.
    async fn close_carried_out(&self, mut outcome: Outcome) -> RunReport {
        let (counts, durations, requests) = (outcome.counts, outcome.durations, outcome.requests);
        let closed = match outcome.failure.take() {
            Some(error) => {
                self.leave_mapping(&outcome).await;
                Err(error)
            }
            None => self.record(outcome).await,
        };
        closed.unwrap_or_else(|error| {
            failed_report(&self.run.sync.name, &error).having_done(&counts, durations, requests)
        })
    }

    /// Entries that the failed run settled stand under its mapping. Not once the lease is lost: another process's run has
    /// the word then.
    async fn leave_mapping(&self, outcome: &Outcome) {
        let (state, sync) = (self.run.engine.state(), self.run.record.id);
        if outcome.counts.delivered > 0 && state.lease_left(sync, self.run.begun.epoch).is_ok() {
            let update = SyncUpdate { mapping: Some(outcome.open_mapping.clone()), ..SyncUpdate::default() };
            // The run has failed anyway; without this the next mapping's changes count as the data's.
            drop(state.update_sync(sync, update).await);
        }
    }

    async fn record(&self, outcome: Outcome) -> Result<RunReport, RunError> {
        let state = self.run.engine.state();
        let sync = self.run.record.id;
        state.writer().flush().await?;
        reach(Boundary::RunClose).await?;
        // A settle that came after the lease was lost is not in the state.
        state.lease_left(sync, self.run.begun.epoch)?;
        outcome.counts.check().map_err(RunError::Accounting)?;
        let status = status_of(&outcome, state.rejected_count(sync).await?);
        let (total, invalid) = (outcome.counts.invalid, outcome.invalid.clone());
        self.log_invalid(&invalid, total);
        self.log_trouble(&outcome);
        state.writer().replace_invalid(sync, self.run.begun.run, invalid, total).await?;
        self.update_sync(&outcome, status).await?;
        Ok(report_of(&self.run.sync.name, outcome, status))
    }

    async fn update_sync(&self, outcome: &Outcome, status: RunStatus) -> Result<(), RunError> {
        let state = self.run.engine.state();
        let (sync, now) = (self.run.record.id, self.run.engine.parts.clock.now());
        let counts = &outcome.counts;
        let open = counts.guarded + counts.left_over + counts.unknown + counts.pending;
        let whole = outcome.stop.is_none() && open == 0 && !outcome.withheld;
        // An approval that came meanwhile is for the next run.
        if whole
            && let Some(used) = outcome.used_approval
            && state.approved(sync).await?.is_some_and(|standing| standing.run == used)
        {
            state.drop_approval(sync).await?;
        }
        let complete = whole && outcome.verdict.tripped.is_empty();
        if complete {
            state.set_null_shares(sync, outcome.nulls.clone()).await?;
        }
        let counts_open = open + counts.rejected + counts.waiting + counts.waiting_removals;
        let clean = complete && counts_open == 0;
        let ended_well = matches!(status, RunStatus::Ok | RunStatus::Partial);
        // A value that was given up frees those that stand refused for it, as a removal does.
        let freed = outcome.released > 0 || (counts.removed > 0 && counts.delivered + counts.skipped > 0);
        let mapping = match (complete, counts.delivered > 0) {
            (true, _) => Some(outcome.settled_mapping.clone()),
            (false, true) => Some(outcome.open_mapping.clone()),
            (false, false) => None,
        };
        let update = SyncUpdate {
            first_run_closed: complete.then_some(true),
            last_ok_at: ended_well.then_some(now),
            mapping,
            last_removal_at: freed.then_some(now),
            full_read: clean.then(|| full_read(self.run.answer, now)),
            cursor: outcome.cursor.clone(),
            ..SyncUpdate::default()
        };
        state.update_sync(sync, update).await?;
        self.end_resync(outcome).await
    }

    /// Every row of the model was delivered under its present key, so the snapshot knows every record and its owner again.
    /// A rejected, invalid or waiting row leaves that open: its record may be one that another key's removal would delete.
    async fn end_resync(&self, outcome: &Outcome) -> Result<(), RunError> {
        let (state, counts) = (self.run.engine.state(), &outcome.counts);
        let open = counts.guarded + counts.left_over + counts.unknown + counts.pending;
        let unsent = open + counts.rejected + counts.invalid + counts.waiting;
        let asked = self.run.record.resync_through.filter(|_| self.run.record.resync_open);
        let Some(through) = asked.filter(|_| outcome.stop.is_none() && unsent == 0) else { return Ok(()) };
        let (sync, run) = (self.run.sync.name.as_str(), self.run.begun.run);
        if state.end_resync(self.run.record.id, through).await? {
            event!(events::STATE_TRUSTED, sync, run = %run, by = "resync");
        }
        Ok(())
    }

    async fn write(&self, report: &RunReport) -> Result<(), StateError> {
        let close = RunClose {
            run: self.run.begun.run,
            status: report.status,
            counts: report.counts,
            summary: json!({
                "trips": report.trips,
                "hint": report.hint,
                "until": report.until,
                "durations": report.durations,
                "requests": report.requests,
            }),
            error: report.reason.clone(),
        };
        self.run.engine.state().close_run(close).await
    }

    fn log_invalid(&self, rows: &[InvalidRow], total: u64) {
        let mut by_code = std::collections::BTreeMap::new();
        for row in rows {
            *by_code.entry(row.code.name()).or_insert(0_u64) += 1;
        }
        for (code, listed) in by_code {
            event!(
                events::ROWS_INVALID,
                sync = self.run.sync.name,
                run = %self.run.begun.run,
                code,
                rows = listed,
                total
            );
        }
    }

    /// What somebody should look at, each in a line of its own.
    fn log_trouble(&self, outcome: &Outcome) {
        let (sync, run) = (self.run.sync.name.as_str(), self.run.begun.run);
        if outcome.withheld {
            event!(events::REMOVALS_WITHHELD, sync, run = %run, rows = outcome.counts.waiting_removals);
        }
        match &outcome.stop {
            Some(StopReason::Quota { until }) => {
                event!(events::QUOTA_SPENT, sync, run = %run, until = until.map(|at| at.to_string()));
            }
            Some(StopReason::Fault(fault)) if matches!(fault.kind, FaultKind::Credentials | FaultKind::Held(_)) => {
                event!(events::CREDENTIALS_REFUSED, sync, run = %run, hint = fault.kind.hint());
            }
            Some(
                StopReason::Fault(_)
                | StopReason::Hold(_)
                | StopReason::Outage(_)
                | StopReason::Shutdown
                | StopReason::PlanTooOld
                | StopReason::TooManyRejects { .. }
                | StopReason::Storage(_),
            )
            | None => {}
        }
    }

    fn log(&self, report: &RunReport) {
        let (sync, run) = (self.run.sync.name.as_str(), self.run.begun.run);
        match report.status {
            RunStatus::Failed => {
                event!(events::RUN_FAILED, sync, run = %run, error = report.reason, hint = report.hint);
            }
            RunStatus::Refused => {
                event!(events::RUN_REFUSED, sync, run = %run, error = report.reason, hint = report.hint);
            }
            RunStatus::Running
            | RunStatus::Ok
            | RunStatus::Partial
            | RunStatus::Guarded
            | RunStatus::Deferred
            | RunStatus::Skipped
            | RunStatus::Interrupted => self.log_finished(report),
        }
    }

    fn log_finished(&self, report: &RunReport) {
        let run = self.run.begun.run.to_string();
        let counts = report.counts;
        if counts.rejected > 0 {
            event!(events::ROWS_REJECTED, sync = self.run.sync.name, run, rows = counts.rejected);
        }
        if report.status != RunStatus::Guarded && self.run.guarded_before {
            event!(events::GUARD_CLEARED, sync = self.run.sync.name, run);
        }
        let ms = Duration::from_millis;
        RunFinished {
            sync: &self.run.sync.name,
            run: &run,
            outcome: report.status.name(),
            counts,
            read: ms(report.durations.plan_ms),
            plan: ms(report.durations.judge_ms),
            deliver: ms(report.durations.deliver_ms),
            total: ms(report.durations.total_ms),
            requests: report.requests.sent,
            retries: report.requests.retries,
            throttled: report.requests.throttled,
            limiter_wait: ms(report.requests.limiter_wait_ms),
            utilisation: report.requests.utilisation,
        }
        .log();
    }
}

impl Engine {
    /// A run that could not begin: nothing is in the state for it but, for a known sync, one closed row.
    pub(super) async fn report_unbegun(&self, name: &str, error: &RunError) -> RunReport {
        if let Some(elsewhere) = elsewhere(error) {
            event!(events::RUN_ELSEWHERE, sync = name, reason = error.to_string());
            let mut report = RunReport::new(name, None, RunStatus::Skipped).because(chain(error), error.hint());
            report.elsewhere = Some(elsewhere);
            return report;
        }
        let mut report = failed_report(name, error);
        if let Ok(Some(record)) = self.state().sync(name).await
            && let Ok(begun) = self.state().begin_run(record.id, "refused").await
        {
            report.run = Some(begun.run);
            let _lease = self.state().guard_lease(record.id, begun.epoch);
            let close = RunClose {
                run: begun.run,
                status: report.status,
                counts: Counts::default(),
                summary: json!({ "hint": report.hint }),
                error: report.reason.clone(),
            };
            // The run has failed anyway; its report says why.
            drop(self.state().close_run(close).await);
        }
        let run = report.run.map(|run| run.to_string());
        if report.status == RunStatus::Refused {
            event!(events::RUN_REFUSED, sync = name, run, error = report.reason, hint = report.hint);
        } else {
            event!(events::RUN_FAILED, sync = name, run, error = report.reason, hint = report.hint);
        }
        report
    }
}

/// Whether the run was not begun because of another process's.
fn elsewhere(error: &RunError) -> Option<Elsewhere> {
    let running = matches!(error, RunError::State(StateError::LeaseHeld { .. })).then_some(Elsewhere::Running);
    running.or_else(|| matches!(error, RunError::State(StateError::RanMeanwhile { .. })).then_some(Elsewhere::Ran))
}
