//! Ways out of doubt: sending keys again, and trusting a state that was restored.

use super::{MarkDirty, State, StateError, SyncUpdate, Target, store::Write};
use crate::model::{Held, Key, Operation, RunId, SyncId};

#[allow(clippy::missing_errors_doc, reason = "all fail as the store does")]
impl State {
    /// Asks for every key of the snapshot to be sent again: entries settled until now count as dirty. One number, not a
    /// mark for each key; settled entries carry the run that settled them. `target` replaces the sync's target.
    pub async fn resync(&self, sync: SyncId, target: Option<Target>) -> Result<(), StateError> {
        let mut writes = vec![Write::Resync { sync: Some(sync) }];
        if target.is_some() {
            writes.push(Write::UpdateSync { id: sync, update: SyncUpdate { target, ..SyncUpdate::default() } });
        }
        self.inner.writer.write(writes).await.map(drop)
    }

    /// Asks for these keys to be sent again.
    pub async fn resync_keys(&self, sync: SyncId, keys: Vec<Key>) -> Result<(), StateError> {
        let mark = |key| MarkDirty {
            key,
            operation: Operation::Update,
            fingerprint: None,
            ambiguous_at: None,
            record_id: None,
            sealed_match: None,
        };
        self.inner.writer.mark_dirty(sync, keys.into_iter().map(mark).collect()).await.map(drop)
    }

    /// A run that planned with this [`resync_through`](super::SyncRecord::resync_through) has delivered every key. Whether
    /// that ended the sync's suspicion; it ends nothing when another resync was asked for meanwhile.
    pub async fn end_resync(&self, sync: SyncId, through: RunId) -> Result<bool, StateError> {
        let suspect = self.is_suspect_sync(sync).await?;
        self.inner.writer.write(vec![Write::EndResync { sync, through }]).await?;
        Ok(suspect && !self.is_suspect_sync(sync).await?)
    }

    /// An operator says that a suspect sync's state is right as it is: its removals go again, and nothing is sent again but
    /// what is dirty for other reasons, such as a resync that an operator asked for.
    pub async fn trust(&self, sync: SyncId) -> Result<(), StateError> {
        self.inner.writer.write(vec![Write::Trust { sync }]).await.map(drop)
    }

    /// As if the state had been restored.
    #[cfg(test)]
    pub(crate) async fn suspect_all(&self) -> Result<(), StateError> {
        self.inner.writer.write(vec![Write::Resync { sync: None }]).await.map(drop)
    }

    async fn is_suspect_sync(&self, sync: SyncId) -> Result<bool, StateError> {
        Ok(self.syncs().await?.iter().any(|record| record.id == sync && record.suspect))
    }

    /// Keys with a dirty mark, or whose entry a resync wants to be sent again.
    pub(super) async fn dirty_through(&self, sync: SyncId, through: RunId) -> Result<u64, StateError> {
        let mut overlay = self.overlay(sync);
        let mut dirty = 0;
        while let Some(Held { entry, dirty: marks, .. }) = overlay.next().await? {
            let stale = entry.is_some_and(|entry| !entry.tombstone && entry.run <= through);
            dirty += u64::from(stale || !marks.is_empty());
        }
        Ok(dirty)
    }
}
