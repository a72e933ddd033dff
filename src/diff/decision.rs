//! What the diff is told about a key and what it answers.

use std::{fmt, time::Duration};

use crate::model::{
    BatchKey, ChangeKind, Fingerprint, IntentId, Operation, RunId, Timestamp,
    spec::{Mode, OnRemoved},
};

/// The model's row of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Fingerprint of the record in this build's encoding ([`crate::model::ENCODING_VERSION`]).
    pub fingerprint: Fingerprint,
    /// Fingerprint of the same record in the encoding of the key's entry, where that is another one.
    pub previous: Option<Fingerprint>,
}

impl Row {
    /// Whether a fingerprint that was taken earlier, in either encoding, is of this record.
    pub(super) fn is(&self, other: Fingerprint) -> bool {
        self.fingerprint == other || self.previous == Some(other)
    }
}

/// What the decisions of one run share.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The wall clock, read once at the run's start.
    pub now: Timestamp,
    /// After an ambiguous attempt, other changes of the key wait this long.
    pub late_window: Duration,
    /// What is done with the model's rows.
    pub mode: Mode,
    /// What is done with keys that left the model.
    pub on_removed: OnRemoved,
    /// The least place on the cursor column that was read, in mode `append`; `None`: everything was.
    pub read_from: Option<i64>,
    /// False when a row of the result had a null or unencodable key (promise P4). Such a row may come last, so the
    /// removals that were planned until then must be withheld by the caller too.
    pub removals_allowed: bool,
    /// When a removal of this sync was last settled: a standing `conflict` refused before that is tried again, for the
    /// owner of the record may be gone.
    pub last_removal: Option<Timestamp>,
    /// Entries settled by this run or an earlier one count as dirty, without a fingerprint: a resync was asked for then.
    pub resync_through: Option<RunId>,
}

/// What is to be done with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The destination has acknowledged this record; nothing is open.
    Unchanged,
    /// As `Unchanged`, but the entry's fingerprint is of an older encoding: settle it anew, send nothing (P9).
    Rewrite,
    /// The record was created and is not touched again, whatever the row has become; what else the state holds for the key
    /// (dirty marks, a reject, a tombstone) is settled without a request. Not part of the plan.
    Stands {
        /// The dirty marks to drop.
        loaded: Vec<IntentId>,
    },
    /// The row is not planned in this run.
    Waiting(WaitReason),
    /// The row is to be sent.
    Upsert(Planned),
    /// The key left the model.
    Removal(Planned),
    /// The key left the model, but its removal is not planned in this run.
    WaitingRemoval(WaitReason),
    /// The key left the model and nothing of it can stand at the destination, or in mode `append` no later read can hold
    /// it: its marks and its reject are dropped without a request. Not part of the plan.
    Forget {
        /// The dirty marks to drop; may be empty when only a reject stands.
        loaded: Vec<IntentId>,
    },
    /// The key is absent and nothing is to be done (a tombstone, or only a quiet time).
    Nothing,
}

/// Why a key is not planned in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// An earlier attempt with another effect may still be applied.
    LateWindow {
        /// When the key may be planned again.
        until: Timestamp,
    },
    /// The same change stands rejected.
    Rejected {
        /// The next try; `None`: only when the record changes.
        until: Option<Timestamp>,
    },
    /// The record belongs to another key (a standing reject with code `conflict`): until the record changes or a
    /// removal of the sync is settled.
    Conflict,
    /// The result has a row without a usable key, so absence proves nothing (P4).
    Withheld,
}

/// One planned change: how it is sent and what its settle clears.
#[derive(Clone, PartialEq, Eq)]
pub struct Planned {
    /// The kind, for counts, guard and approvals.
    pub kind: ChangeKind,
    /// What is sent; `None`: nothing, the removal is settled locally (`on_removed = "keep"`).
    pub operation: Option<Operation>,
    /// The same operation with the same fingerprint was about to be sent before.
    pub resend: bool,
    /// False for re-sends, reject retries and resync; always true for removals.
    pub counts_for_guard: bool,
    /// The dirty marks that a delivered outcome clears.
    pub loaded: Vec<IntentId>,
    /// The vendor's record id: then it is the address.
    pub record_id: Option<Box<str>>,
    /// The id is that of an unanswered operation, not of the entry. The record may be another key's (an interrupted
    /// takeover whose owner is back), so it is an address only if the owner index gives it to no other key.
    pub id_from_mark: bool,
    /// Sealed match values of unanswered operations of a key whose entry has no record id, newest first. Where such a value is
    /// not the record's present one, the record is to be found by it before anything is sent.
    pub find_first: Vec<Box<[u8]>>,
    /// Of an operation that creates: the fingerprint that the newest unanswered one sent. If the record is found, that is what
    /// stands there.
    pub unanswered: Option<Fingerprint>,
    /// The batch to form again, with the same idempotency key, if all its members still want the same.
    pub reform: Option<Reform>,
}

/// The place of an unchanged re-send in the batch that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reform {
    /// Batch and position.
    pub intent: IntentId,
    /// Idempotency key and number of members.
    pub key: BatchKey,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned")
            .field("kind", &self.kind)
            .field("operation", &self.operation)
            .field("resend", &self.resend)
            .field("counts_for_guard", &self.counts_for_guard)
            .field("loaded", &self.loaded)
            .field("has_id", &self.record_id.is_some())
            .field("id_from_mark", &self.id_from_mark)
            .field("find_first", &self.find_first.len())
            .field("unanswered", &self.unanswered)
            .field("reform", &self.reform)
            .finish()
    }
}
