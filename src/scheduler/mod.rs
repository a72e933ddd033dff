//! When and where syncs run: intervals, operator requests, no overlap, fairness, graceful stop.

mod due;
mod requests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    model::spec::SyncSpec,
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
    running: JoinSet<(String, RunReport)>,
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
        Self { engine, shutdown, heartbeat, plans, running: JoinSet::new(), max_runs, ready: Vec::new() }
    }

    /// Runs until a stop is asked for and every run under way has ended.
    ///
    /// # Errors
    /// When the state cannot be read: nothing can be trusted then (promise P7).
    pub async fn run(mut self) -> Result<(), StateError> {
        event!(events::SCHEDULER_STARTED, syncs = self.plans.len(), max_runs = self.max_runs);
        let mut poll = tokio::time::interval(REQUEST_POLL);
        let mut beat = tokio::time::interval(BEAT);
        let failure = loop {
            self.start_due();
            let next = self.next_due();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break None,
                Some(ended) = self.running.join_next() => {
                    if let Err(error) = self.ended(ended).await {
                        break Some(error);
                    }
                }
                _ = poll.tick() => {
                    if let Err(error) = self.take_requests().await {
                        break Some(error);
                    }
                }
                _ = beat.tick() => self.heartbeat.beat(),
                () = tokio::time::sleep_until(next) => self.mark_due(),
            }
        };
        event!(events::SCHEDULER_STOPPING, running = self.running.len());
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next().await {
            self.ended(ended).await?;
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
            .filter_map(|(name, plan)| plan.due.take(now).map(|since| (since, name.clone())))
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
        let trigger = if plan.waiting.is_empty() { Trigger::Schedule } else { Trigger::Request };
        let engine = self.engine.clone();
        self.running.spawn(async move {
            let report = engine.run_sync(&name, trigger).await;
            (name, report)
        });
    }

    async fn ended(&mut self, ended: Result<(String, RunReport), tokio::task::JoinError>) -> Result<(), StateError> {
        let Ok((name, report)) = ended else {
            // The panic hook has logged it; the sync is not scheduled again, the others go on.
            return Ok(());
        };
        let Some(plan) = self.plans.get_mut(&name) else { return Ok(()) };
        plan.running = false;
        let (answered, later): (Vec<_>, Vec<_>) = plan.waiting.drain(..).partition(|waiting| !waiting.next_run);
        plan.waiting = later;
        if report.status == RunStatus::Partial && report.plan_too_old {
            self.ask(name);
        }
        for waiting in answered {
            requests::answer(&self.engine, waiting.request, &report).await?;
        }
        Ok(())
    }

    async fn take_requests(&mut self) -> Result<(), StateError> {
        for request in self.engine.state().open_requests().await? {
            if self.plans.values().any(|plan| plan.waiting.iter().any(|waiting| waiting.request == request.id)) {
                continue;
            }
            match requests::read(&self.engine, &request) {
                Some(name) => self.enqueue(name, request.id),
                None => requests::execute(&self.engine, &request).await?,
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, name: String, request: i64) {
        if let Some(plan) = self.plans.get_mut(&name) {
            plan.waiting.push(Waiting { request, next_run: plan.running });
            self.ask(name);
        }
    }
}

impl SyncPlan {
    fn new(sync: &SyncSpec, now: Instant) -> Self {
        Self { due: Due::new(&sync.schedule, now), running: false, waiting: Vec::new(), asked: false }
    }
}
