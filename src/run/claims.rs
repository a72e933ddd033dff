//! Hashes of match values, for the owner index.

use std::sync::Arc;

use crate::{
    destination::Destination,
    mapping::to_text,
    model::{Fingerprinter, RecordRef},
};

/// Hashes a record's match value as the vendor compares it.
#[derive(Clone)]
pub(super) struct MatchHasher {
    pub(super) hasher: Fingerprinter,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) object: String,
    pub(super) fields: Vec<String>,
}

impl MatchHasher {
    /// The keyed hash of the match value; `None` when the record has none (then the row was invalid before).
    pub(super) fn of(&self, record: RecordRef<'_>) -> Option<u64> {
        let mut parts = Vec::new();
        for field in &self.fields {
            let value = to_text(record.get(field)?);
            let normal = self.destination.normalise_match(&self.object, field, &value);
            crate::model::put_bytes(normal.as_bytes(), &mut parts);
        }
        Some(self.hasher.short(&parts))
    }

    /// The keyed hash of one match value that was kept from an earlier send.
    pub(super) fn of_value(&self, value: &str) -> Option<u64> {
        let [field] = self.fields.as_slice() else { return None };
        let mut parts = Vec::new();
        let normal = self.destination.normalise_match(&self.object, field, value);
        crate::model::put_bytes(normal.as_bytes(), &mut parts);
        Some(self.hasher.short(&parts))
    }
}
