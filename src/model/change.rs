//! Changes, operations, outcomes, and what the snapshot keeps for a key.

use std::fmt;

use super::{Fingerprint, Timestamp};

/// Database id of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Database id of a sync in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncId(pub i64);

/// How a key differs from the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// In the model, not in the snapshot (or a tombstone there).
    Added,
    /// In both, with another fingerprint, or dirty.
    Changed,
    /// In the snapshot or an open intent, not in the model.
    Removed,
}

impl ChangeKind {
    /// One byte for packed forms.
    pub const fn code(self) -> u8 {
        match self {
            Self::Added => 0,
            Self::Changed => 1,
            Self::Removed => 2,
        }
    }

    /// The inverse of [`ChangeKind::code`].
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Added),
            1 => Some(Self::Changed),
            2 => Some(Self::Removed),
            _ => None,
        }
    }

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// What is done to a record at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Create or update, found by match.
    Upsert,
    /// Update the record of a known id.
    Update,
    /// Clear the mapped fields of a removed key.
    Clear,
    /// Delete (archive) the record of a removed key.
    Delete,
    /// Create a record; where one stands already, nothing may be changed.
    Insert,
}

impl Operation {
    /// One byte for packed forms.
    pub const fn code(self) -> u8 {
        match self {
            Self::Upsert => 0,
            Self::Update => 1,
            Self::Clear => 2,
            Self::Delete => 3,
            Self::Insert => 4,
        }
    }

    /// The inverse of [`Operation::code`].
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Upsert),
            1 => Some(Self::Update),
            2 => Some(Self::Clear),
            3 => Some(Self::Delete),
            4 => Some(Self::Insert),
            _ => None,
        }
    }

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Update => "update",
            Self::Clear => "clear",
            Self::Delete => "delete",
            Self::Insert => "insert",
        }
    }

    /// True for what is done to removed keys.
    pub const fn is_removal(self) -> bool {
        matches!(self, Self::Clear | Self::Delete)
    }
}

/// What the snapshot keeps for a key: what the destination last acknowledged.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Fingerprint of the acknowledged record.
    pub fingerprint: Fingerprint,
    /// Version of the canonical form it was taken of.
    pub encoding: u8,
    /// The run that settled it.
    pub run: RunId,
    /// The key is absent from the model and kept at the destination (`on_removed = "keep"`): only the id counts.
    pub tombstone: bool,
    /// Keyed hash of the acknowledged match value, where the sync keeps an owner index: what the index holds for this key.
    pub match_hash: Option<u64>,
    /// The vendor's record id, where the sync keeps it.
    pub record_id: Option<Box<str>>,
    /// The event's place on the cursor column, in mode `append`: the entry is forgotten once no later read can hold it.
    pub cursor: Option<i64>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("fingerprint", &self.fingerprint)
            .field("run", &self.run)
            .field("tombstone", &self.tombstone)
            .field("has_id", &self.record_id.is_some())
            .finish_non_exhaustive()
    }
}

/// Names an operation that was about to be sent: batch and position in it. Dirty marks carry it for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentId {
    /// The batch, unique in the state.
    pub batch: i64,
    /// Position in the batch, from 0.
    pub position: u32,
}

/// A dirty mark: an operation that was about to be sent and that no *delivered* outcome has cleared.
#[derive(Clone, PartialEq, Eq)]
pub struct DirtyMark {
    /// The operation's name.
    pub intent: IntentId,
    /// The operation.
    pub operation: Operation,
    /// The sent fingerprint; `None` for removals and for marks that `resync` made.
    pub fingerprint: Option<Fingerprint>,
    /// When an ambiguous attempt may have begun at the latest; `None` when no attempt is unaccounted for.
    pub ambiguous_at: Option<Timestamp>,
    /// The idempotency key and size of the batch it was sent in, so that an unchanged batch can be formed again.
    pub batch_key: Option<BatchKey>,
    /// The vendor's record id that the operation addressed.
    pub record_id: Option<Box<str>>,
    /// The match value that the operation addressed, sealed with the installation key.
    pub sealed_match: Option<Box<[u8]>>,
}

impl fmt::Debug for DirtyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirtyMark")
            .field("intent", &self.intent)
            .field("operation", &self.operation)
            .field("ambiguous_at", &self.ambiguous_at)
            .finish_non_exhaustive()
    }
}

/// A batch's idempotency key and its number of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchKey {
    /// 128 random-looking bits, derived from the batch that was first formed with these members.
    pub idempotency: u128,
    /// Number of members.
    pub members: u32,
}
