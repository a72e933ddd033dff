//! When and where syncs run: intervals, cron, after others, operator requests, no overlap, fairness, reload, graceful stop.

mod after;
mod beside;
mod due;
mod overdue;
mod plan;
mod requests;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{Instant, Interval, MissedTickBehavior},
};

use crate::{
    model::Timestamp,
    proof::{Boundary, reach},
    run::{Engine, RunReport, Trigger},
    shutdown::{self, Shutdown},
    state::{RunStatus, StateError},
    telemetry::{event, events},
};

pub use due::{Due, Now};
use plan::{Plans, Waiting};
pub use requests::{RequestError, RequestKind, post, wait_for};

/// How often the state is asked for operator requests.
const REQUEST_POLL: Duration = Duration::from_millis(500);
/// The watchdog of the health server expects a beat at least this often.
const BEAT: Duration = Duration::from_secs(1);
/// How often the state is asked what other processes have run, and what is overdue.
const WATCH: Duration = Duration::from_secs(5);
/// The longest sleep without a look at the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Tells that the scheduler is alive.
pub trait Heartbeat: Send + Sync {
    /// Called about once a second.
    fn beat(&self);
}

/// Runs syncs until it is told to stop.
pub struct Scheduler {
    engine: Arc<Engine>,
    /// Later configurations; the newest counts.
    engines: Option<watch::Receiver<Arc<Engine>>>,
    shutdown: Shutdown,
    heartbeat: Arc<dyn Heartbeat>,
    plans: Plans,
    running: JoinSet<RunReport>,
    /// Whose run each task is.
    names: HashMap<Id, String>,
    /// Syncs that are due, longest first: first come, first served keeps syncs of one account fair.
    ready: Vec<Ready>,
}

/// A sync that waits for its turn.
struct Ready {
    name: String,
    /// Since when.
    due: Timestamp,
}

/// A run to start now.
struct Start {
    name: String,
    trigger: Trigger,
}

impl Scheduler {
    /// A scheduler for all enabled syncs of the engine.
    pub fn new(engine: Arc<Engine>, shutdown: Shutdown, heartbeat: Arc<dyn Heartbeat>) -> Self {
        Self {
            engine,
            engines: None,
            shutdown,
            heartbeat,
            plans: Plans::new(),
            running: JoinSet::new(),
            names: HashMap::new(),
            ready: Vec::new(),
        }
    }

    /// Takes every later engine over: the next runs are its own, runs under way keep theirs.
    #[must_use]
    pub fn following(self, engines: watch::Receiver<Arc<Engine>>) -> Self {
        Self { engines: Some(engines), ..self }
    }

    /// Runs until a stop is asked for and every run under way has ended.
    ///
    /// # Errors
    /// When the state cannot be read: nothing can be trusted then (promise P7).
    pub async fn run(mut self) -> Result<(), StateError> {
        self.begin().await?;
        let shutdown = self.shutdown.clone();
        // A hanging state must not keep it from seeing the runs end.
        let served = shutdown.within(shutdown::REQUESTS, self.serve()).await;
        let failure = served.and_then(Result::err);
        event!(events::SCHEDULER_STOPPING, running = self.running.len());
        self.shutdown.cancel();
        let mut failure = failure;
        while let Some(ended) = self.running.join_next_with_id().await {
            // The others still end and settle what they can.
            if let Err(error) = self.ended(ended).await {
                failure.get_or_insert(error);
            }
        }
        event!(events::SCHEDULER_STOPPED);
        failure.map_or(Ok(()), Err)
    }

    /// Works out when each sync is due first.
    async fn begin(&mut self) -> Result<(), StateError> {
        let state = self.engine.state();
        let records = state.syncs().await?;
        let now = self.now();
        for sync in self.engine.syncs() {
            let last_start = after::last_start(state, &records, &sync.name).await?;
            plan::add(&mut self.plans, sync, now, last_start);
        }
        self.look_for_pauses().await?;
        event!(events::SCHEDULER_STARTED, syncs = self.plans.len(), max_runs = self.engine.max_runs());
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), StateError> {
        let (mut poll, mut beat, mut watch) = (ticks(REQUEST_POLL), ticks(BEAT), ticks(WATCH));
        loop {
            self.mark_due();
            self.start_due();
            let next = self.next_due();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                Some(ended) = self.running.join_next_with_id() => {
                    self.ended(ended).await?;
                    self.look_around().await?;
                }
                engine = newer(&mut self.engines) => {
                    self.replace(engine);
                    self.look_for_pauses().await?;
                }
                _ = watch.tick() => self.look_around().await?,
                _ = poll.tick() => {
                    self.take_requests().await?;
                    self.take_over().await?;
                }
                _ = beat.tick() => self.heartbeat.beat(),
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    fn now(&self) -> Now {
        Now { instant: Instant::now(), wall: self.engine.clock().now() }
    }

    fn next_due(&self) -> Instant {
        let now = self.now();
        let waits = self.plans.values().filter(|plan| !plan.gone).filter_map(|plan| plan.due.wait(now));
        now.instant + waits.min().unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    /// Moves syncs whose time has come to the ready list. A sync that still runs keeps one pending run, never more.
    fn mark_due(&mut self) {
        let now = self.now();
        let plans = self.plans.iter_mut().filter(|(_, plan)| !plan.gone);
        let mut due: Vec<_> =
            plans.filter_map(|(name, plan)| plan.due.take(now).map(|since| (since, name.clone()))).collect();
        due.sort();
        for (since, name) in due {
            self.ask(name, since);
        }
    }

    /// What its schedule asks for, unless an operator paused it.
    fn ask(&mut self, name: String, due: Timestamp) {
        if self.plans.get(&name).is_some_and(|plan| !plan.paused) {
            self.line_up(name, due);
        }
    }

    fn line_up(&mut self, name: String, due: Timestamp) {
        if let Some(plan) = self.plans.get_mut(&name).filter(|plan| plan.may_be_asked()) {
            plan.asked = true;
            self.ready.push(Ready { name, due });
        }
    }

    /// Syncs that run after others, and those that are overdue.
    async fn look_around(&mut self) -> Result<(), StateError> {
        if !self.plans.values().any(|plan| plan.max_age.is_some() || !plan.parents().is_empty()) {
            return Ok(());
        }
        let state = self.engine.state();
        let records = state.syncs().await?;
        let wall = self.engine.clock().now();
        for (name, plan) in self.plans.iter_mut().filter(|(_, plan)| !plan.gone) {
            if let Some(max_age) = plan.max_age {
                let record = records.iter().find(|record| record.name == *name);
                let since = record.map(|record| record.last_ok_at.unwrap_or(record.created_at));
                plan.alarm.look(name, max_age, since, wall);
            }
        }
        let mut due = Vec::new();
        for (name, plan) in &self.plans {
            // While it runs it is not asked: its own start is not yet in the state, perhaps.
            if !plan.parents().is_empty()
                && !plan.running
                && !plan.paused
                && let Some(since) = after::all_closed(state, &records, name, plan).await?
            {
                due.push((since, name.clone()));
            }
        }
        due.sort();
        due.into_iter().for_each(|(since, name)| self.ask(name, since));
        Ok(())
    }

    /// Starts what is ready, as far as there is room.
    fn start_due(&mut self) {
        let room = self.engine.max_runs().saturating_sub(self.running.len());
        let mut starts = Vec::new();
        let plans = &self.plans;
        self.ready.retain(|ready| {
            let Some(plan) = plans.get(&ready.name).filter(|_| starts.len() < room) else { return true };
            if plan.running {
                return true;
            }
            let scheduled = Trigger::Schedule { due: ready.due };
            let trigger = if plan.waiting.is_empty() { scheduled } else { Trigger::Request };
            starts.push(Start { name: ready.name.clone(), trigger });
            false
        });
        self.start(starts);
    }

    /// Starts runs that are due together, in this order; those of one model share its read.
    fn start(&mut self, starts: Vec<Start>) {
        let wall = self.engine.clock().now();
        let names: Vec<_> = starts.iter().map(|start| start.name.clone()).collect();
        let tickets = self.engine.tickets(&names);
        for (Start { name, trigger }, ticket) in starts.into_iter().zip(tickets) {
            let Some(plan) = self.plans.get_mut(&name) else { continue };
            plan.running = true;
            plan.asked = false;
            plan.last_start = Some(wall);
            plan.waiting.iter_mut().for_each(|waiting| waiting.next_run = false);
            let engine = self.engine.clone();
            let sync = name.clone();
            let run = async move { engine.run_sync_watched(&sync, trigger, ticket, &|_| {}).await };
            let task = self.running.spawn(run);
            self.names.insert(task.id(), name);
        }
    }

    async fn ended(&mut self, ended: Result<(Id, RunReport), JoinError>) -> Result<(), StateError> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(name) = self.names.remove(&id) else { return Ok(()) };
        let report = ended.map_or_else(|_| panicked(&name), |(_, report)| report);
        let Some(plan) = self.plans.get_mut(&name) else { return Ok(()) };
        plan.running = false;
        let (answered, later): (Vec<_>, Vec<_>) = plan.waiting.drain(..).partition(|waiting| !waiting.next_run);
        plan.waiting = later;
        if plan.gone {
            self.plans.remove(&name);
        } else if report.plan_too_old {
            self.ask(name, self.engine.clock().now());
        }
        for waiting in answered {
            if report.elsewhere.is_some() {
                // Whoever runs it now, or comes first after that, answers.
                self.engine.state().release_request(waiting.request).await?;
                continue;
            }
            requests::answer(&self.engine, waiting.request, &report).await?;
        }
        // A writer that has failed writes nothing any more: better to stop than to fail every run (promise P7).
        self.engine.state().writer().flush().await
    }

    /// Goes on with another configuration.
    fn replace(&mut self, engine: Arc<Engine>) {
        self.engine = engine;
        let now = self.now();
        let unasked = plan::replace(&mut self.plans, self.engine.syncs(), now);
        self.ready.retain(|ready| !unasked.contains(&ready.name));
    }

    async fn take_requests(&mut self) -> Result<(), StateError> {
        // Another daemon may have carried out a pause.
        let mut changed = self.engine.state().is_shared();
        for request in self.engine.state().claim_requests().await? {
            if self.plans.values().any(|plan| plan.waiting.iter().any(|waiting| waiting.request == request.id)) {
                continue;
            }
            reach(Boundary::RequestTaken).await?;
            match requests::read(&self.engine, &request) {
                Some(name) => self.enqueue(&name, request.id),
                None => {
                    requests::execute(&self.engine, &request).await?;
                    changed = true;
                }
            }
        }
        if changed { self.look_for_pauses().await } else { Ok(()) }
    }

    fn enqueue(&mut self, name: &str, request: i64) {
        if let Some(plan) = self.plans.get_mut(name) {
            plan.waiting.push(Waiting { request, next_run: plan.running });
            self.line_up(name.to_owned(), self.engine.clock().now());
        }
    }
}

/// Ticks that a suspended process does not make up for.
fn ticks(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The next configuration; never, when none can come any more.
async fn newer(engines: &mut Option<watch::Receiver<Arc<Engine>>>) -> Arc<Engine> {
    if let Some(receiver) = engines {
        if receiver.changed().await.is_ok() {
            return receiver.borrow_and_update().clone();
        }
        *engines = None;
    }
    std::future::pending().await
}

/// The panic hook has logged it; the next run recovers what this one left in flight.
fn panicked(name: &str) -> RunReport {
    RunReport::new(name, None, RunStatus::Failed).because("the run ended in a defect of Syncline; see the log", None)
}
