//! What this process holds of a state: its name, its leases, its claims.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Access, Request, RunStatus, State, StateError,
    lease::{self, Keeper, Leases, Taken},
    store::{RunFilter, StateStore, Write},
};
use crate::model::{RunId, SyncId, Timestamp};

/// What this process holds of a state.
#[derive(Debug)]
pub(super) struct Holding {
    holder: String,
    ttl: Duration,
    pub(super) leases: Arc<Leases>,
    /// The last run of each sync that this process began.
    began: Mutex<HashMap<SyncId, RunId>>,
    /// Only where others can run syncs too.
    keeper: Option<Keeper>,
}

impl Holding {
    pub(super) async fn new(store: &Arc<dyn StateStore>, access: Access, ttl: Duration) -> Result<Self, StateError> {
        let (holder, leases) = (lease::holder_name()?, Arc::<Leases>::default());
        let keeper = if store.is_shared() && access == Access::Runner {
            Some(Keeper::start(Arc::clone(store), Arc::clone(&leases), holder.clone(), ttl).await?)
        } else {
            None
        };
        Ok(Self { holder, ttl, leases, began: Mutex::default(), keeper })
    }

    fn began(&self) -> MutexGuard<'_, HashMap<SyncId, RunId>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn announce(&self, command: &str) -> Result<(), StateError> {
        match &self.keeper {
            Some(keeper) => keeper.announce(command).await,
            None => Ok(()),
        }
    }

    pub(super) async fn leave(&self) -> Result<(), StateError> {
        match &self.keeper {
            Some(keeper) => keeper.leave().await,
            None => Ok(()),
        }
    }
}

/// A lease that somebody works under. Dropped, also by a panic, the lease is not renewed any more: it ends by itself, and
/// whoever takes it goes on. Does nothing once the lease was given back.
#[derive(Debug)]
pub struct LeaseGuard {
    leases: Arc<Leases>,
    sync: SyncId,
    epoch: Option<i64>,
}

impl LeaseGuard {
    /// Leaves the lease to another guard.
    pub(super) fn disarm(mut self) {
        self.epoch = None;
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if let Some(epoch) = self.epoch {
            self.leases.lose(self.sync, epoch);
        }
    }
}

#[allow(clippy::missing_errors_doc, reason = "all fail as the store does")]
impl State {
    /// Whether several processes can run syncs on this state.
    pub fn is_shared(&self) -> bool {
        self.inner.store.is_shared()
    }

    /// Whether a process that carries out requests works on this state now.
    pub async fn has_daemon(&self) -> Result<bool, StateError> {
        self.inner.store.runs_daemon().await
    }

    /// How long a run may still send under its lease; `None`: without end.
    ///
    /// # Errors
    /// [`StateError::Fenced`] or [`StateError::LeaseExpired`] when the lease is lost: nothing more may be sent.
    pub fn lease_left(&self, sync: SyncId, epoch: i64) -> Result<Option<Duration>, StateError> {
        self.inner.holding.leases.left(sync, epoch)
    }

    /// Syncs whose run ended with its process, elsewhere: whoever takes the lease goes on with it.
    pub async fn abandoned_syncs(&self) -> Result<Vec<SyncId>, StateError> {
        self.inner.store.abandoned().await
    }

    /// Open requests that are this process's to carry out: it has claimed them, and no other process will while it lives.
    pub async fn claim_requests(&self) -> Result<Vec<Request>, StateError> {
        let Holding { holder, ttl, .. } = &self.inner.holding;
        self.inner.store.claim_requests(holder, *ttl).await
    }

    /// Leaves a claimed request to others, or to a later time.
    pub async fn release_request(&self, id: i64) -> Result<(), StateError> {
        self.inner.store.release_request(id, &self.inner.holding.holder).await
    }

    /// Refuses a run that another process has done: the sync's last one, when it began after `time` and came to
    /// a good end.
    ///
    /// # Errors
    /// [`StateError::RanMeanwhile`] then; also when the store fails.
    pub async fn check_turn(&self, sync: SyncId, time: Option<Timestamp>) -> Result<(), StateError> {
        let Some(time) = time.filter(|_| self.is_shared()) else { return Ok(()) };
        let Some(last) = self.inner.store.runs(RunFilter::Last(Some(sync)), 1).await?.pop() else { return Ok(()) };
        // A process that cannot run a sync must not keep those that can from it.
        let ended = match last.status {
            RunStatus::Ok | RunStatus::Partial | RunStatus::Skipped | RunStatus::Guarded | RunStatus::Deferred => true,
            RunStatus::Failed | RunStatus::Refused | RunStatus::Running | RunStatus::Interrupted => false,
        };
        let ours = self.inner.holding.began().get(&sync) == Some(&last.id);
        if ended && !ours && last.started_at > time {
            return Err(StateError::RanMeanwhile { run: last.id, at: last.started_at });
        }
        Ok(())
    }

    pub(super) fn note_begun(&self, sync: SyncId, run: RunId) {
        self.inner.holding.began().insert(sync, run);
        self.inner.holding.leases.begun(sync, run);
    }

    /// Takes the lease of a sync; answers its new epoch.
    pub(super) async fn take_lease(&self, sync: SyncId) -> Result<i64, StateError> {
        let Holding { holder, ttl, leases, .. } = &self.inner.holding;
        let asked = Instant::now();
        match self.inner.store.take_lease(sync, holder, *ttl).await? {
            Taken::Epoch(epoch) => {
                leases.took(sync, epoch, self.is_shared().then(|| lease::relied_until(asked, *ttl)));
                Ok(epoch)
            }
            Taken::Held { holder, until } => Err(StateError::LeaseHeld { holder, until }),
        }
    }

    /// Stops to renew the lease when dropped, unless it was given back before. For whoever works under it.
    pub fn guard_lease(&self, sync: SyncId, epoch: i64) -> LeaseGuard {
        LeaseGuard { leases: Arc::clone(&self.inner.holding.leases), sync, epoch: Some(epoch) }
    }

    pub(super) async fn release_lease(&self, sync: SyncId, epoch: i64) -> Result<(), StateError> {
        self.inner.writer.write(vec![Write::ReleaseLease { sync, epoch, unfinished: false }]).await?;
        self.inner.holding.leases.released(sync, epoch);
        Ok(())
    }
}
