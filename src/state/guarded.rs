//! Guarded sets and their approval.

use super::StateError;
use crate::model::{ChangeKind, Fingerprint, Key, RunId, Timestamp};

/// A standing approval of a sync.
#[derive(Debug)]
pub struct Approval {
    /// The guarded run that was approved.
    pub run: RunId,
    /// A first run: `added` of every key is approved, whatever the set holds.
    pub first_run: bool,
    /// The run was held for its invalid rows: these are approved too.
    pub of_invalid: bool,
    /// Rows in the set.
    pub rows: u64,
    /// When it ends by itself (24 h after the approval).
    pub expires_at: Timestamp,
    /// The set, in key order.
    pub scan: ApprovedScan,
}

/// A guarded set in key order, read in chunks.
#[derive(Debug)]
pub struct ApprovedScan {}

impl ApprovedScan {
    /// The next change; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged.
    #[allow(clippy::unused_async, reason = "signature first")]
    pub async fn next(&mut self) -> Result<Option<(Key, ChangeKind, Option<Fingerprint>)>, StateError> {
        Err(StateError::Stopped)
    }
}
