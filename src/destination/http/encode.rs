//! Rows to requests.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::config::HttpSettings;
use crate::{
    destination::{Batch, BatchRow, Rejection, answer::refuse},
    mapping::{to_json, to_text},
    model::{Operation, RecordRef},
};

/// A row as it was sent.
pub(super) struct SentRow<'a> {
    /// Position in the batch.
    pub(super) position: usize,
    /// The match value's text form.
    pub(super) match_value: String,
    pub(super) record: RecordRef<'a>,
}

/// A request without its address, and the rows in it.
pub(super) struct Encoded<'a> {
    /// Empty for a delete.
    pub(super) body: Bytes,
    pub(super) path: String,
    pub(super) sent: Vec<SentRow<'a>>,
    /// Rows that cannot be addressed, by position.
    pub(super) refused: Vec<(usize, Rejection)>,
}

/// The request of a batch; `None` for the path when it cannot be deleted at all.
pub(super) fn encode<'a>(settings: &HttpSettings, batch: &'a Batch) -> Option<Encoded<'a>> {
    let is_delete = batch.operation == Operation::Delete;
    let template = if is_delete { settings.delete_path.as_ref()? } else { &settings.path };
    let field = batch.match_fields.first().map_or("", String::as_str);
    let (mut sent, mut refused) = (Vec::new(), Vec::new());
    let mut path = String::new();
    for (position, row) in batch.rows.iter().enumerate() {
        let row = sent_row(position, field, row);
        // An event needs no match value where none stands in the path.
        let named = !row.match_value.is_empty() || (field.is_empty() && !template.names_match());
        match template.fill(&batch.object, &row.match_value).filter(|_| named) {
            Some(filled) => {
                path = filled;
                sent.push(row);
            }
            None => refused.push((position, no_match(field))),
        }
    }
    let body = if is_delete { Bytes::new() } else { body(settings, &sent) };
    Some(Encoded { body, path, sent, refused })
}

fn sent_row<'a>(position: usize, field: &str, row: &'a BatchRow) -> SentRow<'a> {
    let record = RecordRef::new(&row.record);
    let match_value = record.get(field).map(to_text).unwrap_or_default().into_owned();
    SentRow { position, match_value, record }
}

fn no_match(field: &str) -> Rejection {
    let reason = "the match value is empty or cannot stand in a path";
    Rejection { field: Some(field.to_owned()), ..refuse("MISSING_MATCH", reason) }
}

/// One object when the batch size is 1, else an array, bare or in its envelope.
fn body(settings: &HttpSettings, rows: &[SentRow<'_>]) -> Bytes {
    let mut objects = rows.iter().map(|row| Value::Object(to_json(row.record)));
    let value = if settings.batch_size == 1 {
        objects.next().unwrap_or_default()
    } else {
        let array = Value::Array(objects.collect());
        match &settings.envelope {
            Some(name) => Value::Object(Map::from_iter([(name.clone(), array)])),
            None => array,
        }
    };
    Bytes::from(value.to_string())
}

/// Bytes that a record takes in a body at most.
pub(super) fn row_len(record: RecordRef<'_>) -> usize {
    Value::Object(to_json(record)).to_string().len() + 1
}
