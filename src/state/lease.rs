//! Leases: which process may run a sync, when several work on one state.
//!
//! The database's clock decides when a lease is over. This process stops earlier by its own monotonic clock, so that it
//! sends nothing under a lease that another may have taken meanwhile.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{task::JoinHandle, time::Instant};

use super::{StateError, store::StateStore};
use crate::{
    model::{RunId, SyncId, Timestamp},
    proof::{Boundary, reach},
    telemetry::{event, events},
};

/// How long a lease lasts unless it is renewed, when the configuration does not say.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// The command that carries out operator requests.
pub(super) const DAEMON: &str = "run";

/// What taking a lease came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is ours, under this epoch.
    Epoch(i64),
    /// Another instance has it.
    Held {
        /// `HOST/INSTANCE`.
        holder: String,
        /// Until when, unless it is renewed, by the database's clock.
        until: Timestamp,
    },
}

/// A sign of life of a process that runs syncs.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    /// `HOST/INSTANCE`.
    pub(crate) holder: String,
    /// What the process does (`run`, `sync`).
    pub(crate) command: String,
    /// From now on it is good for so long.
    pub(crate) ttl: Duration,
    /// Leases to renew, with their epochs.
    pub(crate) leases: Vec<(SyncId, i64)>,
}

/// The leases that this process holds.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<SyncId, Held>>);

#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: i64,
    run: Option<RunId>,
    /// When this process stops to rely on it; `None`: nobody else can take it.
    until: Option<Instant>,
    lost: bool,
}

impl Leases {
    pub(super) fn took(&self, sync: SyncId, epoch: i64, until: Option<Instant>) {
        self.lock().insert(sync, Held { epoch, run: None, until, lost: false });
    }

    /// The run that works under the sync's lease.
    pub(super) fn begun(&self, sync: SyncId, run: RunId) {
        if let Some(held) = self.lock().get_mut(&sync) {
            held.run = Some(run);
        }
    }

    /// The sync and epoch that a run works under.
    pub(super) fn of_run(&self, run: RunId) -> Option<(SyncId, i64)> {
        self.lock().iter().find(|(_, held)| held.run == Some(run)).map(|(sync, held)| (*sync, held.epoch))
    }

    /// The lease was given back, unless a newer one was taken since.
    pub(super) fn released(&self, sync: SyncId, epoch: i64) {
        self.lock().retain(|held, lease| *held != sync || lease.epoch != epoch);
    }

    pub(super) fn lose(&self, sync: SyncId, epoch: i64) {
        if let Some(held) = self.lock().get_mut(&sync).filter(|held| held.epoch == epoch) {
            held.lost = true;
        }
    }

    pub(super) fn epoch(&self, sync: SyncId) -> Option<i64> {
        self.lock().get(&sync).map(|held| held.epoch)
    }

    /// How long this process may still rely on the lease; `None`: without end.
    pub(super) fn left(&self, sync: SyncId, epoch: i64) -> Result<Option<Duration>, StateError> {
        let held = self.lock().get(&sync).copied().filter(|held| held.epoch == epoch && !held.lost);
        let held = held.ok_or(StateError::Fenced)?;
        let left = held.until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) { Err(StateError::LeaseExpired) } else { Ok(left) }
    }

    fn to_renew(&self) -> Vec<(SyncId, i64)> {
        self.lock().iter().filter(|(_, held)| !held.lost).map(|(sync, held)| (*sync, held.epoch)).collect()
    }

    /// Those of `asked` that are not among `kept` are lost.
    fn renewed(&self, asked: &[(SyncId, i64)], kept: &[SyncId], until: Instant) {
        let mut leases = self.lock();
        for (sync, epoch) in asked {
            if let Some(held) = leases.get_mut(sync).filter(|held| held.epoch == *epoch) {
                held.until = Some(until);
                held.lost = !kept.contains(sync);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SyncId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a lease that was asked for at `asked` is relied on: a sixth earlier than the database lets it go, for what
/// is between a look at the clock and the request.
pub(super) fn relied_until(asked: Instant, ttl: Duration) -> Instant {
    asked + ttl - ttl / 6
}

/// Shows that this process lives, and renews its leases, until dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    me: Arc<Me>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Me {
    store: Arc<dyn StateStore>,
    leases: Arc<Leases>,
    holder: String,
    command: Mutex<String>,
    ttl: Duration,
}

impl Keeper {
    /// Tells the store of this process and goes on telling.
    pub(super) async fn start(
        store: Arc<dyn StateStore>,
        leases: Arc<Leases>,
        holder: String,
        ttl: Duration,
    ) -> Result<Self, StateError> {
        let me = Arc::new(Me { store, leases, holder, command: Mutex::default(), ttl });
        me.beat().await?;
        let task = tokio::spawn(Arc::clone(&me).live());
        Ok(Self { me, task })
    }

    /// Says what this process does.
    pub(super) async fn announce(&self, command: &str) -> Result<(), StateError> {
        command.clone_into(&mut self.me.command.lock().unwrap_or_else(PoisonError::into_inner));
        self.me.beat().await
    }

    /// Stops renewing, and gives everything back.
    pub(super) async fn leave(&self) -> Result<(), StateError> {
        self.task.abort();
        self.me.store.leave(&self.me.holder).await
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Me {
    async fn live(self: Arc<Self>) {
        let mut failing = false;
        loop {
            // After a failure often, so that a short outage of the database costs no lease.
            tokio::time::sleep(self.ttl / if failing { 15 } else { 3 }).await;
            // A defect in one beat is logged as every panic is; it must not end all later ones, and with them the leases.
            let Ok(result) = AssertUnwindSafe(self.beat()).catch_unwind().await else {
                failing = true;
                continue;
            };
            if let Err(error) = &result
                && !failing
            {
                event!(events::STATE_UNREACHABLE, error = error.to_string());
            }
            failing = result.is_err();
        }
    }

    async fn beat(&self) -> Result<(), StateError> {
        reach(Boundary::LeaseRenewal).await?;
        let asked = Instant::now();
        let leases = self.leases.to_renew();
        let command = self.command.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let beat = Beat { holder: self.holder.clone(), command, ttl: self.ttl, leases };
        let kept = self.store.beat(&beat).await?;
        self.leases.renewed(&beat.leases, &kept, relied_until(asked, self.ttl));
        Ok(())
    }
}

/// A name for this process: its host's name and random bits.
pub(super) fn holder_name() -> Result<String, StateError> {
    let random: String = super::open::random()?.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    // Only for people to read; elsewhere than on Linux the random part has to do.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    Ok(format!("{}/{random}", if host.is_empty() { "host" } else { host }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: SyncId = SyncId(1);
    const OTHER: SyncId = SyncId(2);
    const TTL: Duration = Duration::from_secs(30);

    fn leases() -> Leases {
        let leases = Leases::default();
        leases.took(SYNC, 4, Some(Instant::now() + TTL));
        leases.took(OTHER, 7, None);
        leases
    }

    #[test]
    fn a_lease_is_relied_on_for_five_sixths_of_its_time() {
        let asked = Instant::now();
        assert_eq!(relied_until(asked, TTL) - asked, Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_counts_until_its_time_and_for_its_epoch_alone() {
        let leases = leases();
        assert_eq!((leases.epoch(SYNC), leases.epoch(OTHER), leases.epoch(SyncId(3))), (Some(4), Some(7), None));
        assert_eq!(leases.left(SYNC, 4).unwrap(), Some(TTL));
        assert_eq!(leases.left(OTHER, 7).unwrap(), None, "without end");
        assert!(matches!(leases.left(SYNC, 3), Err(StateError::Fenced)));
        tokio::time::advance(TTL - Duration::from_millis(1)).await;
        assert_eq!(leases.left(SYNC, 4).unwrap(), Some(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(matches!(leases.left(SYNC, 4), Err(StateError::LeaseExpired)));
        assert!(leases.left(OTHER, 7).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_lease_of_that_epoch_is_lost_or_given_back() {
        let leases = leases();
        leases.lose(SYNC, 3);
        leases.released(SYNC, 3);
        assert!(leases.left(SYNC, 4).is_ok());
        leases.lose(SYNC, 4);
        assert!(matches!(leases.left(SYNC, 4), Err(StateError::Fenced)));
        assert_eq!(leases.to_renew(), [(OTHER, 7)], "what is lost is not renewed");
        leases.released(SYNC, 4);
        assert_eq!((leases.epoch(SYNC), leases.epoch(OTHER)), (None, Some(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_found_by_the_lease_that_it_works_under() {
        let leases = leases();
        leases.begun(SYNC, RunId(10));
        leases.begun(OTHER, RunId(11));
        assert_eq!((leases.of_run(RunId(10)), leases.of_run(RunId(11))), (Some((SYNC, 4)), Some((OTHER, 7))));
        assert_eq!(leases.of_run(RunId(12)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_and_not_kept_is_lost_and_a_newer_lease_is_not() {
        let leases = leases();
        let asked = leases.to_renew();
        assert_eq!(asked.len(), 2);
        leases.renewed(&asked, &[SYNC], Instant::now() + 2 * TTL);
        assert_eq!(leases.left(SYNC, 4).unwrap(), Some(2 * TTL));
        assert!(matches!(leases.left(OTHER, 7), Err(StateError::Fenced)));
        leases.took(OTHER, 8, None);
        leases.renewed(&asked, &[SYNC], Instant::now() + TTL);
        assert_eq!(leases.left(OTHER, 8).unwrap(), None);
    }
}
