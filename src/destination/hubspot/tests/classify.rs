//! What answers say about rows.

use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{
        classify::{Question, classify},
        encode::encode,
    },
    CANARY, batch,
};
use crate::{
    destination::{Batch, Outcome, answer::Answer, tests::brief},
    model::Operation,
    wire::{Fault, FaultKind, Sent},
};

fn ask_with(headers: &HeaderMap, batch: &Batch, status: u16, body: &[u8]) -> Result<Vec<Outcome>, Fault> {
    let encoded = encode(batch);
    let question =
        Question { object: &batch.object, operation: batch.operation, id_property: "email", rows: &encoded.sent };
    classify(&question, &Answer { status: StatusCode::from_u16(status).unwrap(), headers, body })
}

fn ask(batch: &Batch, status: u16, body: &serde_json::Value) -> Result<Vec<Outcome>, Fault> {
    ask_with(&HeaderMap::new(), batch, status, body.to_string().as_bytes())
}

fn result(trace: u64) -> serde_json::Value {
    json!({ "id": (500 + trace).to_string(), "new": true, "properties": { "email": "x" }, "objectWriteTraceId": trace.to_string() })
}

fn error(category: &str, traces: &[&str]) -> serde_json::Value {
    json!({ "status": "error", "category": category, "message": format!("{CANARY} is wrong"), "context": { "objectWriteTraceId": traces } })
}

#[test]
fn results_in_any_order_belong_to_their_rows() {
    let body = json!({ "status": "COMPLETE", "results": [result(3), result(1), result(2)] });
    let outcomes = ask(&batch(Operation::Upsert, 3), 200, &body).unwrap();
    assert_eq!(brief(&outcomes), ["delivered 501", "delivered 502", "delivered 503"]);
}

#[test]
fn an_array_is_no_answer() {
    let body = json!([[result(1)], null]);
    let fault = ask(&batch(Operation::Upsert, 1), 200, &body).unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Protocol, Sent::Yes));
}

#[test]
fn errors_name_one_row_or_several() {
    let errors = [error("VALIDATION_ERROR", &["2", "4"]), error("CONFLICT", &["3"]), error("RATE_LIMITS", &["5"])];
    let body = json!({ "results": [result(1)], "numErrors": 3, "errors": errors });
    let outcomes = ask(&batch(Operation::Upsert, 6), 207, &body).unwrap();
    let expected = [
        "delivered 501",
        "rejected VALIDATION_ERROR",
        "conflict CONFLICT",
        "rejected VALIDATION_ERROR",
        "retry RATE_LIMITS",
        "unknown",
    ];
    assert_eq!(brief(&outcomes), expected);
}

#[test]
fn each_category_has_its_meaning() {
    use Operation::{Clear, Delete, Update, Upsert};
    let table = [
        (Update, "OBJECT_NOT_FOUND", "gone"),
        (Clear, "OBJECT_NOT_FOUND", "delivered"),
        (Delete, "OBJECT_NOT_FOUND", "delivered"),
        (Upsert, "OBJECT_NOT_FOUND", "rejected OBJECT_NOT_FOUND"),
        (Update, "CONFLICT", "conflict CONFLICT"),
        (Update, "OBJECT_LOCKED", "retry OBJECT_LOCKED"),
        (Update, "INTERNAL_ERROR", "unknown"),
        (Update, "SOMETHING_NEW", "rejected SOMETHING_NEW"),
        (Update, CANARY, "rejected UNNAMED_ERROR"),
        (Update, "no code at all", "rejected UNNAMED_ERROR"),
    ];
    for (operation, category, expected) in table {
        let body = json!({ "results": [], "errors": [error(category, &["1"]), error("VALIDATION_ERROR", &["2"])] });
        let outcomes = ask(&batch(operation, 2), 207, &body).unwrap();
        assert_eq!(brief(&outcomes), [expected, "rejected VALIDATION_ERROR"], "{operation:?} {category}");
    }
}

#[test]
fn a_create_of_what_exists_names_the_record() {
    let conflict = |message: &str, category: &str, trace: Option<&str>| {
        let mut error = json!({ "category": category, "message": message, "context": {} });
        if let Some(trace) = trace {
            error["context"]["objectWriteTraceId"] = json!([trace]);
        }
        error
    };
    let taken = "Cannot set PropertyValueCoordinates{propertyName=erp_id, value=x}. 51 already has that value.";
    let table = [
        ("Contact already exists. Existing ID: 51", "CONFLICT", "exists 51"),
        ("Contact already exists.", "CONFLICT", "exists ?"),
        (
            "Cannot set PropertyValueCoordinates{propertyName=email, value=x}. 51 already has that value.",
            "CONFLICT",
            "exists ?",
        ),
        // Another unique property is a clash, which another row may free.
        (taken, "CONFLICT", "conflict CONFLICT"),
        ("Property values were not valid", "VALIDATION_ERROR", "rejected VALIDATION_ERROR"),
    ];
    for (message, category, expected) in table {
        let errors = [conflict(message, category, Some("2"))];
        let body = json!({ "results": [result(1)], "numErrors": 1, "errors": errors });
        let outcomes = ask(&batch(Operation::Insert, 2), 207, &body).unwrap();
        assert_eq!(brief(&outcomes), ["delivered 501", expected], "{message}");
        // Alone, also when the whole answer is the refusal.
        let outcomes = ask(&batch(Operation::Insert, 1), 409, &conflict(message, category, None)).unwrap();
        assert_eq!(brief(&outcomes), [expected], "{message}");
    }
    // A refused batch that names nobody is halved until the row stands alone.
    let whole =
        ask(&batch(Operation::Insert, 2), 409, &conflict("Contact already exists. Existing ID: 51", "CONFLICT", None));
    assert_eq!(whole.unwrap_err().kind, FaultKind::BatchRefused);
    // An upsert never exists already.
    let upsert =
        ask(&batch(Operation::Upsert, 1), 409, &conflict("Contact already exists.", "CONFLICT", None)).unwrap();
    assert_eq!(brief(&upsert), ["conflict CONFLICT"]);
}

#[test]
fn an_update_by_match_is_gone_when_nothing_has_the_value() {
    let mut update = batch(Operation::Update, 2);
    update.rows.iter_mut().for_each(|row| row.record_id = None);
    let missing = json!({ "results": [{ "id": "8", "properties": { "email": "1@EXAMPLE.com" } }],
        "errors": [{ "category": "OBJECT_NOT_FOUND", "context": { "ids": ["2@example.com"] } }] });
    assert_eq!(brief(&ask(&update, 207, &missing).unwrap()), ["delivered 8", "gone"]);
}

#[test]
fn what_the_answer_does_not_name_is_unknown() {
    let unnamed = json!({ "category": "VALIDATION_ERROR", "message": "a row is wrong" });
    let table = [
        (json!({ "results": [result(1)] }), ["delivered 501", "unknown", "unknown"]),
        (json!({ "results": [result(1)], "errors": [unnamed] }), ["delivered 501", "unknown", "unknown"]),
        (json!({ "results": [result(1), result(9)], "errors": [] }), ["delivered 501", "unknown", "unknown"]),
        (json!({ "results": [result(1), result(1)] }), ["delivered 501", "unknown", "unknown"]),
        // Every row ends in one of the lists, so one missing row is the one that the error is about …
        (
            json!({ "results": [result(1), result(2)], "errors": [unnamed] }),
            ["delivered 501", "delivered 502", "rejected VALIDATION_ERROR"],
        ),
        // … unless a result belongs to nobody.
        (
            json!({ "results": [result(1), result(2), result(9)], "errors": [unnamed] }),
            ["delivered 501", "delivered 502", "unknown"],
        ),
    ];
    for (body, expected) in table {
        assert_eq!(brief(&ask(&batch(Operation::Upsert, 3), 207, &body).unwrap()), expected, "{body}");
    }
}

#[test]
fn two_contradicting_entries_make_a_row_unknown() {
    let other_id = json!({ "id": "9", "objectWriteTraceId": "1" });
    let body = json!({ "results": [result(1), other_id, result(2)], "errors": [error("VALIDATION_ERROR", &["2"])] });
    assert_eq!(brief(&ask(&batch(Operation::Upsert, 2), 207, &body).unwrap()), ["unknown", "unknown"]);
}

#[test]
fn without_trace_ids_records_are_matched_by_address() {
    let by_id = json!({ "results": [{ "id": "102" }, { "id": "101" }] });
    let outcomes = ask(&batch(Operation::Update, 2), 200, &by_id).unwrap();
    assert_eq!(brief(&outcomes), ["delivered 101", "delivered 102"]);

    let by_match = json!({ "results": [
        { "id": "8", "properties": { "email": "2@EXAMPLE.com" } },
        { "id": 7, "properties": { "email": "1@example.com" } },
    ] });
    let outcomes = ask(&batch(Operation::Upsert, 2), 200, &by_match).unwrap();
    assert_eq!(brief(&outcomes), ["delivered 7", "delivered 8"]);

    // Ids in the context are the asked ones, but in a conflict they are those of the owner.
    let missing = json!({ "results": [{ "id": "101" }], "errors": [{ "category": "OBJECT_NOT_FOUND", "context": { "ids": ["102"] } }] });
    assert_eq!(brief(&ask(&batch(Operation::Update, 2), 207, &missing).unwrap()), ["delivered 101", "gone"]);
    let owner = json!({ "results": [], "errors": [{ "category": "CONFLICT", "context": { "ids": ["102"], "objectWriteTraceId": ["1"] } }] });
    assert_eq!(brief(&ask(&batch(Operation::Update, 2), 207, &owner).unwrap()), ["conflict CONFLICT", "unknown"]);
}

#[test]
fn a_merged_contact_answers_under_its_new_id() {
    let traced =
        json!({ "results": [{ "id": "900", "objectWriteTraceId": "1" }, { "id": "102", "objectWriteTraceId": "2" }] });
    assert_eq!(brief(&ask(&batch(Operation::Update, 2), 200, &traced).unwrap()), ["delivered 900", "delivered 102"]);
    let alone = json!({ "results": [{ "id": "900" }] });
    assert_eq!(brief(&ask(&batch(Operation::Update, 1), 200, &alone).unwrap()), ["delivered 900"]);
    assert_eq!(brief(&ask(&batch(Operation::Update, 2), 200, &alone).unwrap()), ["unknown", "unknown"]);
}

#[test]
fn a_success_that_accounts_for_nothing_is_no_success() {
    let batch = batch(Operation::Upsert, 2);
    let bodies: [&[u8]; 7] = [
        br#"{"status":"COMPLETE","results":[],"errors":[]}"#,
        b"{}",
        b"",
        b"null",
        b"<html><body>Welcome</body></html>",
        br#"{"results":[{"id":"501","objectWriteTraceId":"1"},{"id":"5"#,
        br#"{"results":"none"}"#,
    ];
    for status in [200, 201, 207] {
        for body in bodies {
            let fault = ask_with(&HeaderMap::new(), &batch, status, body).unwrap_err();
            assert_eq!((fault.kind, fault.sent), (FaultKind::Protocol, Sent::Yes), "{status} {}", body.escape_ascii());
        }
    }
    assert_eq!(ask(&batch, 204, &json!(null)).unwrap_err().kind, FaultKind::Protocol);
    assert_eq!(ask(&batch, 202, &json!({ "results": [result(1)] })).unwrap_err().kind, FaultKind::Protocol);
}

#[test]
fn an_archive_is_answered_by_its_status() {
    let outcomes = ask_with(&HeaderMap::new(), &batch(Operation::Delete, 2), 204, b"").unwrap();
    assert_eq!(brief(&outcomes), ["delivered", "delivered"]);
}

#[test]
fn a_whole_batch_can_be_refused() {
    let body = json!({ "status": "error", "category": "VALIDATION_ERROR", "message": format!("{CANARY} is wrong") });
    let fault = ask(&batch(Operation::Upsert, 3), 400, &body).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::BatchRefused, Some("VALIDATION_ERROR")));
    assert_eq!(brief(&ask(&batch(Operation::Upsert, 1), 400, &body).unwrap()), ["rejected VALIDATION_ERROR"]);
    // In a 207 that wrote nothing and names nobody: the same.
    let body = json!({ "results": [], "errors": [body] });
    assert_eq!(ask(&batch(Operation::Upsert, 3), 207, &body).unwrap_err().kind, FaultKind::BatchRefused);
    // Named rows are refused, the others were not tried.
    let named = json!({ "category": "VALIDATION_ERROR", "errors": [error("VALIDATION_ERROR", &["2"])] });
    let outcomes = ask(&batch(Operation::Upsert, 3), 400, &named).unwrap();
    assert_eq!(brief(&outcomes), ["retry NOT_TRIED", "rejected VALIDATION_ERROR", "retry NOT_TRIED"]);
}

#[test]
fn detail_codes_and_fields_are_taken_from_the_message() {
    let message = format!(
        r#"Property values were not valid: [{{"isValid":false,"message":"{CANARY} is invalid","error":"INVALID_EMAIL","name":"email"}}]"#
    );
    let body = json!({ "category": "VALIDATION_ERROR", "message": message });
    let Outcome::Rejected(why) = ask(&batch(Operation::Upsert, 1), 400, &body).unwrap().remove(0) else { panic!() };
    assert_eq!((why.code.as_str(), why.field.as_deref()), ("VALIDATION_ERROR/INVALID_EMAIL", Some("email")));
    // A name that the record does not have may be a value.
    let inner =
        json!({ "code": "CONFLICTING_UNIQUE_VALUE", "message": CANARY, "context": { "propertyName": [CANARY] } });
    let body = json!({ "category": "VALIDATION_ERROR", "message": CANARY, "errors": [inner] });
    let Outcome::Rejected(why) = ask(&batch(Operation::Upsert, 1), 400, &body).unwrap().remove(0) else { panic!() };
    assert_eq!((why.code.as_str(), why.field, why.conflict), ("VALIDATION_ERROR/CONFLICTING_UNIQUE_VALUE", None, true));
}

#[test]
fn faults_of_the_request() {
    use FaultKind as K;
    let say = |category: &str, message: &str| json!({ "status": "error", "category": category, "message": message });
    let daily =
        json!({ "errorType": "RATE_LIMIT", "policyName": "DAILY", "message": "You have reached your daily limit." });
    let window = json!({ "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING" });
    let table = [
        (301, json!(null), K::Settings, Sent::Yes),
        (400, say("VALIDATION_ERROR", "Unable to infer object type from: cars"), K::NotFound, Sent::Yes),
        (
            400,
            say("VALIDATION_ERROR", "Unable to perform update/upsert by non-unique 0-2 property domain in portal ID 1"),
            K::Settings,
            Sent::Yes,
        ),
        (401, say("INVALID_AUTHENTICATION", ""), K::Credentials, Sent::Yes),
        (404, say("OBJECT_NOT_FOUND", "resource not found"), K::NotFound, Sent::Yes),
        (404, json!("<html>"), K::NotFound, Sent::Yes),
        (404, say("OBJECT_NOT_FOUND", "Could not get some CONTACT objects"), K::BatchRefused, Sent::Yes),
        (405, json!(null), K::Settings, Sent::Yes),
        (408, json!(null), K::TimedOut, Sent::Maybe),
        (409, say("CONFLICT", "Contact already exists. Existing ID: 1"), K::BatchRefused, Sent::Yes),
        (413, json!(null), K::TooLarge, Sent::Yes),
        (423, json!(null), K::Throttled, Sent::Yes),
        (429, window, K::Throttled, Sent::Yes),
        (429, daily, K::QuotaSpent { until: None }, Sent::Yes),
        (477, json!(null), K::Throttled, Sent::Yes),
        (500, json!(null), K::Server, Sent::Maybe),
        (502, json!("<html>"), K::Server, Sent::Maybe),
        (524, json!(null), K::Server, Sent::Maybe),
    ];
    for (status, body, kind, sent) in table {
        let fault = ask(&batch(Operation::Update, 2), status, &body).unwrap_err();
        assert_eq!((fault.kind, fault.sent), (kind, sent), "{status} {body}");
    }
}

#[test]
fn a_missing_record_alone_is_gone() {
    let body = json!({ "category": "OBJECT_NOT_FOUND", "message": "Could not get some CONTACT objects" });
    assert_eq!(brief(&ask(&batch(Operation::Update, 1), 404, &body).unwrap()), ["gone"]);
    assert_eq!(brief(&ask(&batch(Operation::Delete, 1), 404, &body).unwrap()), ["delivered"]);
}

#[test]
fn missing_scopes_are_named() {
    let context = json!({ "requiredGranularScopes": ["crm.objects.contacts.write", "not a scope!"] });
    let body = json!({ "category": "MISSING_SCOPES", "message": "…", "errors": [{ "context": context }] });
    let fault = ask(&batch(Operation::Update, 2), 403, &body).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Forbidden);
    assert_eq!(fault.code.as_deref(), Some("MISSING_SCOPES (crm.objects.contacts.write)"));
}

#[test]
fn a_throttled_answer_says_how_long() {
    let wait = |headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        ask_with(&headers, &batch(Operation::Update, 2), 429, b"{}").unwrap_err().retry_after.unwrap().as_secs()
    };
    assert_eq!(wait(&[]), 10);
    assert_eq!(wait(&[("retry-after", "3")]), 3);
    let date = ("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT");
    assert_eq!(wait(&[date, ("date", "Sun, 22 Nov 2026 10:00:00 GMT")]), 30);
    assert_eq!(wait(&[date]), 10);
}

#[test]
fn nothing_printable_holds_a_value() {
    let batch = batch(Operation::Upsert, 2);
    let bodies = [
        (207, json!({ "results": [], "errors": [error(CANARY, &["1"]), error("VALIDATION_ERROR", &["2"])] })),
        (
            400,
            json!({ "category": "VALIDATION_ERROR", "message": CANARY, "errors": [{ "code": format!("{CANARY}!") }] }),
        ),
        (403, json!({ "category": "MISSING_SCOPES", "message": CANARY })),
        (429, json!({ "policyName": CANARY, "message": CANARY })),
        (500, json!({ "message": CANARY, "category": CANARY })),
        (200, json!({ "results": CANARY })),
    ];
    for (status, body) in bodies {
        let shown = match ask(&batch, status, &body) {
            Ok(outcomes) => format!("{outcomes:?}"),
            Err(fault) => format!("{fault:?} {fault} {:?}", std::error::Error::source(&fault).map(ToString::to_string)),
        };
        assert!(!shown.contains(CANARY), "{status}: {shown}");
    }
    assert!(!format!("{batch:?}").contains(CANARY));
}

proptest! {
    #[test]
    fn any_answer_gives_one_outcome_for_each_row(status in 100_u16..600, rows in 1_u64..5, body: Vec<u8>) {
        if let Ok(outcomes) = ask_with(&HeaderMap::new(), &batch(Operation::Update, rows), status, &body) {
            prop_assert_eq!(outcomes.len() as u64, rows);
        }
    }

    #[test]
    fn any_lists_give_one_outcome_for_each_row(
        operation in prop::sample::select(vec![Operation::Upsert, Operation::Update, Operation::Clear, Operation::Delete]),
        results in prop::collection::vec((0_u64..6, any::<bool>()), 0..6),
        errors in prop::collection::vec(
            (prop::sample::select(vec!["CONFLICT", "OBJECT_NOT_FOUND", "VALIDATION_ERROR", ""]), prop::collection::vec("[0-6x]", 0..3)),
            0..4,
        ),
    ) {
        let results: Vec<_> = results.iter().map(|(trace, traced)| {
            if *traced { result(*trace) } else { json!({ "id": (100 + trace).to_string() }) }
        }).collect();
        let errors: Vec<_> = errors.iter().map(|(category, traces)| {
            error(category, &traces.iter().map(String::as_str).collect::<Vec<_>>())
        }).collect();
        let named: Vec<_> = results.iter().filter_map(|result| result["objectWriteTraceId"].as_str().map(str::to_owned)).collect();
        let body = json!({ "results": results, "errors": errors });
        if let Ok(outcomes) = ask(&batch(operation, 4), 207, &body) {
            prop_assert_eq!(outcomes.len(), 4);
            for (at, outcome) in outcomes.iter().enumerate() {
                // For an upsert nothing but a trace id names a row here.
                if operation == Operation::Upsert && matches!(outcome, Outcome::Delivered { .. }) {
                    prop_assert!(named.contains(&(at + 1).to_string()));
                }
            }
        }
    }
}
