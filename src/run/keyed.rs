//! The match fields of a removed key, for destinations that know records only by their match value.

use crate::{
    mapping::Mapping,
    model::{Key, KeyValues, encode_field},
};

/// Makes the match fields of a key that is no longer in the model, from the key itself.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyRecord {
    /// Match field and the position of its column in the key.
    fields: Vec<(String, usize)>,
}

impl KeyRecord {
    /// The match fields that are plain key columns, when all of them are.
    pub(super) fn new(mapping: &Mapping, match_fields: &[String], needed: bool) -> Self {
        let fields: Option<Vec<_>> = match_fields
            .iter()
            .map(|field| mapping.key_position(field).map(|position| (field.clone(), position)))
            .collect();
        Self { fields: fields.filter(|_| needed).unwrap_or_default() }
    }

    /// True when a removed key can be addressed by its match fields.
    pub(super) fn can_address(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Adds the match fields to a removal's record.
    pub(super) fn join(&self, key: &Key, record: Vec<u8>) -> Vec<u8> {
        if self.fields.is_empty() {
            return record;
        }
        let values = KeyValues::decode(key);
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, position) in &self.fields {
            let mut bytes = Vec::new();
            let value = values.as_ref().and_then(|values| values.get(*position));
            // Key values are always valid record values.
            if value.is_some_and(|value| encode_field(name, value, &mut bytes).is_ok()) {
                fields.push((name.as_bytes().to_vec(), bytes));
            }
        }
        for (name, value) in crate::model::RecordRef::new(&record).fields() {
            let mut bytes = Vec::new();
            if encode_field(name, value, &mut bytes).is_ok() {
                fields.push((name.as_bytes().to_vec(), bytes));
            }
        }
        fields.sort();
        fields.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }
}
