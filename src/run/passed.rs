//! What a diff pass found, and small questions that it asks.

use super::{RunError, cursor, doubt::InDoubt, nulls::NullCounts};
use crate::{
    diff::Planned,
    model::{Fingerprint, Held, InvalidCode, InvalidRow, KeyProblem},
    plan::{Locals, OwnershipResolver, Plan, PlanRow},
    proof::{Rule, is_broken},
};

/// Invalid rows that are listed by key; the rest is only counted.
pub(super) const MAX_LISTED: usize = 1_000;

/// Rows and keys as the diff pass counted them, before ownership.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PassCounts {
    pub(super) read: u64,
    pub(super) unchanged: u64,
    pub(super) invalid: u64,
    pub(super) waiting: u64,
    pub(super) waiting_removals: u64,
}

/// What the diff pass found.
pub(super) struct Passed {
    pub(super) plan: Plan,
    pub(super) counts: PassCounts,
    pub(super) ownership: Option<OwnershipResolver>,
    pub(super) invalid: Vec<InvalidRow>,
    /// A row had no usable key: absence proves nothing, so removals are withheld (promise P4).
    pub(super) unusable_keys: u64,
    /// How often each field is null.
    pub(super) nulls: NullCounts,
    /// The newest value of the column of `fresh`: microseconds since 1970.
    pub(super) newest: Option<i64>,
    /// Rows that stand under each earlier mapping and are not sent.
    pub(super) standing: Vec<u64>,
    /// Settles that need no request and are no part of the plan.
    pub(super) local: Locals,
    /// Absent keys whose records have ids, with their dirty marks.
    pub(super) gone: Locals,
    /// Hashes of match values that an earlier request may still write, with the keys that sent them, by hash and key.
    pub(super) in_doubt: InDoubt,
    /// What was seen of the cursor column, in mode `append`.
    pub(super) cursor: cursor::Seen,
}

/// A result that was not read to its end is none, but in the proof harness's broken variant.
pub(super) fn unless_partial<T>(batch: Result<Option<T>, RunError>) -> Result<Option<T>, RunError> {
    if is_broken(Rule::CompleteRead) { Ok(batch.unwrap_or(None)) } else { batch }
}

/// Attempts at the same record that were refused: a changed one begins anew.
pub(super) fn rejected_before(held: &Held, fingerprint: Option<Fingerprint>) -> u32 {
    held.rejected.as_ref().filter(|mark| mark.fingerprint == fingerprint).map_or(0, |mark| mark.attempts)
}

/// The plan's row of an absent key. `record`: what the operation needs.
pub(super) fn removal_row(held: Held, planned: Planned, record: Vec<u8>) -> PlanRow {
    PlanRow {
        ambiguous_at: latest_ambiguous(&held),
        rejected_before: rejected_before(&held, None),
        key: held.key,
        planned,
        fingerprint: None,
        claims: Vec::new(),
        record,
        entry: held.entry,
        remapped: false,
        cursor: None,
        refusals: 0,
    }
}

pub(super) fn latest_ambiguous(held: &Held) -> Option<crate::model::Timestamp> {
    held.dirty.iter().filter_map(|mark| mark.ambiguous_at).max()
}

pub(super) fn key_code(problem: KeyProblem) -> InvalidCode {
    match problem {
        KeyProblem::Null { .. } => InvalidCode::NullKey,
        KeyProblem::WrongKind { .. } => InvalidCode::UnencodableKey,
        KeyProblem::TooLong => InvalidCode::TooLarge,
    }
}
