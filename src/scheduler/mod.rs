//! When and where syncs run: intervals, operator requests, no overlap, fairness, graceful stop.

mod due;
mod requests;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

use crate::{
    model::spec::{Schedule, SyncSpec},
    run::{Engine, RunReport, Trigger},
    shutdown::Shutdown,
    state::{RunStatus, StateError},
    telemetry::{event, events},
};

pub use due::Due;
pub use requests::{RequestError, RequestKind, post, wait_for};

/// How often the state is asked for operator requests.
const REQUEST_POLL: Duration = Duration::from_millis(500);
/// The watchdog of the health server expects a beat at least this often.
const BEAT: Duration = Duration::from_secs(1);

/// Tells that the scheduler is alive.
pub trait Heartbeat: Send + Sync {
    /// Called about once a second.
    fn beat(&self);
}

/// Runs syncs until it is told to stop.
pub struct Scheduler {
    engine: Arc<Engine>,
    shutdown: Shutdown,
    heartbeat: Arc<dyn Heartbeat>,
    plans: BTreeMap<String, SyncPlan>,
    running: JoinSet<RunReport>,
    /// Whose run each task is.
    names: HashMap<Id, String>,
    max_runs: usize,
    /// Names of syncs that are due, longest first: first come, first served keeps syncs of one account fair.
    ready: Vec<String>,
}

/// What the scheduler knows of one sync.
struct SyncPlan {
    due: Due,
    running: bool,
    /// Requests that the next run, or the one under way, answers.
    waiting: Vec<Waiting>,
    asked: bool,
    /// An operator paused it: it is not started when it is due.
    paused: bool,
}

/// A request for a run of a sync.
struct Waiting {
    request: i64,
    /// The run under way began before the request and does not answer it.
    next_run: bool,
}

impl Scheduler {
    /// A scheduler for all enabled syncs of the engine.
    pub fn new(engine: Arc<Engine>, shutdown: Shutdown, heartbeat: Arc<dyn Heartbeat>) -> Self {
        let now = Instant::now();
        let plans = engine.syncs().map(|sync| (sync.name.clone(), SyncPlan::new(sync, now))).collect();
        let max_runs = engine.max_runs();
        Self {
            engine,
            shutdown,
            heartbeat,
            plans,
            running: JoinSet::new(),
            names: HashMap::new(),
            max_runs,
            ready: Vec::new(),
        }
    }

    /// Runs until a stop is asked for and every run under way has ended.
    ///
    /// # Errors
    /// When the state cannot be read: nothing can be trusted then (promise P7).
    pub async fn run(mut self) -> Result<(), StateError> {
        event!(events::SCHEDULER_STARTED, syncs = self.plans.len(), max_runs = self.max_runs);
        self.look_for_pauses().await?;
        let mut poll = tokio::time::interval(REQUEST_POLL);
        let mut beat = tokio::time::interval(BEAT);
        let failure = loop {
            self.start_due();
            let next = self.next_due();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break None,
                Some(ended) = self.running.join_next_with_id() => {
                    if let Err(error) = self.ended(ended).await {
                        break Some(error);
                    }
                }
                _ = poll.tick() => {
                    if let Err(error) = self.take_requests().await {
                        break Some(error);
                    }
                    if let Err(error) = self.take_over().await {
                        break Some(error);
                    }
                }
                _ = beat.tick() => self.heartbeat.beat(),
                () = tokio::time::sleep_until(next) => self.mark_due(),
            }
        };
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

    fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        self.plans.values().filter_map(|plan| plan.due.next()).min().unwrap_or(far).min(far)
    }

    /// Moves syncs whose time has come to the ready list. A sync that still runs keeps one pending run, never more.
    fn mark_due(&mut self) {
        let now = Instant::now();
        let mut due: Vec<_> = self
            .plans
            .iter_mut()
            .filter_map(|(name, plan)| {
                let since = plan.due.take(now).filter(|_| !plan.paused)?;
                Some((since, name.clone()))
            })
            .collect();
        due.sort();
        for (_, name) in due {
            self.ask(name);
        }
    }

    fn ask(&mut self, name: String) {
        if let Some(plan) = self.plans.get_mut(&name)
            && !plan.asked
        {
            plan.asked = true;
            self.ready.push(name);
        }
    }

    fn start_due(&mut self) {
        let mut at = 0;
        while at < self.ready.len() && self.running.len() < self.max_runs {
            let startable = self.plans.get(&self.ready[at]).is_some_and(|plan| !plan.running);
            if startable {
                let name = self.ready.remove(at);
                self.start(name);
            } else {
                at += 1;
            }
        }
    }

    fn start(&mut self, name: String) {
        let Some(plan) = self.plans.get_mut(&name) else { return };
        plan.running = true;
        plan.asked = false;
        plan.waiting.iter_mut().for_each(|waiting| waiting.next_run = false);
        let due = self.engine.clock().now();
        let trigger = if plan.waiting.is_empty() { Trigger::Schedule { due } } else { Trigger::Request };
        let engine = self.engine.clone();
        let sync = name.clone();
        let task = self.running.spawn(async move { engine.run_sync(&sync, trigger).await });
        self.names.insert(task.id(), name);
    }

    async fn ended(&mut self, ended: Result<(Id, RunReport), JoinError>) -> Result<(), StateError> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(name) = self.names.remove(&id) else { return Ok(()) };
        let report = ended.map_or_else(|_| panicked(&name), |(_, report)| report);
        let Some(plan) = self.plans.get_mut(&name) else { return Ok(()) };
        plan.running = false;
        let (answered, later): (Vec<_>, Vec<_>) = plan.waiting.drain(..).partition(|waiting| !waiting.next_run);
        plan.waiting = later;
        if report.plan_too_old {
            self.ask(name);
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

    async fn take_requests(&mut self) -> Result<(), StateError> {
        // Another daemon may have carried out a pause.
        let mut changed = self.engine.state().is_shared();
        for request in self.engine.state().claim_requests().await? {
            if self.plans.values().any(|plan| plan.waiting.iter().any(|waiting| waiting.request == request.id)) {
                continue;
            }
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

    /// Takes over which syncs are paused.
    async fn look_for_pauses(&mut self) -> Result<(), StateError> {
        for record in self.engine.state().syncs().await? {
            if let Some(plan) = self.plans.get_mut(&record.name) {
                plan.paused = record.paused;
            }
        }
        Ok(())
    }

    /// Asks for syncs whose process died in a run, elsewhere: whoever comes first goes on. What no schedule starts is left
    /// to operators.
    async fn take_over(&mut self) -> Result<(), StateError> {
        let abandoned = self.engine.state().abandoned_syncs().await?;
        if abandoned.is_empty() {
            return Ok(());
        }
        let records = self.engine.state().syncs().await?;
        let names = records.into_iter().filter(|record| abandoned.contains(&record.id)).map(|record| record.name);
        for name in names {
            if self.engine.sync(&name).is_some_and(|sync| sync.schedule != Schedule::Manual) {
                self.ask(name);
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, name: &str, request: i64) {
        if let Some(plan) = self.plans.get_mut(name) {
            plan.waiting.push(Waiting { request, next_run: plan.running });
            self.ask(name.to_owned());
        }
    }
}

/// The panic hook has logged it; the next run recovers what this one left in flight.
fn panicked(name: &str) -> RunReport {
    RunReport::new(name, None, RunStatus::Failed).because("the run ended in a defect of Syncline; see the log", None)
}

impl SyncPlan {
    fn new(sync: &SyncSpec, now: Instant) -> Self {
        Self { due: Due::new(&sync.schedule, now), running: false, waiting: Vec::new(), asked: false, paused: false }
    }
}
