//! One row of the plan.

use std::fmt;

use crate::{
    diff::Planned,
    model::{Fingerprint, Key},
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
    /// The canonical record; empty for removals.
    pub record: Vec<u8>,
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
