//! Rows of the state as the other modules see them.

use crate::model::{Counts, CursorKind, Fingerprint, Key, RunId, SyncId, Timestamp, spec::KeyShape};
use serde::{Deserialize, Serialize};

/// What a sync writes to. A change of it is refused, never approvable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The destination's type (`hubspot`).
    pub destination: String,
    /// The vendor's account identity; `None` until the first plan that was not empty.
    pub account: Option<String>,
    /// The vendor's object.
    pub object: String,
    /// Destination fields that identify a record.
    pub match_fields: Vec<String>,
    /// Key columns and their kinds.
    pub key: KeyShape,
}

/// A sync as the state knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncRecord {
    /// Database id.
    pub id: SyncId,
    /// The name; only a name.
    pub name: String,
    /// The random id made at its first run; separates fingerprints.
    pub uuid: [u8; 16],
    /// What it writes to.
    pub target: Target,
    /// Hash of the mapping of the last run that settled anything, and as its text (opaque) every mapping that entries
    /// may stand under.
    pub mapping: Option<MappingRecord>,
    /// The mapping before that one.
    pub previous_mapping: Option<MappingRecord>,
    /// A first run has closed complete: `max_added` applies from then on.
    pub first_run_closed: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// End of the last run that closed `ok`, `partial` or `skipped`.
    pub last_ok_at: Option<Timestamp>,
    /// When a removal was last settled: a conflict with its record may be gone since.
    pub last_removal_at: Option<Timestamp>,
    /// How far a sync that appends has read.
    pub cursor: Option<CursorRecord>,
    /// Invalid rows of the last run that read the model.
    pub invalid: u64,
    /// An operator paused it.
    pub paused: bool,
    /// Entries settled by this run or an earlier one count as dirty: somebody asked for a resync then.
    pub resync_through: Option<RunId>,
    /// No run has delivered every key since the last resync was asked for.
    pub resync_open: bool,
    /// The state was restored or lost writes, and no complete resync has confirmed this sync yet: its removals wait.
    pub suspect: bool,
    /// The last read of the whole model, when the run that made it left nothing open and the model has `changed_when`.
    pub full_read: Option<FullRead>,
}

/// A read that left nothing open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullRead {
    /// Keyed hash of what `changed_when` answered before it, and of the configuration.
    pub answer: Fingerprint,
    /// When its run closed.
    pub at: Timestamp,
}

/// How far a sync that appends has read. Places are on the scale of the column's kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRecord {
    /// The column.
    pub column: String,
    /// What it holds.
    pub kind: CursorKind,
    /// No event below it is open; the next read begins a lookback earlier.
    pub watermark: Option<i64>,
    /// Events below it may be forgotten, so no read begins earlier.
    pub floor: Option<i64>,
}

/// A mapping as text (opaque to the state, without row values) and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRecord {
    /// Hash of the mapping.
    pub hash: String,
    /// The mapping in the run's own form.
    pub text: String,
}

/// How often a field was null in the last complete run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NullShare {
    /// The destination field.
    pub field: String,
    /// Valid rows of the run.
    pub read: u64,
    /// Rows in which the field was null.
    pub nulls: u64,
}

/// A sync to register at its first run.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSync {
    /// The name.
    pub name: String,
    /// What it writes to.
    pub target: Target,
    /// The mapping.
    pub mapping: Option<MappingRecord>,
}

/// Changes to a sync; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncUpdate {
    /// A new name (`renamed_from`).
    pub name: Option<String>,
    /// The target, account included.
    pub target: Option<Target>,
    /// A new mapping; the present one becomes the previous one when the hashes differ.
    pub mapping: Option<MappingRecord>,
    /// See [`SyncRecord::first_run_closed`].
    pub first_run_closed: Option<bool>,
    /// See [`SyncRecord::last_ok_at`].
    pub last_ok_at: Option<Timestamp>,
    /// See [`SyncRecord::last_removal_at`].
    pub last_removal_at: Option<Timestamp>,
    /// See [`SyncRecord::cursor`].
    pub cursor: Option<CursorRecord>,
    /// See [`SyncRecord::paused`].
    pub paused: Option<bool>,
    /// See [`SyncRecord::full_read`]; `Some(None)` forgets it.
    pub full_read: Option<Option<FullRead>>,
}

/// How a run stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Under way.
    Running,
    /// Everything planned was delivered, or there was nothing to do.
    Ok,
    /// Some rows were rejected, invalid, unknown, pending or left over.
    Partial,
    /// The guard held changes, or a first run waits for approval.
    Guarded,
    /// Refused before planning (missing column, other account); goes on by itself when repaired.
    Refused,
    /// Ended early, to go on later (quota, hold).
    Deferred,
    /// `changed_when` said that nothing changed.
    Skipped,
    /// Ended by an error.
    Failed,
    /// The process ended before the run did.
    Interrupted,
}

impl RunStatus {
    /// All, for tables.
    pub const ALL: [Self; 9] = [
        Self::Running,
        Self::Ok,
        Self::Partial,
        Self::Guarded,
        Self::Refused,
        Self::Deferred,
        Self::Skipped,
        Self::Failed,
        Self::Interrupted,
    ];

    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Guarded => "guarded",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The inverse of [`RunStatus::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Database id.
    pub id: RunId,
    /// Its sync.
    pub sync: SyncId,
    /// What started it (`schedule`, `operator`, …).
    pub trigger: String,
    /// How it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The terms of promise P6.
    pub counts: Counts,
    /// Durations, requests and the like, without row values.
    pub summary: serde_json::Value,
    /// Why it failed, without row values.
    pub error: Option<String>,
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq)]
pub struct RunClose {
    /// The run.
    pub run: RunId,
    /// Its end.
    pub status: RunStatus,
    /// The terms of promise P6.
    pub counts: Counts,
    /// Durations, requests and the like, without row values.
    pub summary: serde_json::Value,
    /// Why it failed, without row values.
    pub error: Option<String>,
}

/// A run that has begun, and what the snapshot held before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunRun {
    /// The run.
    pub run: RunId,
    /// The lease's epoch: intents and settles of the run carry it.
    pub epoch: i64,
    /// What an earlier run left behind.
    pub recovered: Recovered,
    /// Live entries, tombstones not counted: the base of the guard's shares.
    pub entries: u64,
    /// Tombstones.
    pub tombstones: u64,
}

/// What the start of a run cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Runs that were still `running` and are `interrupted` now.
    pub interrupted_runs: u64,
    /// Members of open intents that became dirty marks.
    pub dirty_marks: u64,
}

/// What stands for a sync outside of runs, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Live entries.
    pub entries: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Dirty keys, those that wait for a resync included; members of an open intent are not counted.
    pub dirty: u64,
    /// Since when the oldest of them is dirty.
    pub oldest_dirty: Option<Timestamp>,
    /// Rejected keys.
    pub rejected: u64,
    /// Invalid rows of the last run that read the model.
    pub invalid: u64,
}

/// Which reverse index of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerSpace {
    /// Keyed hash of the match value.
    Match,
    /// Keyed hash of the vendor's record id.
    RecordId,
}

impl OwnerSpace {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Match, Self::RecordId];
}

/// A key owns, or no longer owns, what a hash stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerChange {
    /// Which index.
    pub space: OwnerSpace,
    /// The keyed hash ([`crate::model::Fingerprinter::short`] of `State::owner_hasher`).
    pub hash: u64,
    /// Put or remove.
    pub present: bool,
}

/// An owner: a hash and the key that has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The keyed hash.
    pub hash: u64,
    /// The key.
    pub key: Key,
}

/// An operator's request, executed between runs by whoever runs the syncs.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Database id.
    pub id: i64,
    /// What is asked (`sync`, `approve`, …).
    pub kind: String,
    /// The sync concerned.
    pub sync: Option<SyncId>,
    /// Arguments.
    pub args: serde_json::Value,
    /// When it was posted.
    pub posted_at: Timestamp,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
    /// The result, when finished.
    pub result: Option<serde_json::Value>,
}
