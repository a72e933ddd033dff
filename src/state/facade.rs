//! The state as the other modules use it.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Access, Approval, ApprovedScan, BegunRun, NewSync, NullShare, OpenOptions, Overlay, OwnerScan, OwnerSpace,
    RunClose, RunRow, Standing, StateError, SyncRecord, SyncUpdate, Writer, begin,
    codec::{split_owner_key, unpack_invalid, unpack_rejected},
    count,
    keyring::Keyring,
    open::{self, Mark},
    overlay,
    owners::{OwnerCache, PageLookup},
    store::{Keyed, RunFilter, StateStore, Write},
};
use crate::{
    clock::Clock,
    model::{Fingerprinter, Held, IntentId, InvalidRow, Key, RejectedMark, RunId, SyncId, Timestamp},
};

/// How long an approval stands.
const APPROVAL: Duration = Duration::from_secs(24 * 3600);

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
    keyring: Keyring,
    pub(super) clock: Clock,
    pub(super) access: Access,
    mark: Mark,
    suspect: bool,
    owners: tokio::sync::Mutex<OwnerCache>,
    lock: Mutex<Option<Arc<File>>>,
    path: PathBuf,
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
        let OpenOptions { access, clock, path, .. } = options;
        let lock = opened.lock.map(Arc::new);
        let writer = match access {
            Access::Runner => Writer::start(Arc::clone(&opened.store), clock.clone(), lock.clone()).await?,
            Access::Reader => Writer::none(Arc::clone(&opened.store), clock.clone()),
        };
        let inner = Inner {
            store: opened.store,
            writer,
            keyring: opened.keyring,
            clock,
            access,
            mark: opened.mark,
            suspect: opened.suspect,
            owners: tokio::sync::Mutex::default(),
            lock: Mutex::new(lock),
            path,
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
        let closed = self.inner.store.close().await;
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        drained.and(marked).and(closed)
    }

    /// True when the store is older than its high-water mark: it was restored, or lost commits.
    pub fn is_suspect(&self) -> bool {
        self.inner.suspect
    }

    /// Whether this process may write: it opened the state to run syncs.
    pub fn is_writable(&self) -> bool {
        self.inner.access == Access::Runner
    }

    /// Whether any process runs syncs on this state now.
    pub fn has_runner(&self) -> bool {
        super::open::is_locked(&self.inner.path)
    }

    /// Notes in the lock file what this process does (`run`, `sync`), for the commands that find it locked.
    ///
    /// # Errors
    /// When the lock file cannot be written.
    pub fn announce(&self, command: &str) -> Result<(), StateError> {
        let lock = self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = lock.as_ref() else { return Ok(()) };
        (&**file).write_all(command.as_bytes()).map_err(StateError::io("write", "the lock file"))
    }

    /// The sync of that name.
    pub async fn sync(&self, name: &str) -> Result<Option<SyncRecord>, StateError> {
        Ok(self.syncs().await?.into_iter().find(|sync| sync.name == name))
    }

    /// All syncs, by name.
    pub async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError> {
        self.inner.store.syncs().await
    }

    /// Registers a sync under a random id.
    ///
    /// # Errors
    /// [`StateError::Contract`] when the name is taken.
    pub async fn register_sync(&self, new: NewSync) -> Result<SyncRecord, StateError> {
        if self.sync(&new.name).await?.is_some() {
            return Err(StateError::Contract(format!("sync `{}` is registered already", new.name)));
        }
        let (name, uuid, at) = (new.name.clone(), open::random()?, self.inner.clock.now());
        self.inner.writer.write(vec![Write::InsertSync { new, uuid, at }]).await?;
        let missing = || StateError::NotFound { what: format!("sync `{name}`") };
        self.sync(&name).await?.ok_or_else(missing)
    }

    /// Changes a sync.
    pub async fn update_sync(&self, id: SyncId, update: SyncUpdate) -> Result<(), StateError> {
        self.inner.writer.write(vec![Write::UpdateSync { id, update }]).await.map(|_| ())
    }

    /// How often each field was null in the sync's last complete run, by field.
    pub async fn null_shares(&self, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
        self.inner.store.null_shares(sync).await
    }

    /// Replaces the null shares of a sync.
    pub async fn set_null_shares(&self, sync: SyncId, shares: Vec<NullShare>) -> Result<(), StateError> {
        self.inner.writer.write(vec![Write::SetNullShares { sync, shares }]).await.map(|_| ())
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

    /// Begins a run. In one transaction: earlier runs of the sync that are still `running` become `interrupted`, every
    /// open intent becomes dirty marks, quiet keys that are over go, and the lease is taken. A large journal is then
    /// compacted.
    pub async fn begin_run(&self, sync: SyncId, trigger: &str) -> Result<BegunRun, StateError> {
        begin::begin_run(self, sync, trigger).await
    }

    /// Closes a run, after everything queued before it.
    pub async fn close_run(&self, close: RunClose) -> Result<(), StateError> {
        let at = self.inner.clock.now();
        self.inner.writer.write(vec![Write::CloseRun { close, at }]).await?;
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
        Overlay::new(Arc::clone(&self.inner.store), sync)
    }

    /// What the state holds for one key (an empty [`Held`] when nothing).
    pub async fn held(&self, sync: SyncId, key: &Key) -> Result<Held, StateError> {
        overlay::held_at(self.inner.store.as_ref(), sync, key).await
    }

    /// An owner index in the order of (hash, key).
    pub fn owners(&self, sync: SyncId, space: OwnerSpace) -> OwnerScan {
        OwnerScan::new(Arc::clone(&self.inner.store), sync, space)
    }

    /// The keys that own each hash, in the order of the hashes asked; sees writes that this process has queued.
    pub async fn owners_of(
        &self,
        sync: SyncId,
        space: OwnerSpace,
        hashes: &[u64],
    ) -> Result<Vec<Vec<Key>>, StateError> {
        let (store, writer) = (self.inner.store.as_ref(), &self.inner.writer);
        // Queued writes are looked at first: one that becomes durable meanwhile is then seen twice, not missed.
        let pending: Vec<_> = hashes.iter().map(|hash| writer.pending_owners(sync, space, *hash)).collect();
        let mut cache = self.inner.owners.lock().await;
        let journal = cache.refresh(store, sync, writer.generation()).await?.owners(space);
        let mut order: Vec<usize> = (0..hashes.len()).collect();
        order.sort_unstable_by_key(|&at| hashes.get(at));
        let mut found = vec![Vec::new(); hashes.len()];
        let mut pages = PageLookup::default();
        for at in order {
            let (Some(&hash), Some(queued), Some(slot)) = (hashes.get(at), pending.get(at), found.get_mut(at)) else {
                continue;
            };
            let mut keys = BTreeSet::new();
            pages.find(store, sync, space.into(), hash, &mut keys).await?;
            let from = Key::from_encoded(&hash.to_be_bytes());
            let same = |key: &Key| key.as_bytes().starts_with(&hash.to_be_bytes());
            let journalled = journal.range(from..).take_while(|(key, _)| same(key));
            let newer = journalled.map(|(key, present)| (key.clone(), present.is_some()));
            for (key, present) in newer.chain(queued.iter().cloned()) {
                if present {
                    keys.insert(key)
                } else {
                    keys.remove(&key)
                };
            }
            *slot = keys.iter().map(|key| split_owner_key(key).map(|(_, key)| key)).collect::<Result<_, _>>()?;
        }
        Ok(found)
    }

    /// What stands for a sync, for `status`.
    pub async fn standing(&self, sync: SyncId) -> Result<Standing, StateError> {
        let store = self.inner.store.as_ref();
        let (entries, tombstones) = count::count(store, sync).await?;
        let totals = store.totals(sync).await?;
        let invalid = self.syncs().await?.iter().find(|record| record.id == sync).map_or(0, |record| record.invalid);
        let (dirty, oldest_dirty, rejected) = (totals.dirty, totals.oldest, totals.rejected);
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

    /// Approves the guarded set of a run for 24 h; replaces an earlier approval of the sync.
    ///
    /// # Errors
    /// [`StateError::NothingToApprove`].
    pub async fn approve(&self, run: RunId) -> Result<(), StateError> {
        let Some(sync) = self.inner.store.guarded_sync(run).await? else {
            return Err(StateError::NothingToApprove { run });
        };
        let at = self.inner.clock.now();
        let approval = Write::PutApproval { sync, run, at, expires_at: at + APPROVAL };
        self.inner.writer.write(vec![approval]).await.map(|_| ())
    }

    /// The sync's standing approval.
    pub async fn approved(&self, sync: SyncId) -> Result<Option<Approval>, StateError> {
        let row = self.inner.store.approval(sync).await?;
        let standing = row.filter(|row| row.expires_at > self.inner.clock.now());
        Ok(standing.map(|row| Approval {
            run: row.run,
            set: row.set,
            rows: row.rows,
            expires_at: row.expires_at,
            scan: ApprovedScan::new(Arc::clone(&self.inner.store), row.run),
        }))
    }

    /// Drops the approval, once a complete run has used it.
    pub async fn drop_approval(&self, sync: SyncId) -> Result<(), StateError> {
        self.inner.writer.write(vec![Write::DropApproval { sync }]).await.map(|_| ())
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

    /// The writer. A reader's writer answers every call with an error.
    pub fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    pub(super) fn store(&self) -> &dyn StateStore {
        self.inner.store.as_ref()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Notes how far the store has come, in the side file.
    pub(super) async fn write_mark(&self) -> Result<(), StateError> {
        match self.inner.access {
            // A suspect store keeps the mark that gave it away.
            Access::Runner if !self.inner.suspect => self.inner.mark.write(self.inner.store.commit_count().await?),
            Access::Runner | Access::Reader => Ok(()),
        }
    }
}
