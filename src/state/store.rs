//! The primitive layer: reads in chunks and one durable transaction of writes. Knows rows and blobs, not their meaning.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    GuardedSet, OwnerSpace, Request, RunStatus, StateError,
    lease::{Beat, Taken},
    reads::{Arg, Row},
};
use crate::{
    model::{IntentId, Key, RunId, SyncId, Timestamp},
    wire::BudgetStore,
};

pub(crate) use super::write::Write;

/// Which packed pages of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// The snapshot's entries.
    Entries,
    /// One level of an owner index.
    Owners(OwnerSpace, Level),
}

impl Space {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let owners = OwnerSpace::ALL.into_iter();
        let levels = owners.flat_map(|space| Level::NEWEST_FIRST.map(|level| Self::Owners(space, level)));
        std::iter::once(Self::Entries).chain(levels)
    }

    /// What the database calls it.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Entries => 0,
            Self::Owners(OwnerSpace::Match, level) => 1 + 2 * level.0,
            Self::Owners(OwnerSpace::RecordId, level) => 2 + 2 * level.0,
        }
    }
}

/// How new a part of an owner index is. Owners come in the order of hashes, so that each change concerns another page: only
/// the small newest level is rewritten with every compaction, and a full level goes into the next older one as a whole. What
/// a newer level says of an owner holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Level(u8);

impl Level {
    pub(crate) const NEWEST_FIRST: [Self; 4] = [Self::NEWEST, Self(2), Self(1), Self::OLDEST];
    pub(crate) const NEWEST: Self = Self(3);
    /// Has what is left of the index in it, and knows no removals.
    pub(crate) const OLDEST: Self = Self(0);

    /// Owners that the level holds before it goes into the next older one; `None` for any number. Tests and proofs go through
    /// all levels with a few rows.
    pub(crate) const fn capacity(self) -> Option<i64> {
        let newest = if cfg!(test) {
            4
        } else if cfg!(feature = "proof") {
            256
        } else {
            1 << 16
        };
        match self.0 {
            0 => None,
            1 => Some(newest * 64),
            2 => Some(newest * 8),
            _ => Some(newest),
        }
    }

    /// The next older level.
    pub(crate) const fn older(self) -> Self {
        Self(self.0.saturating_sub(1))
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

/// A store of the state.
#[async_trait]
pub(crate) trait StateStore: Send + Sync + std::fmt::Debug {
    /// Writes all or nothing, durable on return. Answers one number per write: the id it made, or 0.
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError>;
    /// The rows of one statement, which both databases must understand. The reads of the state are built on it, in `reads`.
    async fn select(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StateError>;
    /// What only one process may do at a time while it opens the store is done.
    async fn opened(&self) -> Result<(), StateError> {
        Ok(())
    }
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
}
