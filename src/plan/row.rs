//! One row of the plan.

use std::fmt;

use crate::{
    diff::Planned,
    model::{Entry, Fingerprint, Key, Timestamp},
};

/// A planned change with all that delivery needs.
#[derive(Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// The key.
    pub key: Key,
    /// How it is sent and what its settle clears.
    pub planned: Planned,
    /// Fingerprint of the record; `None` for removals.
    pub fingerprint: Option<Fingerprint>,
    /// Keyed hashes of the match values, for the owner index; empty for removals.
    pub claims: Vec<u64>,
    /// The canonical record; for removals what the operation needs, mostly nothing.
    pub record: Vec<u8>,
    /// What the snapshot holds for the key.
    pub entry: Option<Entry>,
    /// Attempts of the standing reject.
    pub rejected_before: u32,
    /// The record under the previous mapping is what the snapshot holds: a new mapping alone makes the change.
    pub remapped: bool,
    /// When the last ambiguous attempt of the key may have begun at the latest.
    pub ambiguous_at: Option<Timestamp>,
    /// The event's place on the cursor column, in mode `append`.
    pub cursor: Option<i64>,
    /// Changes with every refusal of the key (the run of the standing reject, or 0): a refused request was answered, so its
    /// idempotency key is used up.
    pub refusals: u64,
}

impl fmt::Debug for PlanRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanRow")
            .field("key", &self.key)
            .field("planned", &self.planned)
            .field("record", &format_args!("{} bytes", self.record.len()))
            .finish_non_exhaustive()
    }
}
