//! The task behind the writer: group commit and compaction.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{RwLock, mpsc, oneshot},
    time::Instant,
};

use super::pending::Pending;
use crate::{
    model::SyncId,
    proof::{Boundary, reach},
    state::{
        StateError, compact,
        lease::Leases,
        store::{StateStore, Write},
    },
};

/// Commands that one transaction takes at most, so that the first of them does not wait for a long queue.
const GROUP: usize = 256;
/// Least time from the beginning of one commit to that of the next: what comes meanwhile shares the next one's cost.
const PACE: Duration = Duration::from_millis(5);
/// A journal of so many times its bound waits for the compaction under way.
const MOST_BOUNDS: u64 = 4;

/// Writes that must happen together.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) writes: Vec<Write>,
    /// What is written instead, without a lease, when the lease is lost.
    pub(super) confession: Vec<Write>,
    /// Number of the queued owner changes, to forget once they are durable.
    pub(super) ticket: u64,
    pub(super) done: oneshot::Sender<Result<Vec<i64>, StateError>>,
}

/// What the task and its callers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) leases: Arc<Leases>,
    /// The first error; from then on nothing is written (P7). A lost lease is none: it ends its run alone.
    pub(super) failed: OnceLock<StateError>,
    pub(super) pending: Pending,
    /// Transactions so far, for tests and figures.
    pub(super) commits: AtomicU64,
    /// One for each sync: a compaction has it alone, scans of the snapshot and of the owners share it.
    pub(super) compacting: Mutex<HashMap<SyncId, Arc<RwLock<()>>>>,
}

impl Shared {
    pub(super) fn compacting(&self, sync: SyncId) -> Arc<RwLock<()>> {
        Arc::clone(self.compacting.lock().unwrap_or_else(PoisonError::into_inner).entry(sync).or_default())
    }

    /// Compacts beside the commits, which would otherwise wait for it. False when the sync is being compacted already, or
    /// read.
    fn compact(self: &Arc<Self>, sync: SyncId) -> bool {
        let Ok(alone) = self.compacting(sync).try_write_owned() else { return false };
        // A run that has closed meanwhile leaves it to the next one.
        if let Some(epoch) = self.leases.epoch(sync) {
            let unfinished = Unfinished(Some(Arc::clone(self)));
            drop(tokio::spawn(async move {
                unfinished.compact(sync, epoch).await;
                drop(alone);
            }));
        }
        true
    }

    async fn end_compactions(&self) {
        let all: Vec<_> =
            self.compacting.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for compacting in all {
            drop(compacting.read().await);
        }
    }
}

/// A compaction under way: one that panics stops the writer.
struct Unfinished(Option<Arc<Shared>>);

impl Unfinished {
    async fn compact(mut self, sync: SyncId, epoch: i64) {
        if let Some(shared) = &self.0 {
            compact_one(shared, sync, epoch).await;
        }
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            stop(shared, StateError::Stopped);
        }
    }
}

/// Runs until every [`super::Writer`] is gone and the queue is empty.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Command>, lock: Option<Arc<File>>) {
    let mut journals: HashMap<SyncId, u64> = HashMap::new();
    let mut group = Vec::with_capacity(GROUP);
    let mut next = Instant::now();
    while let Some(first) = queue.recv().await {
        group.push(first);
        tokio::time::sleep_until(next).await;
        while group.len() < GROUP
            && let Ok(more) = queue.try_recv()
        {
            group.push(more);
        }
        next = Instant::now() + PACE;
        let journalled = journalled(&group);
        commit(&shared, std::mem::take(&mut group)).await;
        for (sync, entries) in journalled {
            let total = journals.entry(sync).or_default();
            *total += entries;
            if *total > compact::JOURNAL_BOUND && shared.compact(sync) {
                *total = 0;
            } else if *total > MOST_BOUNDS * compact::JOURNAL_BOUND {
                // What is settled faster than it can be compacted waits here, so that the journal does not outgrow memory.
                drop(shared.compacting(sync).read().await);
            }
        }
    }
    shared.end_compactions().await;
    drop(lock);
}

async fn compact_one(shared: &Shared, sync: SyncId, epoch: i64) {
    if shared.failed.get().is_none() {
        match compact::compact_under(shared.store.as_ref(), sync, Some(epoch), &shared.failed).await {
            Ok(()) => {}
            Err(StateError::Fenced) => shared.leases.lose(sync, epoch),
            Err(error) => stop(shared, error),
        }
    }
}

fn journalled(group: &[Command]) -> Vec<(SyncId, u64)> {
    let writes = group.iter().flat_map(|command| &command.writes);
    writes
        .filter_map(
            |write| if let Write::Journal { sync, entries, .. } = write { Some((*sync, *entries)) } else { None },
        )
        .collect()
}

/// Commits a group. When a lease among it is lost, nothing of the group has happened, and each command is tried alone.
async fn commit(shared: &Shared, group: Vec<Command>) {
    let alone = if group.len() > 1 { group.iter().map(|command| command.writes.clone()).collect() } else { Vec::new() };
    let mut writes = Vec::new();
    let mut waiting = Vec::new();
    for command in group {
        waiting.push((command.writes.len(), command.confession, command.ticket, command.done));
        writes.extend(command.writes);
    }
    let epochs = epochs(&writes);
    leave_out_repeated(&mut writes);
    match write(shared, writes).await {
        Ok(ids) => {
            let mut ids = ids.into_iter();
            for (count, _, ticket, done) in waiting {
                shared.pending.forget(ticket);
                // The caller may have stopped waiting.
                done.send(Ok(ids.by_ref().take(count).collect())).unwrap_or(());
            }
        }
        Err(StateError::Fenced) if !alone.is_empty() => {
            for (writes, (_, confession, ticket, done)) in alone.into_iter().zip(waiting) {
                Box::pin(commit(shared, vec![Command { writes, confession, ticket, done }])).await;
            }
        }
        Err(error) => {
            if matches!(error, StateError::Fenced) {
                epochs.into_iter().for_each(|(sync, epoch)| shared.leases.lose(sync, epoch));
            } else {
                stop(shared, error.clone());
            }
            for (_, confession, ticket, done) in waiting {
                // After any other error this fails too, and the intents stand.
                if let Err(error) = write(shared, confession).await {
                    stop(shared, error);
                }
                shared.pending.forget(ticket);
                done.send(Err(error.clone())).unwrap_or(());
            }
        }
    }
}

/// Commands that are committed together need each lease checked once, and of an account's grants only the last word.
fn leave_out_repeated(writes: &mut [Write]) {
    let mut checked = HashSet::new();
    for write in &mut *writes {
        if let Write::CheckEpoch { sync, epoch } = write
            && !checked.insert((*sync, *epoch))
        {
            *write = Write::Nothing;
        }
    }
    let mut saved = HashSet::new();
    for write in writes.iter_mut().rev() {
        if let Write::PutGrants { account, .. } = write
            && !saved.insert(account.clone())
        {
            *write = Write::Nothing;
        }
    }
}

async fn write(shared: &Shared, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
    match shared.failed.get() {
        Some(error) => Err(error.clone()),
        None if writes.is_empty() => Ok(Vec::new()),
        None => {
            reach(Boundary::SettleBefore).await?;
            let rejects = writes.iter().any(|write| matches!(write, Write::PutRejected { .. }));
            let ids = shared.store.commit(writes).await?;
            shared.commits.fetch_add(1, Ordering::Relaxed);
            reach(Boundary::SettleAfter).await?;
            if rejects {
                reach(Boundary::RejectStored).await?;
            }
            Ok(ids)
        }
    }
}

fn epochs(writes: &[Write]) -> Vec<(SyncId, i64)> {
    let epoch = |write: &Write| match write {
        Write::CheckEpoch { sync, epoch } => Some((*sync, *epoch)),
        _ => None,
    };
    writes.iter().filter_map(epoch).collect()
}

/// Keeps the first error.
pub(super) fn stop(shared: &Shared, error: StateError) {
    shared.failed.get_or_init(|| error);
}
