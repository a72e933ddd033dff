//! The state as the other modules use it.

use std::{
    fmt,
    fs::File,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Access, BegunRun, NewSync, NullShare, OpenOptions, Overlay, OwnerScan, OwnerSpace, RunClose, RunRow, Standing,
    StateError, SyncRecord, SyncUpdate, Writer, begin,
    codec::{unpack_invalid, unpack_rejected},
    count,
    holding::Holding,
    keyring::Keyring,
    open::{self, Mark},
    overlay,
    owners::{self, OwnerCache},
    store::{Keyed, RunFilter, StateStore, Write},
};
use crate::{
    clock::Clock,
    model::{Fingerprinter, Held, IntentId, InvalidRow, Key, RejectedMark, RunId, SyncId, Timestamp},
    wire::BudgetStore,
};

/// The state; cheap to clone.
///
/// Errors of its methods, unless they say more: the store fails, or bytes in it are damaged; on a write also the
/// writer's first error, and [`StateError::NotFound`] when the row to change is not there.
#[derive(Clone)]
pub struct State {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) writer: Writer,
    keyring: Arc<Keyring>,
    pub(super) clock: Clock,
    pub(super) access: Access,
    mark: Mark,
    behind: bool,
    owners: tokio::sync::Mutex<OwnerCache>,
    lock: Mutex<Option<Arc<File>>>,
    pub(super) holding: Holding,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("access", &self.inner.access).finish_non_exhaustive()
    }
}

impl State {
    /// Opens the state.
    ///
    /// # Errors
    /// Locked, foreign, newer or damaged state, a wrong key or environment; a reader also when there is none.
    pub async fn open(options: OpenOptions) -> Result<Self, StateError> {
        let opened = open::open(&options).await?;
        #[cfg(any(test, feature = "proof"))]
        let opened = super::in_step::kept(opened);
        let OpenOptions { access, clock, lease, .. } = options;
        let lock = opened.lock.map(Arc::new);
        let holding = Holding::new(&opened.store, access, lease).await?;
        let leases = Arc::clone(&holding.leases);
        let (store, keyring) = (Arc::clone(&opened.store), Arc::clone(&opened.keyring));
        let writer = match access {
            Access::Runner => Writer::start(store, clock.clone(), lock.clone(), leases, keyring).await?,
            Access::Reader => Writer::none(store, clock.clone(), leases, keyring),
        };
        let inner = Inner {
            store: opened.store,
            writer,
            keyring: opened.keyring,
            clock,
            access,
            mark: opened.mark,
            behind: opened.behind,
            owners: tokio::sync::Mutex::default(),
            lock: Mutex::new(lock),
            holding,
        };
        let state = Self { inner: Arc::new(inner) };
        state.write_mark().await?;
        Ok(state)
    }

    /// Drains the writer, closes the store and gives the lock back. Other clones then fail.
    ///
    /// # Errors
    /// The writer's first error; the store is closed all the same.
    pub async fn close(self) -> Result<(), StateError> {
        let drained = self.inner.writer.stop().await;
        let marked = self.write_mark().await;
        let left = self.inner.holding.leave().await;
        let closed = self.inner.store.close().await;
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        drained.and(marked).and(left).and(closed)
    }

    /// True while a sync is suspect: the store was restored or lost commits, as its high-water mark showed, and not every
    /// sync's resync has completed since.
    pub async fn is_suspect(&self) -> Result<bool, StateError> {
        // A reader marks nothing; whoever runs syncs next will.
        let unmarked = self.inner.behind && self.inner.access == Access::Reader;
        Ok(unmarked || self.syncs().await?.iter().any(|sync| sync.suspect))
    }

    /// Whether this process may write: it opened the state to run syncs.
    pub fn is_writable(&self) -> bool {
        self.inner.access == Access::Runner
    }

    /// Notes what this process does (`run`, `sync`), for the commands that find it here.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub async fn announce(&self, command: &str) -> Result<(), StateError> {
        if let Some(file) = self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            (&**file).write_all(command.as_bytes()).map_err(StateError::io("write", "the lock file"))?;
        }
        self.inner.holding.announce(command).await
    }

    /// The sync of that name.
    pub async fn sync(&self, name: &str) -> Result<Option<SyncRecord>, StateError> {
        Ok(self.syncs().await?.into_iter().find(|sync| sync.name == name))
    }

    /// All syncs, by name.
    pub async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError> {
        self.inner.store.syncs().await
    }

    /// Registers a sync under a random id. Of several processes that do so at once all get the first one's.
    ///
    /// # Errors
    /// [`StateError::Contract`] when the name is taken in a state that no other process writes.
    pub async fn register_sync(&self, new: NewSync) -> Result<SyncRecord, StateError> {
        if let Some(known) = self.sync(&new.name).await? {
            // Another process may have been quicker.
            let shared = self.inner.store.is_shared();
            let taken = || StateError::Contract(format!("sync `{}` is registered already", new.name));
            return if shared { Ok(known) } else { Err(taken()) };
        }
        let (name, uuid, at) = (new.name.clone(), open::random()?, self.inner.clock.now());
        self.inner.writer.write(vec![Write::InsertSync { new, uuid, at }]).await?;
        let missing = || StateError::NotFound { what: format!("sync `{name}`") };
        self.sync(&name).await?.ok_or_else(missing)
    }

    /// Changes a sync; under its lease when this process has begun a run of it.
    pub async fn update_sync(&self, id: SyncId, update: SyncUpdate) -> Result<(), StateError> {
        self.inner.writer.write_under(id, vec![Write::UpdateSync { id, update }]).await
    }

    /// Pauses a sync or lets it run again, whoever has its lease.
    pub async fn set_paused(&self, id: SyncId, paused: bool) -> Result<(), StateError> {
        let update = SyncUpdate { paused: Some(paused), ..SyncUpdate::default() };
        self.inner.writer.write(vec![Write::UpdateSync { id, update }]).await.map(drop)
    }

    /// How often each field was null in the sync's last complete run, by field.
    pub async fn null_shares(&self, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
        self.inner.store.null_shares(sync).await
    }

    /// Replaces the null shares of a sync; under its lease when this process has begun a run of it.
    pub async fn set_null_shares(&self, sync: SyncId, shares: Vec<NullShare>) -> Result<(), StateError> {
        self.inner.writer.write_under(sync, vec![Write::SetNullShares { sync, shares }]).await
    }

    /// Takes the fingerprints of a sync's records.
    pub fn fingerprinter(&self, sync: &SyncRecord) -> Fingerprinter {
        self.inner.keyring.hasher(&sync.uuid, b"fingerprint v1")
    }

    /// Hashes match values, record ids and correlations of a sync ([`Fingerprinter::short`]).
    pub fn owner_hasher(&self, sync: &SyncRecord) -> Fingerprinter {
        self.inner.keyring.hasher(&sync.uuid, b"owner v1")
    }

    /// Makes the idempotency keys of records that are created once.
    pub fn idempotency_hasher(&self, sync: &SyncRecord) -> Fingerprinter {
        self.inner.keyring.hasher(&sync.uuid, b"idempotency v1")
    }

    /// Hashes what belongs to no sync, such as credentials.
    pub fn installation_hasher(&self) -> Fingerprinter {
        self.inner.keyring.hasher(&[], b"installation v1")
    }

    /// Seals bytes with the installation key; `context` must be given again to unseal.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Box<[u8]>, StateError> {
        self.inner.keyring.seal(context, plain)
    }

    /// Opens sealed bytes.
    ///
    /// # Errors
    /// Damaged bytes, another context or another key.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, StateError> {
        self.inner.keyring.unseal(context, sealed)
    }

    /// Begins a run: takes the sync's lease and then, in one transaction, earlier runs of the sync that are still `running`
    /// become `interrupted`, every open intent becomes dirty marks, and quiet keys that are over go. A large journal is
    /// then compacted.
    ///
    /// # Errors
    /// [`StateError::LeaseHeld`] when another instance runs the sync.
    pub async fn begin_run(&self, sync: SyncId, trigger: &str) -> Result<BegunRun, StateError> {
        begin::begin_run(self, sync, trigger, None).await
    }

    /// As [`State::begin_run`], unless the sync's last run began after `time`, in any process, and came to its end.
    ///
    /// # Errors
    /// [`StateError::RanMeanwhile`] in that case.
    pub async fn begin_run_unless(
        &self,
        sync: SyncId,
        trigger: &str,
        time: Option<Timestamp>,
    ) -> Result<BegunRun, StateError> {
        begin::begin_run(self, sync, trigger, time).await
    }

    /// Closes a run, after everything queued before it, and gives the sync's lease back. One that was interrupted is left to
    /// whoever else runs syncs on this state, at once.
    ///
    /// # Errors
    /// [`StateError::Fenced`] when the lease was lost: whoever has it now has closed the run too.
    pub async fn close_run(&self, close: RunClose) -> Result<(), StateError> {
        let (sync, epoch) = self.inner.holding.leases.of_run(close.run).ok_or(StateError::Fenced)?;
        let at = self.inner.clock.now();
        let unfinished = close.status == super::RunStatus::Interrupted;
        let release = Write::ReleaseLease { sync, epoch, unfinished };
        let writes = vec![Write::CheckEpoch { sync, epoch }, Write::CloseRun { close, at }, release];
        let closed = self.inner.writer.write(writes).await;
        if matches!(closed, Ok(_) | Err(StateError::Fenced)) {
            self.inner.holding.leases.released(sync, epoch);
        }
        closed?;
        self.write_mark().await
    }

    /// The last runs, newest first.
    pub async fn runs(&self, sync: Option<SyncId>, limit: u32) -> Result<Vec<RunRow>, StateError> {
        self.inner.store.runs(RunFilter::Last(sync), limit).await
    }

    /// One run.
    pub async fn run(&self, id: RunId) -> Result<Option<RunRow>, StateError> {
        Ok(self.inner.store.runs(RunFilter::One(id), 1).await?.pop())
    }

    /// What the state holds for the sync's keys, in key order. Not to be read while the sync settles.
    pub fn overlay(&self, sync: SyncId) -> Overlay {
        Overlay::new(Arc::clone(&self.inner.store), sync, self.inner.writer.compacting(sync))
    }

    /// What the state holds for one key (an empty [`Held`] when nothing).
    pub async fn held(&self, sync: SyncId, key: &Key) -> Result<Held, StateError> {
        overlay::held_at(self.inner.store.as_ref(), sync, key).await
    }

    /// An owner index in the order of (hash, key).
    pub fn owners(&self, sync: SyncId, space: OwnerSpace) -> OwnerScan {
        OwnerScan::new(Arc::clone(&self.inner.store), sync, space, self.inner.writer.compacting(sync))
    }

    /// The keys that own each hash, in the order of the hashes asked; sees writes that this process has queued.
    pub async fn owners_of(
        &self,
        sync: SyncId,
        space: OwnerSpace,
        hashes: &[u64],
    ) -> Result<Vec<Vec<Key>>, StateError> {
        let (store, writer) = (self.inner.store.as_ref(), &self.inner.writer);
        owners::find(store, writer, &self.inner.owners, (sync, space), hashes).await
    }

    /// How many keys of a sync stand rejected.
    pub async fn rejected_count(&self, sync: SyncId) -> Result<u64, StateError> {
        Ok(self.inner.store.totals(sync).await?.rejected)
    }

    /// What stands for a sync, for `status`.
    pub async fn standing(&self, sync: SyncId) -> Result<Standing, StateError> {
        let store = self.inner.store.as_ref();
        let (entries, tombstones) = count::count(store, sync).await?;
        let totals = store.totals(sync).await?;
        let record = self.syncs().await?.into_iter().find(|record| record.id == sync);
        let invalid = record.as_ref().map_or(0, |record| record.invalid);
        let dirty = match record.filter(|record| record.resync_open).and_then(|record| record.resync_through) {
            Some(through) => self.dirty_through(sync, through).await?,
            None => totals.dirty,
        };
        let (oldest_dirty, rejected) = (totals.oldest, totals.rejected);
        Ok(Standing { entries, tombstones, dirty, oldest_dirty, rejected, invalid })
    }

    /// Rejected rows in key order, after a key.
    pub async fn rejected(
        &self,
        sync: SyncId,
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, RejectedMark)>, StateError> {
        let after = after.map(|key| (key.clone(), IntentId { batch: 0, position: 0 }));
        let rows = self.inner.store.keyed(Keyed::Rejected, sync, after.as_ref(), limit).await?;
        let mark = |row: super::store::KeyedRow| unpack_rejected(sync, &row.key, &row.data).map(|mark| (row.key, mark));
        rows.into_iter().map(mark).collect()
    }

    /// The listed invalid rows of the last run that read the model.
    pub async fn invalid(&self, sync: SyncId, limit: u32) -> Result<Vec<InvalidRow>, StateError> {
        let rows = self.inner.store.invalid(sync, limit).await?;
        rows.iter().map(|data| unpack_invalid(sync, data)).collect()
    }

    /// Unapproved removals since a time, from the 24-hour log.
    pub async fn removals_since(&self, sync: SyncId, since: Timestamp) -> Result<u64, StateError> {
        self.inner.store.removals_since(sync, since).await
    }

    /// The account that a credential (by keyed hash) belongs to.
    pub async fn identity(&self, credential_hash: u64) -> Result<Option<String>, StateError> {
        self.inner.store.identity(credential_hash.to_be_bytes()).await
    }

    /// The limiter's saved grants of an account.
    pub async fn grants(&self, account: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.inner.store.grants(account).await
    }

    /// The budgets that daemons on this state share, if there can be several.
    pub fn budget(&self) -> Option<Arc<dyn BudgetStore>> {
        self.inner.store.budget()
    }

    /// The writer. A reader's writer answers every call with an error.
    pub fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    pub(super) fn store(&self) -> &dyn StateStore {
        self.inner.store.as_ref()
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Notes how far the store has come, in the side file.
    pub(super) async fn write_mark(&self) -> Result<(), StateError> {
        match self.inner.access {
            Access::Runner => {
                let followed = self.inner.mark.follow(self.inner.store.as_ref()).await;
                if let Err(error @ StateError::WentBack { .. }) = &followed {
                    // What runs would rely on is gone.
                    self.inner.writer.fail(error.clone());
                }
                followed
            }
            Access::Reader => Ok(()),
        }
    }
}
