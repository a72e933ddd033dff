//! The task behind the writer: group commit and compaction.

use std::{
    collections::HashMap,
    fs::File,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

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

/// Writes that must happen together.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) writes: Vec<Write>,
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
}

/// Runs until every [`super::Writer`] is gone and the queue is empty.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Command>, lock: Option<Arc<File>>) {
    let mut journals: HashMap<SyncId, u64> = HashMap::new();
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let journalled = journalled(&group);
        commit(&shared, std::mem::take(&mut group)).await;
        for (sync, entries) in journalled {
            let total = journals.entry(sync).or_default();
            *total += entries;
            if *total > compact::JOURNAL_BOUND {
                *total = 0;
                compact_one(&shared, sync).await;
            }
        }
    }
    drop(lock);
}

async fn compact_one(shared: &Shared, sync: SyncId) {
    if shared.failed.get().is_none() {
        let epoch = shared.leases.epoch(sync);
        let result = compact::compact_under(shared.store.as_ref(), sync, epoch).await;
        match (result, epoch) {
            (Err(StateError::Fenced), Some(epoch)) => shared.leases.lose(sync, epoch),
            (Err(error), _) => stop(shared, error),
            (Ok(()), _) => {}
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
        waiting.push((command.writes.len(), command.ticket, command.done));
        writes.extend(command.writes);
    }
    let epochs = epochs(&writes);
    match write(shared, writes).await {
        Ok(ids) => {
            let mut ids = ids.into_iter();
            for (count, ticket, done) in waiting {
                shared.pending.forget(ticket);
                // The caller may have stopped waiting.
                done.send(Ok(ids.by_ref().take(count).collect())).unwrap_or(());
            }
        }
        Err(StateError::Fenced) if !alone.is_empty() => {
            for (writes, (_, ticket, done)) in alone.into_iter().zip(waiting) {
                Box::pin(commit(shared, vec![Command { writes, ticket, done }])).await;
            }
        }
        Err(error) => {
            if matches!(error, StateError::Fenced) {
                epochs.into_iter().for_each(|(sync, epoch)| shared.leases.lose(sync, epoch));
            } else {
                stop(shared, error.clone());
            }
            for (_, ticket, done) in waiting {
                shared.pending.forget(ticket);
                done.send(Err(error.clone())).unwrap_or(());
            }
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
