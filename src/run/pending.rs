//! One row on its way through the merge; its memory is used again.

use crate::{diff::Keyed, mapping::InvalidField, model::Fingerprint};

/// One encoded row.
#[derive(Default)]
pub(super) struct PendingRow {
    pub(super) key: Vec<u8>,
    pub(super) record: Vec<u8>,
    /// `None` when the record is invalid.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) problem: Option<InvalidField>,
    /// Places of the fields that are null.
    pub(super) nulls: Vec<u16>,
    /// Fingerprints of the record under earlier mappings, in their order.
    pub(super) earlier: Vec<Option<Fingerprint>>,
    /// The place on the cursor column, in mode `append`.
    pub(super) cursor: Option<i64>,
}

impl PendingRow {
    pub(super) fn clear(&mut self) {
        self.key.clear();
        self.record.clear();
        self.fingerprint = None;
        self.problem = None;
        self.nulls.clear();
        self.earlier.clear();
        self.cursor = None;
    }
}

impl Keyed for PendingRow {
    fn key(&self) -> &[u8] {
        &self.key
    }
}
