//! Rows to requests.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use minijinja::{Value as Context, context};
use serde_json::{Map, Value};

use super::operation::{Body, Call, Records};
use crate::{
    destination::{Batch, BatchRow, Rejection, answer::refuse},
    mapping::{TemplateError, template_value, to_json, to_text},
    model::{Operation, RecordRef},
};

/// A row as it was sent.
pub(super) struct SentRow<'a> {
    /// Position in the batch.
    pub(super) position: usize,
    /// The match value's text form.
    pub(super) match_value: String,
    pub(super) record: RecordRef<'a>,
    row: &'a BatchRow,
}

/// A request without its address, and the rows in it.
pub(super) struct Encoded<'a> {
    pub(super) body: Bytes,
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names the request in every attempt: of the one row, where it has a key of its own, else of the batch.
    pub(super) idempotency_key: String,
    pub(super) sent: Vec<SentRow<'a>>,
    /// Rows that cannot be addressed or written, by position.
    pub(super) refused: Vec<(usize, Rejection)>,
}

/// Why several rows together make no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unwritable(String);

/// The request of a batch. `sent` is empty when no row is left.
///
/// # Errors
/// When several rows together make no request; one row alone is refused instead.
pub(super) fn encode<'a>(call: &Call, batch: &'a Batch) -> Result<Encoded<'a>, Unwritable> {
    let field = batch.match_fields.first().map_or("", String::as_str);
    let (mut sent, mut refused) = (Vec::new(), Vec::new());
    for (position, row) in batch.rows.iter().enumerate() {
        let row = sent_row(position, field, row);
        match unaddressed(call, batch.operation, field, &row) {
            Some(rejection) => refused.push((position, rejection)),
            None => sent.push(row),
        }
    }
    let idempotency_key = hex(batch.idempotency_key);
    let mut encoded =
        Encoded { body: Bytes::new(), path: String::new(), headers: Vec::new(), idempotency_key, sent, refused };
    if encoded.sent.is_empty() {
        return Ok(encoded);
    }
    match write(call, batch, &encoded) {
        Ok((path, headers, body)) => Ok(Encoded { path, headers, body, ..encoded }),
        Err(problem) => {
            let [row] = encoded.sent.as_slice() else { return Err(Unwritable(problem.to_string())) };
            encoded.refused.push((row.position, problem.rejection(field)));
            encoded.sent.clear();
            Ok(encoded)
        }
    }
}

fn sent_row<'a>(position: usize, field: &str, row: &'a BatchRow) -> SentRow<'a> {
    let record = RecordRef::new(&row.record);
    let match_value = record.get(field).map(to_text).unwrap_or_default().into_owned();
    SentRow { position, match_value, record, row }
}

/// Why nothing says which record is meant.
fn unaddressed(call: &Call, operation: Operation, field: &str, row: &SentRow<'_>) -> Option<Rejection> {
    if call.by_id {
        let reason = "the record's id is not known, and the path is made of it";
        return row.row.record_id.is_none().then(|| refuse("MISSING_RECORD_ID", reason));
    }
    let unneeded = operation == Operation::Insert && field.is_empty();
    (row.match_value.is_empty() && !unneeded).then(|| no_match(field))
}

fn no_match(field: &str) -> Rejection {
    let reason = "the match value is empty or cannot stand in a path";
    Rejection { field: Some(field.to_owned()), ..refuse("MISSING_MATCH", reason) }
}

fn hex(key: u128) -> String {
    format!("{key:032x}")
}

/// What of a request cannot be written.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the path cannot be made: {0}")]
    Path(TemplateError),
    #[error("the header `{0}` cannot be made: {1}")]
    Header(HeaderName, String),
    #[error("the body cannot be made: {0}")]
    Body(String),
}

impl Problem {
    fn rejection(&self, field: &str) -> Rejection {
        match self {
            Self::Path(_) => no_match(field),
            Self::Header(..) => refuse("BAD_HEADER", &self.to_string()),
            Self::Body(_) => refuse("BAD_BODY", &self.to_string()),
        }
    }
}

type Parts = (String, Vec<(HeaderName, HeaderValue)>, Bytes);

fn write(call: &Call, batch: &Batch, encoded: &Encoded<'_>) -> Result<Parts, Problem> {
    let address = Address { object: &batch.object, idempotency_key: &encoded.idempotency_key };
    let context = match encoded.sent.as_slice() {
        [row] if call.batch_size == 1 => address.row(&row.match_value, row.row.record_id.as_deref(), row.record),
        rows => address.rows(rows.iter().map(|row| row.record)),
    };
    let path = call.path.fill(context.clone()).map_err(Problem::Path)?;
    let header = |(name, template): &(HeaderName, crate::mapping::Template)| {
        let failed = |reason: String| Problem::Header(name.clone(), reason);
        let text = template.render(context.clone()).map_err(|error| failed(error.reason))?;
        let value = HeaderValue::from_str(&text).map_err(|_| failed("no header can hold the text".to_owned()))?;
        Ok((name.clone(), value))
    };
    let headers = call.headers.iter().map(header).collect::<Result<_, Problem>>()?;
    let body = match &call.body {
        Body::None => Bytes::new(),
        Body::Template(template) => rendered(template, context)?,
        Body::Records(records) => {
            let rows = encoded.sent.iter().map(|row| (row.record, row.row.idempotency_key));
            records.write(call.batch_size, rows)
        }
    };
    Ok((path, headers, body))
}

/// The text of a body template, which must be JSON: anything else is found before it is sent.
fn rendered(template: &crate::mapping::Template, context: Context) -> Result<Bytes, Problem> {
    let text = template.render(context).map_err(|error| Problem::Body(error.reason))?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(Bytes::from(text)),
        // The error's own text may quote the body, so only its place is kept.
        Err(error) => Err(Problem::Body(format!("it is no JSON (line {}, column {})", error.line(), error.column()))),
    }
}

/// What templates know beside the rows.
struct Address<'a> {
    object: &'a str,
    idempotency_key: &'a str,
}

impl Address<'_> {
    fn row(&self, match_value: &str, record_id: Option<&str>, record: RecordRef<'_>) -> Context {
        let record = template_value(&Value::Object(to_json(record)));
        let (object, idempotency_key) = (self.object, self.idempotency_key);
        let known = context! { object, idempotency_key, match => match_value, record };
        match record_id {
            Some(record_id) => context! { record_id, ..known },
            None => known,
        }
    }

    fn rows<'r>(&self, records: impl Iterator<Item = RecordRef<'r>>) -> Context {
        let records: Context = records.map(|record| template_value(&Value::Object(to_json(record)))).collect();
        context! { object => self.object, idempotency_key => self.idempotency_key, records }
    }
}

impl Records {
    /// One object when the batch size is 1, else an array, bare or in its envelope.
    fn write<'a>(&self, batch_size: usize, rows: impl Iterator<Item = (RecordRef<'a>, Option<u128>)>) -> Bytes {
        let mut objects = rows.map(|(record, key)| Value::Object(self.object(record, key)));
        let value = if batch_size == 1 {
            objects.next().unwrap_or_default()
        } else {
            let array = Value::Array(objects.collect());
            match &self.envelope {
                Some(name) => Value::Object(Map::from_iter([(name.clone(), array)])),
                None => array,
            }
        };
        Bytes::from(value.to_string())
    }

    fn object(&self, record: RecordRef<'_>, key: Option<u128>) -> Map<String, Value> {
        let mut object = to_json(record);
        object.extend(self.constants.iter().cloned());
        if let (Some(field), Some(key)) = (&self.idempotency_field, key) {
            object.insert(field.clone(), Value::String(hex(key)));
        }
        object
    }
}

/// Bytes that a record takes in a body at most.
///
/// # Errors
/// Why no body can be made of it, without its values.
pub(super) fn row_len(call: &Call, object: &str, record: RecordRef<'_>) -> Result<usize, String> {
    /// Stands for a match value or an id, which are not known here.
    const UNKNOWN: &str = match std::str::from_utf8(&[b'x'; 256]) {
        Ok(text) => text,
        Err(_) => "",
    };
    match &call.body {
        Body::None => Ok(0),
        Body::Records(records) => Ok(Value::Object(records.object(record, Some(u128::MAX))).to_string().len() + 1),
        Body::Template(template) => {
            let address = Address { object, idempotency_key: &hex(u128::MAX) };
            let context = if call.batch_size == 1 {
                address.row(UNKNOWN, Some(UNKNOWN), record)
            } else {
                address.rows(std::iter::once(record))
            };
            rendered(template, context).map(|body| body.len()).map_err(|problem| problem.to_string())
        }
    }
}
