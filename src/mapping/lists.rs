//! Lists: JSON arrays (also those of PostgreSQL's array columns, which arrive as JSON), and texts that are split.

use serde_json::value::RawValue;

use super::cast::CastProblem;
use crate::model::Value;

/// The elements of a JSON array as one text: texts as they are, numbers in the digits they came in, nulls left out. An
/// element that holds the separator, an array or an object would not come out as it went in: the row is invalid.
pub(super) fn join(value: Value<'_>, separator: &str) -> Result<String, CastProblem> {
    let mut joined = String::new();
    let mut first = true;
    for element in elements(value)? {
        let Some(text) = element_text(value, element)? else { continue };
        if text.contains(separator) {
            return Err(form(value, "a list whose elements do not hold the separator"));
        }
        if !std::mem::take(&mut first) {
            joined.push_str(separator);
        }
        joined.push_str(&text);
    }
    Ok(joined)
}

/// A list as a JSON array without blanks between its elements. A text is split at the separator, if there is one; blanks
/// around its parts and empty parts go.
pub(super) fn list(value: Value<'_>, separator: Option<&str>) -> Result<String, CastProblem> {
    if let (Value::Text(text), Some(separator)) = (value, separator) {
        let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
        let parts: Vec<_> = parts.map(|part| serde_json::Value::from(part).to_string()).collect();
        return Ok(format!("[{}]", parts.join(",")));
    }
    let elements = elements(value)?;
    Ok(format!("[{}]", elements.iter().map(|element| element.get()).collect::<Vec<_>>().join(",")))
}

fn elements(value: Value<'_>) -> Result<Vec<&RawValue>, CastProblem> {
    match value {
        Value::Json(text) | Value::Text(text) => {
            serde_json::from_str(text).map_err(|_| form(value, "a list (a JSON array)"))
        }
        Value::Unrepresentable(why) => Err(CastProblem::Value(crate::model::ValueProblem::Unrepresentable(why))),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::LocalTimestamp(_)
        | Value::Uuid(_) => Err(CastProblem::Kind { from: value.kind_name(), to: "list" }),
    }
}

fn element_text(value: Value<'_>, element: &RawValue) -> Result<Option<String>, CastProblem> {
    let raw = element.get();
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Some).map_err(|_| form(value, "a list (a JSON array)")),
        Some(b'[' | b'{') => Err(form(value, "a list of texts, numbers and booleans")),
        Some(b'n') => Ok(None),
        Some(_) | None => Ok(Some(raw.to_owned())),
    }
}

const fn form(value: Value<'_>, wanted: &'static str) -> CastProblem {
    CastProblem::Form { from: value.kind_name(), wanted }
}
