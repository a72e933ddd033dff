//! Target of the fuzzer: answers to the generic destination, with results by key, by position, and with none.

use std::sync::OnceLock;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{classify::classify, config::HttpSettings, encode::encode};
use crate::{
    destination::{
        answer::Answer,
        fuzz::{OPERATIONS, STATUSES, batch, judge},
    },
    model::spec::{HttpResultsSpec, HttpSpec},
    proof::Target,
};

pub(in crate::destination) const TARGET: Target = Target::of_text("http-answer", run);

fn settings() -> &'static [HttpSettings] {
    static MADE: OnceLock<Vec<HttpSettings>> = OnceLock::new();
    MADE.get_or_init(|| {
        let results = |key: Option<&str>| HttpResultsSpec {
            rows: "/results".into(),
            key: key.map(str::to_owned),
            status: "/status".into(),
            success: vec!["\"ok\"".into(), "201".into()],
            record_id: Some("/id".into()),
            error_code: Some("/error/code".into()),
            error_message: Some("/error/message".into()),
        };
        let spec = |results| HttpSpec {
            delete_path: Some("/v1/{object}/{match}".into()),
            batch_size: 10,
            envelope: Some("records".into()),
            results,
            ..HttpSpec::new("/v1/{object}")
        };
        let specs = [None, Some(results(Some("/email"))), Some(results(None))].map(spec);
        specs.iter().filter_map(|spec| HttpSettings::new(spec).ok()).collect()
    })
}

fn run(bytes: &[u8]) {
    let headers = HeaderMap::new();
    let rows = 1 + bytes.len() as u64 % 3;
    let named = serde_json::from_slice::<Value>(bytes).ok().map_or(0, |body| match body.get("results") {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(_)) => 1,
        _ => 0,
    });
    assert_eq!(settings().len(), 3, "the settings are refused");
    let chosen = STATUSES[bytes.len() % STATUSES.len()];
    for status in [200, 409, chosen].into_iter().filter_map(|status| StatusCode::from_u16(status).ok()) {
        for (settings, has_results) in settings().iter().zip([false, true, true]) {
            for operation in OPERATIONS {
                let rows = if operation.is_removal() { 1 } else { rows };
                let batch = batch(operation, rows, false);
                let Some(call) = settings.object("contacts").call(operation) else { continue };
                let Ok(encoded) = encode(call, &batch) else { unreachable!("a plain batch is refused") };
                let answer = Answer { status, headers: &headers, body: bytes };
                if let Ok(outcomes) = classify(call, operation, &encoded.sent, &answer) {
                    // Without results a success stands for all rows; so does that of a removal.
                    let whole = operation.is_removal() || (status.is_success() && !has_results);
                    let most = if whole {
                        encoded.sent.len()
                    } else if status.is_success() {
                        named
                    } else {
                        0
                    };
                    judge(&outcomes, encoded.sent.len(), most);
                }
            }
        }
    }
}
