//! The one task through which everything is written.

mod pending;
mod task;
mod writes;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use self::{
    pending::Pending,
    task::{Command, Shared},
    writes::{OpenBatch, Settled},
};
use super::{
    GuardedSet, IntentMember, LocalSettle, MarkDirty, MatchValue, NewIntent, OwnerSpace, Settle, StateError,
    codec::{pack_guarded, pack_intent, pack_invalid},
    compact,
    keyring::Keyring,
    lease::Leases,
    matches,
    store::{StateStore, Write},
};
use crate::{
    clock::Clock,
    model::{ChangeKind, Fingerprint, IntentId, InvalidRow, Key, RunId, SyncId, Timestamp},
};

pub(super) use writes::dirty;

/// Rows of a guarded set in one table row.
const GUARDED_CHUNK: usize = 1_000;
/// Batch ids that one process reserves; no process sends that many batches.
const BATCH_BLOCK: i64 = 1 << 32;
/// How far back the removal log is summed.
const REMOVAL_LOG: std::time::Duration = std::time::Duration::from_secs(48 * 3600);

/// Writes to the state, through one task with group commit. After its first error every call returns that error (P7); a
/// lost lease is an error of its run alone.
pub struct Writer {
    /// `None` for a reader, and after [`super::State::close`].
    queue: Mutex<Option<mpsc::UnboundedSender<Command>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    shared: Arc<Shared>,
    open: Mutex<HashMap<i64, OpenBatch>>,
    next_batch: AtomicI64,
    last_batch: i64,
    clock: Clock,
    keyring: Arc<Keyring>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("failed", &self.shared.failed.get()).finish_non_exhaustive()
    }
}

/// A queued write. Dropping it is fine: the write happens all the same, and an error stops the writer.
#[derive(Debug)]
pub struct SettleTicket {
    result: Result<oneshot::Receiver<Result<Vec<i64>, StateError>>, StateError>,
}

impl SettleTicket {
    /// Waits until the write is durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn wait(self) -> Result<(), StateError> {
        self.ids().await.map(|_| ())
    }

    async fn ids(self) -> Result<Vec<i64>, StateError> {
        self.result?.await.unwrap_or(Err(StateError::Stopped))
    }
}

impl Writer {
    /// A writer for a reader: every call fails.
    pub(super) fn none(store: Arc<dyn StateStore>, clock: Clock, leases: Arc<Leases>, keyring: Arc<Keyring>) -> Self {
        Self {
            queue: Mutex::new(None),
            task: Mutex::new(None),
            shared: Arc::new(shared(store, leases)),
            open: Mutex::default(),
            next_batch: AtomicI64::new(0),
            last_batch: 0,
            clock,
            keyring,
        }
    }

    /// Starts the task. It holds the lock until everything queued is written, also when the state is just dropped.
    pub(super) async fn start(
        store: Arc<dyn StateStore>,
        clock: Clock,
        lock: Option<Arc<File>>,
        leases: Arc<Leases>,
        keyring: Arc<Keyring>,
    ) -> Result<Self, StateError> {
        let reserved = store.commit(vec![Write::ReserveBatches { count: BATCH_BLOCK }]).await?;
        let first = reserved.first().copied().unwrap_or(1);
        let shared = Arc::new(shared(store, leases));
        let (queue, commands) = mpsc::unbounded_channel();
        let task = tokio::spawn(task::run(Arc::clone(&shared), commands, lock));
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            task: Mutex::new(Some(task)),
            shared,
            open: Mutex::default(),
            next_batch: AtomicI64::new(first),
            last_batch: first.saturating_add(BATCH_BLOCK - 1),
            clock,
            keyring,
        })
    }

    /// Takes no more writes and waits for those queued.
    pub(super) async fn stop(&self) -> Result<(), StateError> {
        drop(lock(&self.queue).take());
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.await.map_err(|_| StateError::Stopped)?;
        }
        self.shared.failed.get().cloned().map_or(Ok(()), Err)
    }

    /// Writes a batch's intents; returns its id (monotonic, unique in the state) when they are durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn intend(&self, intent: NewIntent) -> Result<i64, StateError> {
        let batch = self.take_batch()?;
        let NewIntent { sync, run, epoch, send_before, batch_key, members, grants } = intent;
        let sealed = matches::seal(&self.keyring, (sync, batch), &members)?;
        let data = pack_intent(sync, batch, batch_key, &members, sealed.as_deref());
        let mut writes = vec![
            Write::CheckEpoch { sync, epoch },
            Write::InsertIntent { batch, sync, run, epoch, send_before, members: members.len() as u64, data },
        ];
        // Where daemons share budgets the account's row holds their book, and every request waits for that row.
        let grants = if self.shared.store.is_shared() { Vec::new() } else { grants };
        writes.extend(grants.into_iter().map(|(account, data)| Write::PutGrants { account, data }));
        lock(&self.open).insert(batch, OpenBatch { sync, epoch, batch_key, members });
        let written = self.submit(writes, 0).wait().await;
        if written.is_err() {
            lock(&self.open).remove(&batch);
        }
        written.map(|()| batch)
    }

    /// Notes that an attempt of the batch begins at `at`. Call it before each attempt; wait for the ticket before
    /// attempts after the first, and before any that begins after `send_before`: after a crash the latest durable note
    /// is taken for the start of the last attempt.
    pub fn note_attempt(&self, batch: i64, at: Timestamp) -> SettleTicket {
        self.submit(vec![Write::NoteAttempt { batch, at }], 0)
    }

    /// Queues the outcomes of a batch: journal, dirty marks, quiet keys, rejects and the intent change in one
    /// transaction. When the lease is lost, the keys that were sent are marked dirty instead, for a request that left late has
    /// overwritten what the new holder delivered. A batch that is not open, or not settled whole, stops the writer.
    pub fn settle(&self, settle: Settle) -> SettleTicket {
        let open = lock(&self.open).remove(&settle.batch);
        let Some(open) = open else {
            return self.refuse(StateError::Contract(format!("batch {} is not open", settle.batch)));
        };
        let (sync, now) = (open.sync, self.clock.now());
        // Whoever took the lease meanwhile has settled the intents of this batch, and does not know what was sent since.
        let confession = match self.shared.store.is_shared() {
            true => self.take_batch().and_then(|batch| writes::confess(&self.keyring, &open, &settle, batch, now)),
            false => Ok(Vec::new()),
        };
        match confession {
            Ok(confession) => self.submit_settled(sync, writes::settle(&self.keyring, open, settle, now), confession),
            Err(error) => self.refuse(error),
        }
    }

    /// Queues outcomes of keys without an intent.
    pub fn settle_local(&self, sync: SyncId, epoch: i64, rows: Vec<LocalSettle>) -> SettleTicket {
        self.submit_settled(sync, writes::settle_local(&self.keyring, sync, epoch, rows, self.clock.now()), Vec::new())
    }

    /// Marks keys dirty; needs no lease. Returns the batch id that names the marks, when durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn mark_dirty(&self, sync: SyncId, marks: Vec<MarkDirty>) -> Result<i64, StateError> {
        let batch = self.take_batch()?;
        let now = self.clock.now();
        let writes = (0..).zip(marks).map(|(position, mark)| {
            let member = IntentMember {
                key: mark.key,
                operation: mark.operation,
                fingerprint: mark.fingerprint,
                correlation: 0,
                record_id: mark.record_id,
                match_value: mark.sealed_match.map(MatchValue::Sealed),
            };
            dirty(&self.keyring, (sync, IntentId { batch, position }), None, member, mark.ambiguous_at, now)
        });
        let writes = writes.collect::<Result<_, _>>()?;
        self.submit(writes, 0).wait().await?;
        Ok(batch)
    }

    /// Replaces the listed invalid rows of a sync; `total` counts also those that the list leaves out.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn replace_invalid(
        &self,
        sync: SyncId,
        run: RunId,
        rows: Vec<InvalidRow>,
        total: u64,
    ) -> Result<(), StateError> {
        let rows = rows.iter().map(|row| pack_invalid(sync, row)).collect();
        self.write_under(sync, vec![Write::SetInvalid { sync, run, rows, total }]).await
    }

    /// Appends changes, in key order, to the guarded set of a run; with no change at all the set still stands for an
    /// approval.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn save_guarded(
        &self,
        run: RunId,
        sync: SyncId,
        set: GuardedSet,
        rows: Vec<(Key, ChangeKind, Option<Fingerprint>)>,
    ) -> Result<(), StateError> {
        let chunks = rows.chunks(GUARDED_CHUNK).map(|chunk| pack_guarded(run, chunk)).collect();
        let (rows, at) = (rows.len() as u64, self.clock.now());
        self.write_under(sync, vec![Write::AddGuarded { run, sync, set, rows, at, chunks }]).await
    }

    /// Saves the limiter's recent grants and quota counters of an account, in the limiter's own bytes. Nothing to do where
    /// daemons share budgets ([`super::State::budget`]).
    pub fn save_grants(&self, account: &str, bytes: Vec<u8>) -> SettleTicket {
        let grants = Write::PutGrants { account: account.to_owned(), data: bytes };
        self.submit(if self.shared.store.is_shared() { Vec::new() } else { vec![grants] }, 0)
    }

    /// Remembers which account a credential (by keyed hash) belongs to.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn save_identity(&self, credential_hash: u64, account: &str) -> Result<(), StateError> {
        let (credential, account, at) = (credential_hash.to_be_bytes(), account.to_owned(), self.clock.now());
        self.submit(vec![Write::PutIdentity { credential, account, at }], 0).wait().await
    }

    /// Queues removals of a run for the 24-hour log; commits in order with the settles.
    pub fn log_removals(&self, sync: SyncId, run: RunId, at: Timestamp, count: u64) -> SettleTicket {
        let prune_before = at - REMOVAL_LOG;
        let check = self.shared.leases.epoch(sync).map(|epoch| Write::CheckEpoch { sync, epoch });
        let log = Write::LogRemovals { sync, run, at, count, prune_before };
        self.submit(check.into_iter().chain([log]).collect(), 0)
    }

    /// Waits until everything queued so far is durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn flush(&self) -> Result<(), StateError> {
        self.submit(Vec::new(), 0).wait().await
    }

    /// Held by the compaction of a sync, and shared by those who read its pages from end to end.
    pub(super) fn compacting(&self, sync: SyncId) -> Arc<tokio::sync::RwLock<()>> {
        self.shared.compacting(sync)
    }

    /// Compacts a sync. Only for who has [`Writer::compacting`] alone.
    pub(super) async fn compact(&self, sync: SyncId, epoch: i64) -> Result<(), StateError> {
        compact::compact_under(self.shared.store.as_ref(), sync, Some(epoch), &self.shared.failed).await
    }

    /// Transactions so far in this process: group commit makes fewer of them than there were writes.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Commits writes of the run that this process has begun last of the sync, under its lease.
    pub(super) async fn write_under(&self, sync: SyncId, writes: Vec<Write>) -> Result<(), StateError> {
        let check = self.shared.leases.epoch(sync).map(|epoch| Write::CheckEpoch { sync, epoch });
        self.submit(check.into_iter().chain(writes).collect(), 0).wait().await
    }

    /// Commits writes and answers their ids.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
        self.submit(writes, 0).ids().await
    }

    /// Writes nothing more.
    pub(super) fn fail(&self, error: StateError) {
        task::stop(&self.shared, error);
    }

    /// Drops the memory of a sync's open batches, once their intents have become dirty marks.
    pub(super) fn forget_open(&self, sync: SyncId) {
        lock(&self.open).retain(|_, batch| batch.sync != sync);
    }

    /// Queued owner changes of one hash.
    pub(super) fn pending_owners(&self, sync: SyncId, space: OwnerSpace, hash: u64) -> Vec<(Key, bool)> {
        self.shared.pending.of(sync, space, hash)
    }

    fn submit_settled(
        &self,
        sync: SyncId,
        settled: Result<Settled, StateError>,
        confession: Vec<Write>,
    ) -> SettleTicket {
        match settled {
            Ok((writes, owners)) => {
                self.submit_or_confess(writes, confession, self.shared.pending.remember(sync, &owners))
            }
            Err(error) => self.refuse(error),
        }
    }

    fn submit(&self, writes: Vec<Write>, ticket: u64) -> SettleTicket {
        self.submit_or_confess(writes, Vec::new(), ticket)
    }

    fn submit_or_confess(&self, writes: Vec<Write>, confession: Vec<Write>, ticket: u64) -> SettleTicket {
        if let Some(error) = self.shared.failed.get() {
            return SettleTicket { result: Err(error.clone()) };
        }
        let (done, result) = oneshot::channel();
        let sent = lock(&self.queue)
            .as_ref()
            .is_some_and(|queue| queue.send(Command { writes, confession, ticket, done }).is_ok());
        SettleTicket { result: if sent { Ok(result) } else { Err(StateError::Stopped) } }
    }

    fn refuse(&self, error: StateError) -> SettleTicket {
        task::stop(&self.shared, error.clone());
        SettleTicket { result: Err(error) }
    }

    fn take_batch(&self) -> Result<i64, StateError> {
        let batch = self.next_batch.fetch_add(1, Ordering::Relaxed);
        if batch > self.last_batch { Err(StateError::Stopped) } else { Ok(batch) }
    }
}

fn shared(store: Arc<dyn StateStore>, leases: Arc<Leases>) -> Shared {
    Shared {
        store,
        leases,
        failed: OnceLock::new(),
        pending: Pending::default(),
        commits: AtomicU64::new(0),
        compacting: Mutex::default(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
