//! What an answer says about each row: a pure function of settings, status, headers and body.
//!
//! | answer | meaning |
//! | --- | --- |
//! | `success` (2xx), no `results` configured | every row delivered, whatever the body; `record_id` from the body |
//! | `success` to an upsert or insert, but no id at `record_id` | `Settings`: the run stops |
//! | `success` with `results` | rows by key or position; those that no result names are unknown |
//! | the same to an upsert or insert, but no id at `results.record_id` | unknown; where no row has one, `Settings` |
//! | `retryable` | a fault, after which the request is sent again |
//! | `permanent` | the refusal of the one row; of several: `BatchRefused` |
//! | 404 or 410 to a path made of the record's id | gone |
//! | 404 or 410 to any other delete of one row | delivered |
//! | 404 or 410 to an update or clear of one row | gone |
//! | 404 or 410 to a delete of several rows | `BatchRefused`: each is asked for alone |
//! | 404 else | `NotFound` |
//! | a 2xx that is not in `success` | as a 4xx |
//! | 409 to an insert of one row | `Exists` |
//! | 409 else | a conflict of the one row; of several: `BatchRefused` |
//! | other 4xx | the refusal of the one row; of several: `BatchRefused` |
//! | 3xx, 401, 403, 405, 406, 408, 413, 415, 423, 425, 429, 5xx | see [`Answer::common_fault`] |

use std::collections::HashMap;

use serde_json::Value;

use super::{
    config::Results,
    encode::SentRow,
    operation::{Body, Call},
};
use crate::{
    destination::{
        Outcome, Rejection,
        answer::{Answer, AnswerProblem, refuse, safe_code},
    },
    mapping::to_text,
    model::{Operation, RecordRef, spec::HttpStatuses},
    wire::{Fault, FaultKind, Sent, VendorText},
};

/// One outcome for each row sent, in their order.
///
/// # Errors
/// A fault, when the answer is about the request as a whole.
pub(super) fn classify(
    call: &Call,
    operation: Operation,
    rows: &[SentRow<'_>],
    answer: &Answer<'_>,
) -> Result<Vec<Outcome>, Fault> {
    let status = answer.status.as_u16();
    let among = |list: &[HttpStatuses]| list.iter().any(|statuses| statuses.contains(status));
    if among(&call.success) {
        return delivered(call, operation, rows, answer);
    }
    if among(&call.retryable) {
        return Err(described(retry(answer), answer));
    }
    if among(&call.permanent) {
        return refused(call, rows, answer);
    }
    if let Some(fault) = answer.common_fault() {
        return match rows {
            [_] if fault.kind == FaultKind::TooLarge => {
                Ok(vec![Outcome::Rejected(refuse("TOO_LARGE", "the record alone is larger than the API takes"))])
            }
            _ => Err(described(fault, answer)),
        };
    }
    match status {
        404 | 410 if call.by_id => Ok(rows.iter().map(|_| Outcome::Gone).collect()),
        // Of several records nobody says which is missing, and the others may stand: each is asked for alone.
        404 | 410 if operation == Operation::Delete && rows.len() > 1 => {
            Err(described(answer.fault(FaultKind::BatchRefused), answer))
        }
        404 | 410 if operation == Operation::Delete => Ok(all_delivered(rows, None)),
        404 | 410 if matches!(operation, Operation::Update | Operation::Clear) && rows.len() == 1 => {
            Ok(vec![Outcome::Gone])
        }
        409 if operation == Operation::Insert && rows.len() == 1 => Ok(vec![Outcome::Exists { record_id: None }]),
        404 => Err(described(answer.fault(FaultKind::NotFound), answer)),
        _ => refused(call, rows, answer),
    }
}

fn delivered(
    call: &Call,
    operation: Operation,
    rows: &[SentRow<'_>],
    answer: &Answer<'_>,
) -> Result<Vec<Outcome>, Fault> {
    match &call.results {
        // The simple form has results of writes only; an operation of its own says what it has.
        Some(results) if operation != Operation::Delete || !matches!(call.body, Body::None) => {
            let outcomes = by_result(results, operation, rows, answer)?;
            if call.needs_id && operation != Operation::Update { with_ids(outcomes, answer) } else { Ok(outcomes) }
        }
        Some(_) | None => {
            let id = record_id(call, rows, answer);
            if call.needs_id && operation != Operation::Update && id.is_none() {
                return Err(no_id(answer));
            }
            Ok(all_delivered(rows, id.as_deref()))
        }
    }
}

fn all_delivered(rows: &[SentRow<'_>], record_id: Option<&str>) -> Vec<Outcome> {
    rows.iter().map(|_| Outcome::Delivered { record_id: record_id.map(Into::into) }).collect()
}

/// The id in the answer to a request of one row.
fn record_id(call: &Call, rows: &[SentRow<'_>], answer: &Answer<'_>) -> Option<String> {
    let pointer = call.record_id.as_ref().filter(|_| rows.len() == 1)?;
    let body: Value = serde_json::from_slice(answer.body).ok()?;
    text_of(body.pointer(pointer)?).filter(|id| !id.is_empty())
}

/// A record was made whose id nobody would know: its next change would make another one, so the run stops at once.
fn no_id(answer: &Answer<'_>) -> Fault {
    let problem = AnswerProblem::Contract("the answer names no record id at the pointer `record_id`");
    let mut fault = answer.fault(FaultKind::Settings).because(problem);
    (fault.sent, fault.code) = (Sent::Maybe, Some("no id at `record_id`".to_owned()));
    fault
}

/// A record was made whose id nobody would know: the row is not delivered. When no row has an id the pointer is wrong.
fn with_ids(mut outcomes: Vec<Outcome>, answer: &Answer<'_>) -> Result<Vec<Outcome>, Fault> {
    let named = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Delivered { record_id: Some(_) }));
    for outcome in &mut outcomes {
        if matches!(outcome, Outcome::Delivered { record_id: None }) {
            if !named {
                return Err(no_id(answer));
            }
            *outcome = Outcome::Unknown;
        }
    }
    Ok(outcomes)
}

/// The answer's status is configured as one after which the request is sent again. What it has done is not known.
fn retry(answer: &Answer<'_>) -> Fault {
    let throttled = answer.common_fault().filter(|fault| fault.kind == FaultKind::Throttled);
    throttled.unwrap_or_else(|| answer.fault(FaultKind::Server))
}

fn refused(call: &Call, rows: &[SentRow<'_>], answer: &Answer<'_>) -> Result<Vec<Outcome>, Fault> {
    match rows {
        [row] => Ok(vec![Outcome::Rejected(whole(call.results.as_ref(), row, answer))]),
        _ => Err(described(answer.fault(FaultKind::BatchRefused), answer)),
    }
}

/// The vendor's words are whatever the body holds.
fn described(mut fault: Fault, answer: &Answer<'_>) -> Fault {
    fault.text = words(answer);
    fault
}

fn words(answer: &Answer<'_>) -> VendorText {
    /// Enough to fill what is kept, also when many bytes are not UTF-8.
    const ENOUGH: usize = 1024;
    VendorText::new(&String::from_utf8_lossy(answer.body.get(..ENOUGH).unwrap_or(answer.body)))
}

/// The refusal of a request with one row.
fn whole(results: Option<&Results>, row: &SentRow<'_>, answer: &Answer<'_>) -> Rejection {
    let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
    let named = results.map(|results| rejection(results, row.record, &body));
    let text =
        named.as_ref().filter(|named| !named.text.is_empty()).map_or_else(|| words(answer), |named| named.text.clone());
    Rejection {
        code: named
            .map(|named| named.code)
            .filter(|code| code != UNNAMED)
            .unwrap_or_else(|| format!("HTTP_{}", answer.status.as_u16())),
        text,
        field: None,
        conflict: answer.status.as_u16() == 409,
    }
}

/// Stands in for a code that the answer does not have.
const UNNAMED: &str = "UNNAMED_ERROR";

fn by_result(
    results: &Results,
    operation: Operation,
    rows: &[SentRow<'_>],
    answer: &Answer<'_>,
) -> Result<Vec<Outcome>, Fault> {
    let body: Value = answer.json()?;
    let list = match body.pointer(&results.pointers.rows) {
        Some(Value::Array(list)) => list.as_slice(),
        // A request of one object may be answered by one object.
        Some(single @ Value::Object(_)) if rows.len() == 1 => std::slice::from_ref(single),
        Some(_) | None => {
            return Err(answer.protocol(AnswerProblem::Contract("no results at the pointer `results.rows`")));
        }
    };
    let found = match &results.pointers.key {
        Some(key) => by_key(key, list, rows),
        None if list.len() == rows.len() => list.iter().map(Some).collect(),
        None => return Err(answer.protocol(AnswerProblem::Contract("not as many results as rows"))),
    };
    let outcome = |(row, result): (&SentRow<'_>, Option<&Value>)| {
        result.map_or(Outcome::Unknown, |result| outcome(results, operation, row.record, result))
    };
    Ok(rows.iter().zip(found).map(outcome).collect())
}

/// The result of each row by its match value; none when two results name it.
fn by_key<'a>(key: &str, list: &'a [Value], rows: &[SentRow<'_>]) -> Vec<Option<&'a Value>> {
    let mut by_key: HashMap<String, Option<&Value>> = HashMap::new();
    for result in list {
        if let Some(name) = result.pointer(key).and_then(text_of) {
            by_key.entry(name).and_modify(|one| *one = None).or_insert(Some(result));
        }
    }
    rows.iter().map(|row| by_key.get(&row.match_value).copied().flatten()).collect()
}

/// What a result says. A status that is an HTTP status keeps its meaning.
fn outcome(results: &Results, operation: Operation, record: RecordRef<'_>, result: &Value) -> Outcome {
    let Some(status) = result.pointer(&results.pointers.status) else { return Outcome::Unknown };
    if results.success.contains(status) {
        let id = results.pointers.record_id.as_ref().and_then(|pointer| text_of(result.pointer(pointer)?));
        return Outcome::Delivered { record_id: id.filter(|id| !id.is_empty()).map(String::into_boxed_str) };
    }
    let rejection = rejection(results, record, result);
    match status.as_u64() {
        Some(404 | 410) if operation == Operation::Update || operation.is_removal() => Outcome::Gone,
        Some(409) if operation == Operation::Insert => Outcome::Exists { record_id: None },
        Some(408 | 500..=599) => Outcome::Unknown,
        Some(423 | 425 | 429) => Outcome::Retry(rejection),
        Some(409) => Outcome::Rejected(Rejection { conflict: true, ..rejection }),
        Some(_) | None => Outcome::Rejected(rejection),
    }
}

fn rejection(results: &Results, record: RecordRef<'_>, result: &Value) -> Rejection {
    let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| text_of(result.pointer(pointer)?));
    let code = at(&results.pointers.error_code).and_then(|code| safe_code(&code, Some(record)));
    Rejection {
        code: code.unwrap_or_else(|| UNNAMED.to_owned()),
        text: at(&results.pointers.error_message).map(|text| VendorText::new(&text)).unwrap_or_default(),
        field: None,
        conflict: false,
    }
}

/// A scalar in the text form that a match value has.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        // As the text form of a record's number: `5.0` is `5`.
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => Some(to_text(crate::model::Value::Float(float)).into_owned()),
            None => Some(number.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
