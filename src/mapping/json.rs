//! Records as JSON.

use serde_json::{Map, Number, Value as Json, map::Entry};

use super::to_text;
use crate::model::{FieldPath, RecordRef, Value};

/// A record as a JSON object; dots in field names nest (see [`FieldPath`]). The values are those of [`value_to_json`].
pub fn to_json(record: RecordRef<'_>) -> Map<String, Json> {
    let mut object = Map::new();
    for (name, value) in record.fields() {
        let value = value_to_json(value);
        if !name.contains(['.', '\\']) {
            object.insert(name.to_owned(), value);
        } else if let Ok(path) = FieldPath::parse(name) {
            insert(&mut object, path.parts(), value);
        }
    }
    object
}

/// The JSON form of a value:
///
/// - null, booleans and finite floats as such; JSON as it is (numbers in it beyond 64-bit integers become doubles);
/// - integers and decimals as a number when an `i64`, or when the nearest double prints as exactly these digits;
///   otherwise as a string of digits, so that no digit is lost on the way;
/// - everything else as a string in its text form (see [`to_text`]).
pub fn value_to_json(value: Value<'_>) -> Json {
    match value {
        Value::Null | Value::Unrepresentable(_) => Json::Null,
        Value::Bool(v) => Json::Bool(v),
        Value::Int(v) => Json::from(v),
        Value::Decimal(v) => decimal(v),
        Value::Float(v) => Number::from_f64(v + 0.0).map_or(Json::Null, Json::Number),
        Value::Json(v) => serde_json::from_str(v).unwrap_or_else(|_| Json::String(v.to_owned())),
        Value::Text(_)
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::LocalTimestamp(_)
        | Value::Uuid(_) => Json::String(to_text(value).into_owned()),
    }
}

fn decimal(text: &str) -> Json {
    let text = to_text(Value::Decimal(text));
    if let Ok(integer) = text.parse::<i64>() {
        return Json::from(integer);
    }
    let exact = text.parse::<f64>().ok().filter(|float| to_text(Value::Float(*float)) == text);
    exact.and_then(Number::from_f64).map_or_else(|| Json::String(text.into_owned()), Json::Number)
}

fn insert(object: &mut Map<String, Json>, parts: &[String], value: Json) {
    let Some((first, rest)) = parts.split_first() else { return };
    if rest.is_empty() {
        object.insert(first.clone(), value);
        return;
    }
    let inner = match object.entry(first.clone()) {
        Entry::Vacant(vacant) => vacant.insert(Json::Object(Map::new())),
        Entry::Occupied(occupied) => occupied.into_mut(),
    };
    // A mapping never has a field that is a value and an object at once.
    if let Json::Object(inner) = inner {
        insert(inner, rest, value);
    }
}
