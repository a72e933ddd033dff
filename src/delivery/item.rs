//! One planned operation, ready to be put into a batch.

use bytes::Bytes;

use crate::model::{BatchKey, Entry, Fingerprint, IntentId, Key, Operation, Timestamp};

/// One planned operation.
#[derive(Debug, Clone)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// What is to be done.
    pub operation: Operation,
    /// Fingerprint of the record; `None` for removals.
    pub fingerprint: Option<Fingerprint>,
    /// The canonical record; for `Clear` the fields to clear, for `Delete` the match fields or nothing.
    pub record: Bytes,
    /// The vendor's record id, where it is known.
    pub record_id: Option<Box<str>>,
    /// Keyed hash of the match value, where the sync keeps an owner index.
    pub match_hash: Option<u64>,
    /// Dirty marks that a delivered outcome clears.
    pub loaded: Vec<IntentId>,
    /// The batch that these marks were last sent in, if the same operation is sent again.
    pub batch_key: Option<BatchKey>,
    /// When an earlier ambiguous send of this key may have begun at the latest.
    pub ambiguous_at: Option<Timestamp>,
    /// What the snapshot holds for the key: its owner-index rows are replaced when this operation is delivered.
    pub entry: Option<Entry>,
    /// The absent key whose record this one takes over, and what the snapshot holds for it.
    pub takes_over: Option<TakenOver>,
    /// Attempts that ended in a standing reject.
    pub rejected_before: u32,
    /// Attempts of this run under intents that have expired.
    pub attempts: u32,
    /// Names the row of a record that is created once: see [`crate::destination::BatchRow::idempotency_key`].
    pub row_key: Option<u128>,
    /// Changes with every refusal of the key.
    pub refusals: u64,
    /// The event's place on the cursor column, in mode `append`.
    pub cursor: Option<i64>,
    /// A removal that no approval covers: it counts in the 24-hour sum.
    pub unapproved_removal: bool,
    /// Size in a request body, in bytes.
    pub size: usize,
}

/// An absent key whose record another key takes over.
#[derive(Debug, Clone)]
pub struct TakenOver {
    /// The absent key.
    pub key: Key,
    /// The vendor's id of its record, where it is known.
    pub record_id: Option<Box<str>>,
    /// Its dirty marks of these attempts, which a delivered takeover clears.
    pub marks: Vec<IntentId>,
}
