//! The record of a removed key: its match fields, for destinations that know records only by them, and the fields to clear.

use crate::{
    mapping::{KeyPart, Mapping, to_text},
    model::{
        Key, KeyValues, Value, encode_field,
        spec::{OnRemoved, SyncSpec},
    },
};

/// Makes the match fields of a key that is no longer in the model, from the key itself.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyRecord {
    /// Match field and the key column that it is made of.
    fields: Vec<(String, KeyPart)>,
}

impl KeyRecord {
    /// The match fields that are key columns, when all of them are.
    pub(super) fn new(mapping: &Mapping, match_fields: &[String], needed: bool) -> Self {
        let fields: Option<Vec<_>> =
            match_fields.iter().map(|field| mapping.key_part(field).map(|part| (field.clone(), part))).collect();
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
        for (name, part) in &self.fields {
            let Some(value) = values.as_ref().and_then(|values| values.get(part.position)) else { continue };
            let text = to_text(value);
            let value = if part.as_text { Value::Text(&text) } else { value };
            let mut bytes = Vec::new();
            // Key values are always valid record values.
            if encode_field(name, value, &mut bytes).is_ok() {
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

/// For `on_removed = "clear"`: every mapped field but those of the match, as null.
pub(super) fn cleared_record(sync: &SyncSpec, mapping: &Mapping) -> Vec<u8> {
    let mut record = Vec::new();
    if sync.on_removed == OnRemoved::Clear {
        for name in mapping.field_names().filter(|name| !sync.match_fields.iter().any(|f| f == name)) {
            // A null is always a valid value.
            if encode_field(name, Value::Null, &mut record).is_err() {
                record.clear();
            }
        }
    }
    record
}
