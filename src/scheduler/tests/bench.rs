//! A scheduler whose time the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::super::{Heartbeat, Scheduler};
use crate::{
    model::{
        Timestamp,
        spec::{Schedule, SchedulerSettings, Specs, SyncSpec},
    },
    run::{
        Engine,
        testing::{Kit, advance, rows},
    },
    state::{RunRow, RunStatus, StateError},
};

/// One run at a time, so that the order of runs is that of their starts.
pub(super) const ONE: SchedulerSettings = SchedulerSettings { max_runs: 1, workers_per_run: 1 };

/// A running scheduler over the stand-ins.
pub(super) struct Bench {
    pub(super) kit: Kit,
    pub(super) engines: watch::Sender<Arc<Engine>>,
    beats: Arc<Beats>,
    daemon: JoinHandle<Result<(), StateError>>,
}

#[derive(Default)]
struct Beats {
    count: AtomicU64,
    beaten: Notify,
}

impl Heartbeat for Beats {
    fn beat(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.beaten.notify_waiters();
    }
}

/// A wall-clock time.
pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

/// Syncs of these names and schedules, as the kit's one otherwise.
pub(super) fn syncs(specs: &mut Specs, schedules: &[(&str, Schedule)]) {
    let base = specs.syncs[0].clone();
    let sync = |(name, schedule): &(&str, Schedule)| SyncSpec {
        name: (*name).to_owned(),
        schedule: schedule.clone(),
        ..base.clone()
    };
    specs.syncs = schedules.iter().map(sync).collect();
}

/// The stand-ins with these syncs, from this wall-clock time on.
pub(super) async fn kit(start: &str, schedules: &[(&str, Schedule)]) -> Kit {
    let mut specs = Kit::specs();
    syncs(&mut specs, schedules);
    Kit::starting(10, at(start), specs).await
}

impl Bench {
    pub(super) async fn start(kit: Kit) -> Self {
        kit.source.set(&rows(0..2, "a"));
        let beats = Arc::new(Beats::default());
        let engines = watch::Sender::new(kit.engine.clone());
        let scheduler = Scheduler::new(kit.engine.clone(), kit.shutdown.clone(), beats.clone());
        let daemon = tokio::spawn(scheduler.following(engines.subscribe()).run());
        let bench = Self { kit, engines, beats, daemon };
        bench.beat_after(0).await;
        bench
    }

    /// Syncs of these names and schedules from this wall-clock time on.
    pub(super) async fn of(start: &str, schedules: &[(&str, Schedule)]) -> Self {
        let mut kit = kit(start, schedules).await;
        kit.engine = Arc::new(kit.engine.reconfigured(kit.engine.specs().clone(), ONE));
        Self::start(kit).await
    }

    async fn beat_after(&self, count: u64) {
        let beaten = async {
            loop {
                let next = self.beats.beaten.notified();
                if self.beats.count.load(Ordering::SeqCst) > count {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), beaten).await.expect("the scheduler beats");
    }

    /// Moves the time; when it returns the scheduler has seen it.
    pub(super) async fn step(&self, time: Duration) {
        let count = self.beats.count.load(Ordering::SeqCst);
        advance(time).await;
        self.beat_after(count).await;
    }

    /// Waits until this many runs have ended, and returns them, oldest first.
    pub(super) async fn ended(&self, count: usize) -> Vec<RunRow> {
        let ended = async {
            loop {
                let runs = self.runs().await;
                if runs.iter().filter(|run| run.status != RunStatus::Running).count() >= count {
                    return runs;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the runs end")
    }

    /// All runs, oldest first.
    pub(super) async fn runs(&self) -> Vec<RunRow> {
        let mut runs = self.kit.engine.state().runs(None, 10_000).await.unwrap();
        runs.reverse();
        runs
    }

    /// The names of the syncs of all runs that ended, in the order of their starts.
    pub(super) async fn order(&self, count: usize) -> Vec<String> {
        let runs = self.ended(count).await;
        let records = self.kit.engine.state().syncs().await.unwrap();
        let name = |run: &RunRow| records.iter().find(|record| record.id == run.sync).unwrap().name.clone();
        runs.iter().map(name).collect()
    }

    pub(super) async fn stop(self) {
        self.kit.shutdown.cancel();
        self.daemon.await.unwrap().unwrap();
    }
}
