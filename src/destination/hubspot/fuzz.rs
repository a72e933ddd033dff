//! Targets of the fuzzer: HubSpot's answers to batches, and to all other requests.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    classify::{Question, classify, fault},
    encode::encode,
    read::{Asked, fields, identity, not_found, observed},
};
use crate::{
    destination::{
        Lookup, LookupBy,
        answer::Answer,
        fuzz::{OPERATIONS, STATUSES, batch, judge},
    },
    model::Operation,
    proof::Target,
};

pub(in crate::destination) const TARGETS: [Target; 2] =
    [Target::of_text("hubspot-batch", answers), Target::of_text("hubspot-other", others)];

/// A batch's answer with every operation and several statuses.
fn answers(bytes: &[u8]) {
    let headers = HeaderMap::new();
    let rows = 1 + bytes.len() as u64 % 4;
    let chosen = STATUSES[bytes.len() % STATUSES.len()];
    for status in [200, 207, 400, chosen].into_iter().filter_map(|status| StatusCode::from_u16(status).ok()) {
        for operation in OPERATIONS {
            let batch = batch(operation, rows, !matches!(operation, Operation::Upsert | Operation::Insert));
            let encoded = encode(&batch);
            let question = Question { object: "contacts", operation, id_property: "email", rows: &encoded.sent };
            let answer = Answer { status, headers: &headers, body: bytes };
            if let Ok(outcomes) = classify(&question, &answer) {
                judge(&outcomes, encoded.sent.len(), most_delivered(operation, status, bytes, encoded.sent.len()));
            }
        }
    }
}

/// Rows that an answer can have named as written: one for each result; what is not there any more needs no removal.
fn most_delivered(operation: Operation, status: StatusCode, bytes: &[u8], rows: usize) -> usize {
    if operation.is_removal() {
        return rows;
    }
    // As in the program: what is skipped need be neither sound UTF-8 nor whole surrogates.
    let body = serde_json::from_str::<Listed>(&String::from_utf8_lossy(bytes));
    if status.is_success() { body.map_or(0, |body| body.results.len()) } else { 0 }
}

/// The results of an answer, whatever else it holds.
#[derive(Deserialize)]
struct Listed {
    results: Vec<IgnoredAny>,
}

/// Lookups, fields, the account, limits and errors.
fn others(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate().take(8) {
        let name = [
            "x-hubspot-ratelimit-interval-milliseconds",
            "x-hubspot-ratelimit-max",
            "x-hubspot-ratelimit-daily",
            "retry-after",
            "date",
        ][number % 5];
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let windows = observed(&headers).windows;
    assert!(windows.iter().all(|window| !window.per.is_zero()), "a window without length");
    let values = vec!["1@example.com".to_owned(), "2@example.com".to_owned()];
    let by = [
        LookupBy::RecordIds(vec!["101".into(), "102".into()]),
        LookupBy::Match { field: "email".into(), values: values.clone() },
    ];
    for status in STATUSES.into_iter().filter_map(|status| StatusCode::from_u16(status).ok()) {
        let answer = Answer { status, headers: &headers, body: bytes };
        let said = fault(&answer);
        assert!(said.code.as_deref() != Some(""), "an empty code");
        if status.as_u16() != 200 {
            continue;
        }
        drop((not_found(&answer), fields("contacts", &answer), identity(&answer)));
        for by in by.clone() {
            let lookup = Lookup { object: "contacts".into(), by, fields: vec!["name".into()] };
            let asked = Asked::new(&lookup, 0, &values);
            let found = asked.found(&answer).unwrap_or_default();
            assert!(found.iter().all(|found| found.position < 2), "a record of no question");
        }
    }
}
