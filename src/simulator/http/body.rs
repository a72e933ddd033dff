//! Rows of a JSON body.

use serde_json::{Map, Value};

use super::HttpOptions;

/// A row and its key, if it has one.
pub(super) struct Entry {
    pub(super) key: Option<String>,
    /// Its own idempotency key, if it has one.
    pub(super) row_key: Option<String>,
    pub(super) value: Value,
}

/// The rows of a body. `fallback` is the key in the path.
pub(super) fn entries(options: &HttpOptions, body: &[u8], fallback: Option<&str>) -> serde_json::Result<Vec<Entry>> {
    let mut value: Value = serde_json::from_slice(body)?;
    let wrapped = value.pointer_mut(&options.array_pointer).filter(|found| found.is_array()).map(Value::take);
    Ok(match wrapped.unwrap_or(value) {
        Value::Array(rows) => rows.into_iter().map(|value| entry(options, value, None)).collect(),
        value => vec![entry(options, value, fallback)],
    })
}

fn entry(options: &HttpOptions, value: Value, fallback: Option<&str>) -> Entry {
    let key = key(options, &value).or_else(|| fallback.map(str::to_owned));
    Entry { key, row_key: value.pointer(&options.row_key_pointer).and_then(scalar), value }
}

/// The key of a row: at the pointer, or the value itself.
fn key(options: &HttpOptions, value: &Value) -> Option<String> {
    scalar(value.pointer(&options.key_pointer).unwrap_or(value))
}

/// A scalar as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The scalar fields of a row as text, for faults that look at rows.
pub(super) fn fields(value: &Value) -> Vec<(String, String)> {
    let fields = value.as_object().into_iter().flat_map(Map::iter);
    fields.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect()
}
