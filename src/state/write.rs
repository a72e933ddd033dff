//! The writes that a transaction is made of.

use super::{
    GuardedSet, NewSync, NullShare, RunClose, StateError, SyncUpdate,
    codec::PackedPage,
    store::{Extent, Space},
};
use crate::model::{IntentId, Key, RunId, SyncId, Timestamp};

/// Guarded sets of a sync that are kept beside the approved one.
pub(super) const GUARDED_SETS: i64 = 3;

/// A write. Those of one commit happen together or not at all.
#[derive(Clone)]
pub(crate) enum Write {
    PutMeta {
        name: &'static str,
        value: Vec<u8>,
    },
    InsertSync {
        new: NewSync,
        uuid: [u8; 16],
        at: Timestamp,
    },
    UpdateSync {
        id: SyncId,
        update: SyncUpdate,
    },
    /// Makes all entries settled until now count as dirty: of one sync, or of all, which are then suspect too.
    Resync {
        sync: Option<SyncId>,
    },
    /// A run has delivered every key: the resync that it knew of is over, and the sync is no longer suspect. Nothing when
    /// another one was asked for meanwhile.
    EndResync {
        sync: SyncId,
        through: RunId,
    },
    /// An operator says that a suspect sync's state is right as it is: nothing needs to be sent again.
    Trust {
        sync: SyncId,
    },
    SetInvalid {
        sync: SyncId,
        run: RunId,
        rows: Vec<Vec<u8>>,
        total: u64,
    },
    /// Replaces the null shares of a sync.
    SetNullShares {
        sync: SyncId,
        shares: Vec<NullShare>,
    },
    InsertRun {
        sync: SyncId,
        trigger: String,
        at: Timestamp,
    },
    CloseRun {
        close: RunClose,
        at: Timestamp,
    },
    InterruptRuns {
        sync: SyncId,
        at: Timestamp,
    },
    /// Gives the lease back, if it still has that epoch.
    ReleaseLease {
        sync: SyncId,
        epoch: i64,
        /// The run was cut short: who else runs syncs on this state sees it as abandoned, and goes on with it.
        unfinished: bool,
    },
    /// In the place of a write that another one of the same commit makes needless.
    Nothing,
    /// Fails with [`StateError::Fenced`] when the lease has another epoch.
    CheckEpoch {
        sync: SyncId,
        epoch: i64,
    },
    /// Answers the first of a block of batch ids that were never given before.
    ReserveBatches {
        count: i64,
    },
    InsertIntent {
        batch: i64,
        sync: SyncId,
        run: RunId,
        epoch: i64,
        send_before: Timestamp,
        members: u64,
        data: Vec<u8>,
    },
    NoteAttempt {
        batch: i64,
        at: Timestamp,
    },
    /// Deletes one open intent; fails when it is not there.
    DeleteIntent {
        batch: i64,
    },
    DeleteIntents {
        sync: SyncId,
    },
    Journal {
        sync: SyncId,
        entries: u64,
        data: Vec<u8>,
    },
    DeleteJournal {
        sync: SyncId,
        through: i64,
    },
    ReplacePages {
        sync: SyncId,
        space: Space,
        remove: Vec<i64>,
        put: Vec<PackedPage>,
        delta: Extent,
    },
    PutDirty {
        sync: SyncId,
        key: Key,
        intent: IntentId,
        since: Timestamp,
        data: Vec<u8>,
    },
    DeleteDirty {
        sync: SyncId,
        intents: Vec<IntentId>,
    },
    PutRejected {
        sync: SyncId,
        key: Key,
        data: Vec<u8>,
    },
    DeleteRejected {
        sync: SyncId,
        keys: Vec<Key>,
    },
    /// Keeps the later time.
    PutQuiet {
        sync: SyncId,
        key: Key,
        until: Timestamp,
        data: Vec<u8>,
    },
    PruneQuiet {
        sync: SyncId,
        before: Timestamp,
    },
    AddGuarded {
        run: RunId,
        sync: SyncId,
        set: GuardedSet,
        rows: u64,
        at: Timestamp,
        chunks: Vec<Vec<u8>>,
    },
    PutApproval {
        sync: SyncId,
        run: RunId,
        at: Timestamp,
        expires_at: Timestamp,
    },
    DropApproval {
        sync: SyncId,
    },
    LogRemovals {
        sync: SyncId,
        run: RunId,
        at: Timestamp,
        count: u64,
        prune_before: Timestamp,
    },
    PutGrants {
        account: String,
        data: Vec<u8>,
    },
    /// Saves the successor of generation `after` of a token. Answers 1, or 0 when another one has been saved.
    PutToken {
        account: String,
        after: i64,
        data: Vec<u8>,
    },
    PutIdentity {
        credential: [u8; 8],
        account: String,
        at: Timestamp,
    },
    InsertRequest {
        kind: String,
        sync: Option<SyncId>,
        args: String,
        at: Timestamp,
    },
    FinishRequest {
        id: i64,
        result: String,
        at: Timestamp,
        prune_before: Timestamp,
    },
}

impl std::fmt::Debug for Write {
    /// Writes hold keys and ids of rows.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write(..)")
    }
}

/// A value of a column of JSON text.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, StateError> {
    serde_json::to_string(value)
        .map_err(|error| StateError::Contract(format!("a value cannot be written as JSON: {error}")))
}

/// Counts stay far below 2^63.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
