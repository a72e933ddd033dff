//! One run, from begin to close.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    delivery::{Claims, Context, Stop, Tally},
    diff,
    model::{Fingerprint, spec::SyncSpec},
    plan::Locals,
    proof::{Boundary, reach},
    shutdown,
    state::{BegunRun, LeaseGuard, State, SyncRecord, SyncUpdate},
    telemetry::{event, events},
    wire::{Fault, FaultKind, Sent},
};

use super::{
    Connected, Engine, RunError, RunReport,
    begin::Begun,
    claims::MatchHasher,
    close::Ended,
    cursor,
    deliver::{Outgoing, finish, held, settle_outside_plan},
    guarded,
    judge::{Basis, Judged},
    outcome::Outcome,
    passed::Passed,
    planner::Planner,
    prepare::Prepared,
    report::{Durations, millis},
    resolve::resolve,
    sharing::{self, Ticket},
    trigger::Trigger,
};

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) sync: &'a SyncSpec,
    pub(super) record: SyncRecord,
    pub(super) begun: BegunRun,
    pub(super) started: Instant,
    /// The sync's run before this one was guarded.
    pub(super) guarded_before: bool,
    /// What `changed_when` answered before the run read.
    pub(super) answer: Option<Fingerprint>,
    /// A run that does not close, as after a panic, leaves its lease to others.
    pub(super) _lease: LeaseGuard,
}

impl Engine {
    /// Runs a sync once. Never fails as a whole: what went wrong is in the report, the state and the log.
    pub async fn run_sync(&self, name: &str, trigger: Trigger) -> RunReport {
        self.run_sync_watched(name, trigger, None, &|_| {}).await
    }

    /// As [`Engine::run_sync`], with a place in a common read, and telling how many rows have been read.
    pub async fn run_sync_watched(
        &self,
        name: &str,
        trigger: Trigger,
        ticket: Option<Ticket>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> RunReport {
        let started = Instant::now();
        let error = match self.in_time(self.begin_patiently(name, trigger, started)).await {
            Ok(Begun::Run(ready)) => {
                let (run, prepared) = *ready;
                let ended = self.in_time(run.carry_out(&prepared, ticket, progress)).await;
                return run.close(ended).await;
            }
            Ok(Begun::Ended(report)) => return *report,
            Err(error) => error,
        };
        // The others need not wait for what is only recorded.
        drop(ticket);
        self.report_unbegun(name, &error).await
    }

    /// What a run does until it closes. After a stop was asked for it is dropped in the end: what it has sent and not settled
    /// is dirty.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        self.parts.shutdown.within(shutdown::RUNS, work).await.unwrap_or(Err(RunError::Stopped))
    }
}

impl Run<'_> {
    async fn carry_out(
        &self,
        prepared: &Prepared<'_>,
        ticket: Option<Ticket>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Outcome, RunError> {
        let mut durations = Durations::default();
        let passed = self.pass(prepared, ticket, progress).await?;
        reach(Boundary::PlanDone).await?;
        durations.plan_ms = millis(self.started.elapsed());
        event!(
            events::MODEL_READ,
            sync = self.sync.name,
            run = %self.begun.run,
            read = passed.counts.read,
            total_ms = durations.plan_ms
        );
        let judging = Instant::now();
        let (local, mut seen) = (passed.local.clone(), passed.cursor);
        let judged = self.basis().judge(passed).await?;
        reach(Boundary::Guard).await?;
        let guarded = guarded::save(self.state(), self.record.id, self.begun.run, &judged).await?;
        durations.judge_ms = millis(judging.elapsed());
        self.log_plan(&judged, durations);
        let mut outcome = Outcome::planned(&judged, guarded, durations, prepared);
        let counts = outcome.counts;
        let delivering = Instant::now();
        let planned = counts.added + counts.changed + counts.removed;
        self.settle_outside_plan(prepared, &local).await?;
        if guarded > 0 {
            seen.keep_planned(&judged.plan, |item| held(&judged.verdict, item))?;
        }
        let delivered = match planned > guarded {
            true => self.deliver(prepared, &judged, &mut outcome, &mut seen).await,
            false => Ok(()),
        };
        // Also after a failure: what has been delivered stays so.
        if let Err(error) = delivered.and(finish(prepared, self.begun.run).await) {
            outcome.failed(error);
        }
        let now = self.engine.parts.clock.now();
        outcome.cursor =
            prepared.cursor.as_ref().filter(|_| !outcome.is_mostly_refused()).map(|cursor| cursor.moved(seen, now));
        outcome.durations.deliver_ms = millis(delivering.elapsed());
        outcome.invalid = judged.invalid;
        Ok(outcome)
    }

    async fn pass(
        &self,
        prepared: &Prepared<'_>,
        ticket: Option<Ticket>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Passed, RunError> {
        let shutdown = &self.engine.parts.shutdown;
        let rows = sharing::rows(prepared, ticket, shutdown).await?;
        let planner = self.engine.planner(prepared, &self.record);
        planner.pass(rows, self.state().overlay(self.record.id), shutdown, progress).await
    }

    fn state(&self) -> &State {
        self.engine.state()
    }

    fn basis(&self) -> Basis<'_> {
        Basis {
            sync: self.sync,
            record: &self.record,
            state: self.state(),
            entries: self.begun.entries,
            now: self.engine.parts.clock.now(),
            spool_dir: &self.engine.parts.spool_dir,
        }
    }

    fn log_plan(&self, judged: &Judged, durations: Durations) {
        let counts = &judged.counts;
        event!(
            events::PLAN_MADE,
            sync = self.sync.name,
            run = %self.begun.run,
            added = counts.added,
            changed = counts.changed,
            remapped = counts.remapped,
            removed = counts.removed,
            invalid = counts.invalid,
            waiting = counts.waiting,
            plan_ms = durations.plan_ms
        );
        for trip in &judged.verdict.tripped {
            event!(
                events::GUARD_TRIPPED,
                sync = self.sync.name,
                run = %self.begun.run,
                rule = trip.rule.name(),
                rows = trip.measured,
                of = trip.snapshot_rows,
                message = trip.message
            );
        }
    }

    /// Settles what needs no request. What a sync that appends forgets must never be read again, so that is noted first.
    async fn settle_outside_plan(&self, prepared: &Prepared<'_>, ends: &Locals) -> Result<(), RunError> {
        if let Some(cursor) = prepared.cursor.as_ref().filter(|_| !ends.is_empty()) {
            let update = SyncUpdate { cursor: Some(cursor.floored()), ..SyncUpdate::default() };
            self.state().update_sync(self.record.id, update).await?;
        }
        settle_outside_plan(self.state(), self.record.id, self.begun.epoch, ends).await
    }

    async fn deliver(
        &self,
        prepared: &Prepared<'_>,
        judged: &Judged,
        outcome: &mut Outcome,
        seen: &mut cursor::Seen,
    ) -> Result<(), RunError> {
        let spec = self.engine.destination(self.sync)?;
        let connected = match self.unless_stopped(self.engine.connect(spec, prepared.destination.as_ref())).await {
            Err(RunError::Request { fault, .. }) => {
                outcome.nothing_sent(*fault);
                return Ok(seen.keep_planned(&judged.plan, |_| true)?);
            }
            connected => connected?,
        };
        self.check_account(&connected).await?;
        let before = connected.account.stats();
        let context = Arc::new(self.context(prepared, &connected, judged, outcome.durations).await?);
        let hasher = self.engine.match_hasher(prepared, &self.record);
        let resolving = resolve(&context, hasher.as_ref(), judged);
        let resolved = match self.unless_stopped(resolving).await {
            Err(RunError::Request { fault, .. }) => {
                outcome.nothing_sent(*fault);
                return Ok(seen.keep_planned(&judged.plan, |_| true)?);
            }
            resolved => resolved?,
        };
        let outgoing = Outgoing {
            context: &context,
            plan: &judged.plan,
            verdict: &judged.verdict,
            withheld: judged.withheld,
            resolved,
            key_record: prepared.key_record.clone(),
        };
        let began = Instant::now();
        let delivering = self.engine.parts.shutdown.within(shutdown::DELIVERY, outgoing.deliver());
        let delivered = delivering.await.unwrap_or(Err(RunError::Stopped));
        outcome.count(&context, &before, began.elapsed());
        seen.keep_open(context.tally.get().open_cursor);
        outcome.stop = context.stop.take();
        delivered
    }

    /// Asks the vendor something that changes nothing; a stop does not wait for the answer.
    async fn unless_stopped<T>(&self, asking: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        tokio::select! {
            biased;
            answer = asking => answer,
            () = self.engine.parts.shutdown.cancelled() => Err(RunError::Request {
                destination: self.sync.destination.clone(),
                action: "ask before the stop",
                fault: Box::new(Fault::new(FaultKind::Stopped, Sent::No)),
            }),
        }
    }

    async fn context(
        &self,
        prepared: &Prepared<'_>,
        connected: &Connected,
        judged: &Judged,
        durations: Durations,
    ) -> Result<Context, RunError> {
        let parts = &self.engine.parts;
        // A plan's age counts from the end of the read: a read that takes longer than `max_plan_age` is delivered too.
        let planned = self.started + Duration::from_millis(durations.plan_ms);
        let claims = if prepared.traits.keeps_ids {
            Claims::load(self.state(), self.record.id, self.begun.entries, judged.counts.added).await?
        } else {
            Claims::default()
        };
        Ok(Context {
            destination: prepared.destination.clone(),
            account: connected.account.clone(),
            state: self.state().clone(),
            sync: self.record.id,
            run: self.begun.run,
            epoch: self.begun.epoch,
            mode: self.sync.mode,
            row_hasher: self.state().idempotency_hasher(&self.record),
            object: self.sync.object.clone(),
            fields: prepared.mapping.field_names().map(str::to_owned).collect(),
            match_fields: self.sync.match_fields.clone(),
            owner_hasher: self.state().owner_hasher(&self.record),
            keeps_ids: prepared.traits.keeps_ids,
            late_window: prepared.late_window,
            workers: parts.scheduler.workers_per_run.max(1),
            plan_expires: planned + self.sync.max_plan_age,
            clock: parts.clock.clone(),
            shutdown: parts.shutdown.clone(),
            claims,
            absent: judged.absent.clone(),
            ahead: connected.ahead.clone(),
            given_up: Default::default(),
            stop: Stop::default(),
            tally: Tally::default(),
        })
    }

    /// The account must be the one of the first run; it is asked only when there is something to send.
    async fn check_account(&self, connected: &Connected) -> Result<(), RunError> {
        let target = &self.record.target;
        match target.account.as_deref() {
            Some(first) if first == connected.identity => Ok(()),
            Some(first) => Err(RunError::Refused {
                reason: format!(
                    "sync `{}` belongs to account `{first}`, but the credential is of account `{}`",
                    self.sync.name, connected.identity
                ),
                hint: "use the credential of the first run's account, or give the sync a new name".to_owned(),
            }),
            None => {
                let target = crate::state::Target { account: Some(connected.identity.clone()), ..target.clone() };
                let update = SyncUpdate { target: Some(target), ..SyncUpdate::default() };
                Ok(self.state().update_sync(self.record.id, update).await?)
            }
        }
    }

    pub(super) async fn close(&self, ended: Result<Outcome, RunError>) -> RunReport {
        Ended { run: self }.close(ended).await
    }
}

impl Engine {
    pub(super) fn planner<'a>(&'a self, prepared: &'a Prepared<'a>, record: &SyncRecord) -> Planner<'a> {
        Planner {
            sync: prepared.sync,
            mapping: &prepared.mapping,
            earlier: &prepared.earlier,
            fresh: prepared.fresh,
            key_kinds: &prepared.key.kinds,
            destination: prepared.destination.as_ref(),
            fingerprinter: self.state().fingerprinter(record),
            hasher: self.match_hasher(prepared, record),
            state: self.state(),
            context: diff::Context {
                now: self.parts.clock.now(),
                late_window: prepared.late_window,
                mode: prepared.sync.mode,
                on_removed: prepared.sync.on_removed,
                read_from: prepared.cursor.as_ref().and_then(|cursor| cursor.from),
                removals_allowed: true,
                last_removal: record.last_removal_at,
                resync_through: record.resync_through.filter(|_| prepared.sync.mode.can_repeat()),
            },
            cursor: prepared.cursor.as_ref(),
            spool_dir: &self.parts.spool_dir,
        }
    }

    pub(super) fn match_hasher(&self, prepared: &Prepared<'_>, record: &SyncRecord) -> Option<MatchHasher> {
        prepared.traits.keeps_owners.then(|| MatchHasher {
            hasher: self.state().owner_hasher(record),
            destination: Arc::clone(&prepared.destination),
            object: prepared.sync.object.clone(),
            fields: prepared.sync.match_fields.clone(),
        })
    }
}

/// Time since the run began.
pub(super) fn elapsed(run: &Run<'_>) -> Duration {
    run.started.elapsed()
}
