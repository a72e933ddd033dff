//! Guarded sets and their approval.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    State, StateError,
    codec::{GuardedRow, unpack_guarded},
    store::{StateStore, Write},
};
use crate::model::{ChangeKind, Fingerprint, Key, RunId, SyncId, Timestamp};

/// Chunks of a set read at once.
const CHUNKS: u32 = 4;

/// How long an approval stands.
const APPROVAL: Duration = Duration::from_secs(24 * 3600);

/// A standing approval of a sync.
#[derive(Debug)]
pub struct Approval {
    /// The guarded run that was approved.
    pub run: RunId,
    /// What an approval of the set means beyond its rows.
    pub set: GuardedSet,
    /// Rows in the set.
    pub rows: u64,
    /// When it ends by itself (24 h after the approval).
    pub expires_at: Timestamp,
    /// The set, in key order.
    pub scan: ApprovedScan,
}

/// What an approval of a guarded set means beyond its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardedSet {
    /// A first run: `added` of every key is approved, whatever the set holds.
    pub first_run: bool,
    /// The run was held for its invalid rows: these are approved too.
    pub of_invalid: bool,
}

/// A guarded set in key order, read in chunks.
pub struct ApprovedScan {
    store: Arc<dyn StateStore>,
    run: RunId,
    after: i64,
    ended: bool,
    rows: std::vec::IntoIter<GuardedRow>,
    last: Option<Key>,
}

impl fmt::Debug for ApprovedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovedScan").field("run", &self.run).finish_non_exhaustive()
    }
}

impl ApprovedScan {
    pub(super) fn new(store: Arc<dyn StateStore>, run: RunId) -> Self {
        Self { store, run, after: 0, ended: false, rows: Vec::new().into_iter(), last: None }
    }

    /// The next change; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged.
    pub async fn next(&mut self) -> Result<Option<(Key, ChangeKind, Option<Fingerprint>)>, StateError> {
        loop {
            if let Some(row) = self.rows.next() {
                if self.last.as_ref().is_some_and(|last| *last >= row.0) {
                    return Err(StateError::damaged("a guarded set is out of order"));
                }
                self.last = Some(row.0.clone());
                return Ok(Some(row));
            }
            if self.ended {
                return Ok(None);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), StateError> {
        let chunks = self.store.guarded(self.run, self.after, CHUNKS).await?;
        self.ended = chunks.len() < CHUNKS as usize;
        let mut rows = Vec::new();
        for (id, data) in chunks {
            self.after = id;
            rows.extend(unpack_guarded(self.run, &data)?);
        }
        self.rows = rows.into_iter();
        Ok(())
    }
}

#[allow(clippy::missing_errors_doc, reason = "all fail as the store does")]
impl State {
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
}
