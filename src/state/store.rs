//! The primitive layer: reads in chunks and one durable transaction of writes. Knows rows and blobs, not their meaning.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    GuardedSet, NewSync, NullShare, OwnerSpace, Request, RunClose, RunRow, RunStatus, StateError, SyncRecord,
    SyncUpdate,
    codec::PackedPage,
    lease::{Beat, Taken},
};
use crate::{
    model::{IntentId, Key, RunId, SyncId, Timestamp},
    wire::BudgetStore,
};

/// Which packed pages of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// The snapshot's entries.
    Entries,
    /// Owners by match.
    Match,
    /// Owners by record id.
    RecordId,
}

impl Space {
    pub(crate) const ALL: [Self; 3] = [Self::Entries, Self::Match, Self::RecordId];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Entries => 0,
            Self::Match => 1,
            Self::RecordId => 2,
        }
    }
}

impl From<OwnerSpace> for Space {
    fn from(space: OwnerSpace) -> Self {
        match space {
            OwnerSpace::Match => Self::Match,
            OwnerSpace::RecordId => Self::RecordId,
        }
    }
}

/// Tables with rows by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyed {
    Dirty,
    Rejected,
    Quiet,
}

/// A row of such a table; `intent` is all zero where the table has none.
#[derive(Clone)]
pub(crate) struct KeyedRow {
    pub(crate) key: Key,
    pub(crate) intent: IntentId,
    pub(crate) data: Vec<u8>,
}

/// Where a scan of such a table goes on: after this key and intent.
pub(crate) type KeyedAfter = (Key, IntentId);

#[derive(Clone)]
pub(crate) struct PageRow {
    pub(crate) id: i64,
    pub(crate) first: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct JournalBlob {
    pub(crate) seq: i64,
    pub(crate) entries: u64,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct IntentRow {
    pub(crate) batch: i64,
    pub(crate) send_before: Timestamp,
    pub(crate) attempted_at: Option<Timestamp>,
    pub(crate) members: u64,
    pub(crate) data: Vec<u8>,
}

/// What a sync's pages add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub(crate) pages: i64,
    pub(crate) entries: i64,
    pub(crate) live: i64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DirtyTotals {
    pub(crate) dirty: u64,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) rejected: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct ApprovalRow {
    pub(crate) run: RunId,
    pub(crate) set: GuardedSet,
    pub(crate) rows: u64,
    pub(crate) expires_at: Timestamp,
}

/// Filter of a list of runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RunFilter {
    One(RunId),
    Last(Option<SyncId>),
    With(SyncId, RunStatus),
}

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
    },
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

/// A store of the state.
#[async_trait]
pub(crate) trait StateStore: Send + Sync + std::fmt::Debug {
    /// Writes all or nothing, durable on return. Answers one number per write: the id it made, or 0.
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError>;
    /// Commits so far, over the store's whole life.
    async fn commit_count(&self) -> Result<i64, StateError>;
    async fn close(&self) -> Result<(), StateError>;
    /// Where daemons that share this store keep the budgets of their accounts; `None` for a store with one writer.
    fn budget(&self) -> Option<Arc<dyn BudgetStore>> {
        None
    }

    /// Whether several processes may run syncs on this store at once. Where not, a lease is always free, nobody looks for
    /// signs of life, and requests need no claim.
    fn is_shared(&self) -> bool;
    /// Where the store lives, as it says itself; another answer than before means that it was copied.
    fn origin(&self) -> Option<&str>;
    /// Takes the lease of a sync under a new epoch, if it is free, over or the holder's own.
    async fn take_lease(&self, sync: SyncId, holder: &str, ttl: Duration) -> Result<Taken, StateError>;
    /// Shows that a process lives, and renews its leases and claims. Answers the syncs whose leases it still holds.
    async fn beat(&self, beat: &Beat) -> Result<Vec<SyncId>, StateError>;
    /// Gives back everything that a process holds.
    async fn leave(&self, holder: &str) -> Result<(), StateError>;
    /// Whether a process that carries out requests shows signs of life.
    async fn runs_daemon(&self) -> Result<bool, StateError>;
    /// Syncs whose holder has died in a run.
    async fn abandoned(&self) -> Result<Vec<SyncId>, StateError>;
    /// Claims open requests, and answers all that the holder has claimed.
    async fn claim_requests(&self, holder: &str, ttl: Duration) -> Result<Vec<Request>, StateError>;
    /// Leaves a claimed request to others.
    async fn release_request(&self, id: i64, holder: &str) -> Result<(), StateError>;

    async fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StateError>;
    async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError>;
    /// Newest first.
    async fn runs(&self, filter: RunFilter, limit: u32) -> Result<Vec<RunRow>, StateError>;
    async fn intents(&self, sync: SyncId) -> Result<Vec<IntentRow>, StateError>;

    /// The page that holds `key`'s place: the last one that begins at or before it, else the very first.
    async fn page_at(&self, sync: SyncId, space: Space, key: &[u8]) -> Result<Option<PageRow>, StateError>;
    /// Pages that begin after `first` (`None`: all), in order.
    async fn pages_after(
        &self,
        sync: SyncId,
        space: Space,
        first: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<PageRow>, StateError>;
    /// What the pages add up to, and what they should.
    async fn extent(&self, sync: SyncId, space: Space) -> Result<(Extent, Extent), StateError>;
    /// Changes whenever pages are replaced.
    async fn version(&self, sync: SyncId, space: Space) -> Result<i64, StateError>;
    /// In the order of writing.
    async fn journal(&self, sync: SyncId, after: i64, limit: u32) -> Result<Vec<JournalBlob>, StateError>;
    /// Rows and entries of the journal.
    async fn journal_size(&self, sync: SyncId) -> Result<(u64, u64), StateError>;

    async fn keyed(
        &self,
        table: Keyed,
        sync: SyncId,
        after: Option<&KeyedAfter>,
        limit: u32,
    ) -> Result<Vec<KeyedRow>, StateError>;
    async fn keyed_at(&self, table: Keyed, sync: SyncId, key: &Key) -> Result<Vec<KeyedRow>, StateError>;
    /// Keys with more than `marks` dirty marks.
    async fn crowded(&self, sync: SyncId, marks: u32) -> Result<Vec<Key>, StateError>;
    async fn totals(&self, sync: SyncId) -> Result<DirtyTotals, StateError>;
    /// By field.
    async fn null_shares(&self, sync: SyncId) -> Result<Vec<NullShare>, StateError>;
    async fn invalid(&self, sync: SyncId, limit: u32) -> Result<Vec<Vec<u8>>, StateError>;

    /// The sync of a run's guarded set.
    async fn guarded_sync(&self, run: RunId) -> Result<Option<SyncId>, StateError>;
    async fn guarded(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<(i64, Vec<u8>)>, StateError>;
    async fn approval(&self, sync: SyncId) -> Result<Option<ApprovalRow>, StateError>;
    async fn removals_since(&self, sync: SyncId, since: Timestamp) -> Result<u64, StateError>;
    async fn grants(&self, account: &str) -> Result<Option<Vec<u8>>, StateError>;
    /// Generation and sealed token.
    async fn token(&self, account: &str) -> Result<Option<(i64, Vec<u8>)>, StateError>;
    async fn identity(&self, credential: [u8; 8]) -> Result<Option<String>, StateError>;
    async fn requests(&self, id: Option<i64>) -> Result<Vec<Request>, StateError>;
}
