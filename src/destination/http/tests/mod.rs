//! Settings, requests and classification of the generic destination.

mod operations;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::json;

use super::{
    check::check_sync,
    classify::classify,
    config::HttpSettings,
    encode::{encode, row_len},
    operation::Call,
};
use crate::{
    destination::{
        Batch, BatchRow, Correlation, Outcome,
        answer::Answer,
        tests::{brief, http_spec, sync},
    },
    model::{
        Operation, RecordRef, Value, encode_field,
        spec::{HttpResultsSpec, HttpSpec, Mode, OnRemoved},
    },
    wire::{Fault, FaultKind, Sent},
};

const CANARY: &str = "canary-7f3a";

fn record(fields: &[(&str, Value<'_>)]) -> Bytes {
    let mut out = Vec::new();
    for (name, value) in fields {
        encode_field(name, *value, &mut out).unwrap();
    }
    out.into()
}

/// Rows with the match values 1, 2, ….
fn batch(operation: Operation, rows: i64) -> Batch {
    let row = |at: i64| BatchRow {
        correlation: 0,
        record_id: None,
        idempotency_key: None,
        record: record(&[("address.city", Value::Text("Bern")), ("id", Value::Int(at)), ("name", Value::Text(CANARY))]),
    };
    Batch {
        run: crate::model::RunId(1),
        fields: [].into(),
        object: "people".into(),
        operation,
        match_fields: vec!["id".into()],
        rows: (1..=rows).map(row).collect(),
        idempotency_key: 0xAB,
    }
}

fn results(key: Option<&str>) -> HttpResultsSpec {
    HttpResultsSpec {
        rows: "/results".into(),
        key: key.map(str::to_owned),
        status: "/status".into(),
        success: vec!["\"ok\"".into(), "201".into()],
        record_id: Some("/id".into()),
        error_code: Some("/error/code".into()),
        error_message: Some("/error/message".into()),
    }
}

fn call(spec: &HttpSpec, batch: &Batch) -> Call {
    HttpSettings::new(spec).unwrap().object(&batch.object).call(batch.operation).unwrap().clone()
}

fn ask(spec: &HttpSpec, batch: &Batch, status: u16, body: &[u8]) -> Result<Vec<Outcome>, Fault> {
    let call = call(spec, batch);
    let encoded = encode(&call, batch).unwrap();
    let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers: &HeaderMap::new(), body };
    classify(&call, batch.operation, &encoded.sent, &answer)
}

fn body_of(spec: &HttpSpec, batch: &Batch) -> (String, String) {
    let call = call(spec, batch);
    let encoded = encode(&call, batch).unwrap();
    (encoded.path, String::from_utf8(encoded.body.to_vec()).unwrap())
}

#[test]
fn settings_that_cannot_work_are_refused() {
    type Change = fn(&mut HttpSpec);
    let wrong: [(&str, Change); 10] = [
        ("method", |spec| spec.method = "GET".into()),
        ("batch_size", |spec| spec.batch_size = 0),
        ("path", |spec| spec.path = Some("people".into())),
        ("path", |spec| spec.path = Some("/{id}".into())),
        ("path", |spec| spec.path = Some("/{object}/{match}".into())),
        ("delete_path", |spec| spec.delete_path = Some("/{object}".into())),
        ("idempotency_header", |spec| spec.idempotency_header = "not a header".into()),
        ("results.rows", |spec| spec.results = Some(HttpResultsSpec { rows: "results".into(), ..results(None) })),
        ("results.success", |spec| {
            spec.results = Some(HttpResultsSpec { success: vec!["ok".into()], ..results(None) });
        }),
        ("results.success", |spec| spec.results = Some(HttpResultsSpec { success: vec![], ..results(None) })),
    ];
    for (key, change) in wrong {
        let mut spec = http_spec();
        change(&mut spec);
        assert_eq!(HttpSettings::new(&spec).unwrap_err().key, key);
    }
}

#[test]
fn capabilities_follow_the_settings() {
    let of = |spec: &HttpSpec| HttpSettings::new(spec).unwrap().object("people").capabilities.clone();
    let plain = of(&http_spec());
    assert_eq!((plain.max_rows.of(Operation::Upsert), plain.max_rows.of(Operation::Delete)), (10, 1));
    assert!(plain.operations.contains(&Operation::Delete) && !plain.record_ids);
    assert_eq!(plain.correlation, Correlation::None);
    assert!(!of(&HttpSpec { delete_path: None, ..http_spec() }).operations.contains(&Operation::Delete));
    for (key, expected) in [(Some("/id"), Correlation::Key), (None, Correlation::Position)] {
        assert_eq!(of(&HttpSpec { results: Some(results(key)), ..http_spec() }).correlation, expected);
    }
}

#[test]
fn a_sync_that_deletes_needs_a_path() {
    let spec = HttpSpec { delete_path: None, ..http_spec() };
    let deletes = |mode, on_removed| crate::model::spec::SyncSpec { mode, on_removed, ..sync("people", &["id"]) };
    assert_eq!(check_sync(&spec, &deletes(Mode::Upsert, OnRemoved::Keep)), Ok(()));
    assert_eq!(check_sync(&spec, &deletes(Mode::Mirror, OnRemoved::Clear)), Ok(()));
    assert_eq!(check_sync(&spec, &deletes(Mode::Mirror, OnRemoved::Delete)).unwrap_err().key, "on_removed");
    assert_eq!(check_sync(&http_spec(), &deletes(Mode::Mirror, OnRemoved::Delete)), Ok(()));
    assert_eq!(check_sync(&spec, &sync("people", &["a", "b"])).unwrap_err().key, "match");
    assert_eq!(check_sync(&spec, &sync("..", &["a"])).unwrap_err().key, "object");
}

#[test]
fn a_batch_is_an_array_in_its_envelope_and_a_single_row_an_object() {
    let enveloped = body_of(&http_spec(), &batch(Operation::Upsert, 2));
    insta::assert_debug_snapshot!(enveloped, @r##"
    (
        "/v1/people",
        "{\"records\":[{\"address\":{\"city\":\"Bern\"},\"id\":1,\"name\":\"canary-7f3a\"},{\"address\":{\"city\":\"Bern\"},\"id\":2,\"name\":\"canary-7f3a\"}]}",
    )
    "##);
    let bare = body_of(&HttpSpec { envelope: None, ..http_spec() }, &batch(Operation::Upsert, 1));
    insta::assert_debug_snapshot!(bare, @r##"
    (
        "/v1/people",
        "[{\"address\":{\"city\":\"Bern\"},\"id\":1,\"name\":\"canary-7f3a\"}]",
    )
    "##);
    let single = HttpSpec { batch_size: 1, path: Some("/v1/{object}/{match}".into()), ..http_spec() };
    insta::assert_debug_snapshot!(body_of(&single, &batch(Operation::Upsert, 1)), @r##"
    (
        "/v1/people/1",
        "{\"address\":{\"city\":\"Bern\"},\"id\":1,\"name\":\"canary-7f3a\"}",
    )
    "##);
    insta::assert_debug_snapshot!(body_of(&http_spec(), &batch(Operation::Delete, 1)), @r##"
    (
        "/v1/people/1",
        "",
    )
    "##);
}

#[test]
fn a_value_never_leaves_its_path_segment() {
    let mut batch = batch(Operation::Delete, 1);
    let call = call(&http_spec(), &batch);
    for (value, expected) in [
        ("a/b?c#d", Some("/v1/people/a%2Fb%3Fc%23d")),
        ("{object}", Some("/v1/people/%7Bobject%7D")),
        ("é", Some("/v1/people/%C3%A9")),
        ("...", Some("/v1/people/...")),
        ("%2e%2e", Some("/v1/people/%252e%252e")),
        ("", None),
        (".", None),
        ("..", None),
    ] {
        batch.rows[0].record = record(&[("id", Value::Text(value))]);
        let encoded = encode(&call, &batch).unwrap();
        let path = encoded.sent.first().map(|_| encoded.path.as_str());
        assert_eq!(path, expected, "{value}");
        assert_eq!(encoded.refused.len(), usize::from(expected.is_none()));
    }
}

#[test]
fn a_success_stands_for_all_rows_when_results_are_not_configured() {
    for (status, body) in [(200, "{}"), (202, "accepted"), (204, "")] {
        let outcomes = ask(&http_spec(), &batch(Operation::Upsert, 2), status, body.as_bytes()).unwrap();
        assert_eq!(brief(&outcomes), ["delivered", "delivered"]);
    }
}

#[test]
fn results_name_rows_by_key() {
    let spec = HttpSpec { results: Some(results(Some("/id"))), ..http_spec() };
    let ok = |id: serde_json::Value| json!({ "id": id, "status": "ok" });
    let bad = |id: i64, status: serde_json::Value| json!({ "id": id, "status": status, "error": { "code": "bad_name", "message": CANARY } });
    let body = json!({ "results": [
        ok(json!(2)), bad(1, json!("error")), bad(3, json!(429)), bad(4, json!(503)), bad(5, json!(409)), ok(json!("6")),
        ok(json!(7)), ok(json!(7)), { "id": 8 }, { "id": 9, "status": 201 }, ok(json!(77)),
    ] });
    let outcomes = ask(&spec, &batch(Operation::Upsert, 10), 200, body.to_string().as_bytes()).unwrap();
    let expected = [
        "rejected bad_name",
        "delivered 2",
        "retry bad_name",
        "unknown",
        "conflict bad_name",
        "delivered 6",
        "unknown",
        "unknown",
        "delivered 9",
        "unknown",
    ];
    assert_eq!(brief(&outcomes), expected);
    assert!(!format!("{outcomes:?}").contains(CANARY));
}

#[test]
fn results_name_rows_by_position() {
    let spec = HttpSpec { results: Some(results(None)), ..http_spec() };
    let body = json!({ "results": [{ "id": "x", "status": "ok" }, { "status": "no", "error": { "code": CANARY } }] })
        .to_string();
    let outcomes = ask(&spec, &batch(Operation::Upsert, 2), 200, body.as_bytes()).unwrap();
    assert_eq!(brief(&outcomes), ["delivered x", "rejected UNNAMED_ERROR"]);
    let fault = ask(&spec, &batch(Operation::Upsert, 3), 200, body.as_bytes()).unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Protocol, Sent::Yes));
    for body in ["", "<html>", "{\"results\":{}", "{\"other\":[]}", "[]"] {
        let fault = ask(&spec, &batch(Operation::Upsert, 2), 200, body.as_bytes()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Protocol, "{body}");
    }
}

#[test]
fn statuses_of_the_whole_answer() {
    use FaultKind as K;
    let table = [
        (302, K::Settings, Sent::Yes),
        (400, K::BatchRefused, Sent::Yes),
        (401, K::Credentials, Sent::Yes),
        (403, K::Forbidden, Sent::Yes),
        (404, K::NotFound, Sent::Yes),
        (408, K::TimedOut, Sent::Maybe),
        (409, K::BatchRefused, Sent::Yes),
        (413, K::TooLarge, Sent::Yes),
        (422, K::BatchRefused, Sent::Yes),
        (423, K::Throttled, Sent::Yes),
        (425, K::Throttled, Sent::Yes),
        (429, K::Throttled, Sent::Yes),
        (500, K::Server, Sent::Maybe),
        (503, K::Server, Sent::Maybe),
    ];
    for (status, kind, sent) in table {
        let fault = ask(&http_spec(), &batch(Operation::Upsert, 2), status, CANARY.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&fault).map(ToString::to_string);
        assert!(!format!("{fault:?} {fault} {source:?}").contains(CANARY), "{status}");
        assert_eq!((fault.kind, fault.sent), (kind, sent), "{status}");
    }
}

#[test]
fn one_row_alone_is_refused_by_the_status() {
    let single = HttpSpec { results: Some(results(None)), ..http_spec() };
    let body = json!({ "error": { "code": "E17", "message": CANARY } }).to_string();
    for (spec, status, body, expected) in [
        (http_spec(), 400, "no", "rejected HTTP_400"),
        (http_spec(), 409, "no", "conflict HTTP_409"),
        (http_spec(), 413, "no", "rejected TOO_LARGE"),
        (single, 422, body.as_str(), "rejected E17"),
    ] {
        let outcomes = ask(&spec, &batch(Operation::Upsert, 1), status, body.as_bytes()).unwrap();
        assert_eq!(brief(&outcomes), [expected]);
        assert!(!format!("{outcomes:?}").contains(CANARY));
    }
    for status in [200, 204, 404, 410] {
        assert_eq!(brief(&ask(&http_spec(), &batch(Operation::Delete, 1), status, b"").unwrap()), ["delivered"]);
    }
    for status in [404, 410] {
        assert_eq!(brief(&ask(&http_spec(), &batch(Operation::Clear, 1), status, b"").unwrap()), ["gone"]);
    }
}

proptest! {
    #[test]
    fn any_answer_gives_one_outcome_for_each_row(status in 100_u16..600, rows in 1_i64..5, body: Vec<u8>, keyed: bool) {
        let spec = HttpSpec { results: Some(results(keyed.then_some("/id"))), ..http_spec() };
        if let Ok(outcomes) = ask(&spec, &batch(Operation::Upsert, rows), status, &body) {
            prop_assert_eq!(outcomes.len() as i64, rows);
        }
    }

    #[test]
    fn a_body_is_never_longer_than_its_rows_were_said_to_be(texts in prop::collection::vec(".{0,40}", 1..6)) {
        let mut batch = batch(Operation::Upsert, 0);
        let mut expected = 32;
        for text in &texts {
            let record = record(&[("id", Value::Text(text)), ("x.y", Value::Null)]);
            expected += row_len(&call(&http_spec(), &batch), "people", RecordRef::new(&record)).unwrap();
            batch.rows.push(BatchRow { correlation: 0, record_id: None, idempotency_key: None, record });
        }
        prop_assert!(body_of(&http_spec(), &batch).1.len() <= expected);
    }
}
