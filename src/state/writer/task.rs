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
    state::{
        StateError, compact,
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
    /// The first error; from then on nothing is written (P7).
    pub(super) failed: OnceLock<StateError>,
    pub(super) pending: Pending,
    /// Transactions so far, for tests and figures.
    pub(super) commits: AtomicU64,
    /// Counts compactions: what was read of the journal before one is no longer all of it.
    pub(super) generation: Arc<AtomicU64>,
}

/// Runs until every [`super::Writer`] is gone and the queue is empty.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Command>, lock: Option<Arc<File>>) {
    let mut journals: HashMap<SyncId, u64> = HashMap::new();
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let journalled = journalled(&group);
        commit(&shared, group.drain(..)).await;
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
        let result = compact::compact(shared.store.as_ref(), sync).await;
        shared.generation.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = result {
            stop(shared, error);
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

async fn commit(shared: &Shared, group: impl Iterator<Item = Command>) {
    let mut writes = Vec::new();
    let mut waiting = Vec::new();
    for command in group {
        waiting.push((command.writes.len(), command.ticket, command.done));
        writes.extend(command.writes);
    }
    let result = match shared.failed.get() {
        Some(error) => Err(error.clone()),
        None if writes.is_empty() => Ok(Vec::new()),
        None => shared.store.commit(writes).await,
    };
    match result {
        Ok(ids) => {
            shared.commits.fetch_add(1, Ordering::Relaxed);
            let mut ids = ids.into_iter();
            for (count, ticket, done) in waiting {
                shared.pending.forget(ticket);
                // The caller may have stopped waiting.
                done.send(Ok(ids.by_ref().take(count).collect())).unwrap_or(());
            }
        }
        Err(error) => {
            stop(shared, error.clone());
            for (_, _, done) in waiting {
                done.send(Err(error.clone())).unwrap_or(());
            }
        }
    }
}

/// Keeps the first error.
pub(super) fn stop(shared: &Shared, error: StateError) {
    shared.failed.get_or_init(|| error);
}
