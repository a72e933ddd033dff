//! Rows to request bodies.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::config::{MAX_BYTES, MAX_ROWS, normalise};
use crate::{
    destination::{Batch, BatchRow, Rejection, answer::refuse},
    mapping::{text_len, to_text},
    model::{Operation, RecordRef, Value},
};

/// A row as it was sent.
pub(super) struct SentRow<'a> {
    /// Position in the batch.
    pub(super) position: usize,
    pub(super) correlation: u64,
    /// The record id, or else the normalised match value.
    pub(super) address: Cow<'a, str>,
    /// The address is the match value.
    pub(super) by_match: bool,
    pub(super) record: RecordRef<'a>,
}

/// A request body and the rows in it.
pub(super) struct Encoded<'a> {
    pub(super) body: Bytes,
    pub(super) sent: Vec<SentRow<'a>>,
    /// Rows that cannot be addressed, by position.
    pub(super) refused: Vec<(usize, Rejection)>,
}

/// One input. HubSpot refuses `idProperty` in an update by record id, and a create takes no id at all.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_property: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Properties<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_write_trace_id: Option<String>,
}

/// A record as properties: an object of strings, where the empty string clears.
struct Properties<'a>(RecordRef<'a>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.fields() {
            map.serialize_entry(name, &property_text(value))?;
        }
        map.end()
    }
}

/// The text of a property: the mapping's text form, with instants cut to HubSpot's milliseconds.
pub(super) fn property_text(value: Value<'_>) -> Cow<'_, str> {
    const MILLI: i64 = 1000;
    match value {
        Value::Timestamp(micros) => to_text(Value::Timestamp(micros.div_euclid(MILLI) * MILLI)),
        other => to_text(other),
    }
}

/// The body of one batch request.
pub(super) fn encode(batch: &Batch) -> Encoded<'_> {
    let id_property = batch.match_fields.first().map_or("", String::as_str);
    let mut body = br#"{"inputs":["#.to_vec();
    let (mut sent, mut refused) = (Vec::with_capacity(batch.rows.len()), Vec::new());
    for (position, row) in batch.rows.iter().enumerate() {
        let length = body.len();
        if !sent.is_empty() {
            body.push(b',');
        }
        match encode_row(batch, id_property, row, &mut body) {
            Ok(address) => {
                let record = RecordRef::new(&row.record);
                let by_match = is_by_match(batch.operation, row);
                sent.push(SentRow { position, correlation: row.correlation, address, by_match, record });
            }
            Err(rejection) => {
                body.truncate(length);
                refused.push((position, rejection));
            }
        }
    }
    body.extend_from_slice(b"]}");
    Encoded { body: Bytes::from(body), sent, refused }
}

fn encode_row<'a>(
    batch: &Batch,
    id_property: &str,
    row: &'a BatchRow,
    body: &mut Vec<u8>,
) -> Result<Cow<'a, str>, Rejection> {
    let record = RecordRef::new(&row.record);
    let by_match = is_by_match(batch.operation, row);
    let address = if by_match {
        Cow::Owned(match_value(&batch.object, id_property, record)?)
    } else {
        let known = row.record_id.as_deref().filter(|id| !id.is_empty());
        Cow::Borrowed(known.ok_or_else(|| refuse("MISSING_RECORD_ID", "the record id is not known"))?)
    };
    // An archive input is an id and nothing else.
    let is_delete = batch.operation == Operation::Delete;
    let has_id = batch.operation != Operation::Insert;
    let input = Input {
        id: has_id.then_some(&*address),
        id_property: (has_id && by_match).then_some(id_property),
        properties: (!is_delete).then_some(Properties(record)),
        object_write_trace_id: (!is_delete).then(|| row.correlation.to_string()),
    };
    serde_json::to_writer(body, &input).map_err(|_| refuse("NOT_ENCODABLE", "the record cannot be written as JSON"))?;
    Ok(address)
}

/// Whether a row is named by its match value: a create and an upsert always, an update without a known record.
fn is_by_match(operation: Operation, row: &BatchRow) -> bool {
    match operation {
        Operation::Upsert | Operation::Insert => true,
        Operation::Update => row.record_id.is_none(),
        Operation::Clear | Operation::Delete => false,
    }
}

fn match_value(object: &str, id_property: &str, record: RecordRef<'_>) -> Result<String, Rejection> {
    let value = record.get(id_property).map(property_text).unwrap_or_default();
    let value = normalise(object, id_property, &value);
    let missing =
        || Rejection { field: Some(id_property.to_owned()), ..refuse("MISSING_MATCH", "the match value is empty") };
    if value.is_empty() { Err(missing()) } else { Ok(value) }
}

/// Keys, quotes, a record id, the name of the match field, a trace id of 20 digits, a comma.
const FRAME: usize = 256;

/// Bytes that a record takes in a body at most, with its address and trace id. Counted only where it matters: the counting took
/// as long as the writing.
pub(super) fn row_len(record: RecordRef<'_>) -> usize {
    // A byte of text takes up to six and may stand twice; a field of three bytes and more, up to 40 more.
    let most = FRAME + record.as_bytes().len().saturating_mul(12 + 40 / 3 + 1);
    if most <= MAX_BYTES / MAX_ROWS { most } else { counted_len(record) }
}

pub(super) fn counted_len(record: RecordRef<'_>) -> usize {
    let (mut total, mut longest) = (0, 0);
    for (name, value) in record.fields() {
        let length = json_len(value);
        total += escaped_len(name) + length + 2;
        longest = longest.max(length);
    }
    // The match value stands twice, and it is none other than the longest at worst.
    FRAME + total + longest
}

fn json_len(value: Value<'_>) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => escaped_len(text),
        // Digits, letters and punctuation that stand for themselves.
        other => text_len(other) + 2,
    }
}

/// Bytes of a text in JSON at most, with its quotes: a control character takes up to six.
fn escaped_len(text: &str) -> usize {
    let more = |byte: u8| match byte {
        0..=0x1F => 5,
        b'"' | b'\\' => 1,
        _ => 0,
    };
    text.len() + 2 + text.bytes().map(more).sum::<usize>()
}
