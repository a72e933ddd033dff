//! Operations of single objects: templates, statuses, ids.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    destination::http::path::Path,
    model::spec::{HttpBodySpec, HttpObjectSpec, HttpOperationSpec, HttpRecordsSpec, HttpStatuses},
};

fn spec(operations: impl IntoIterator<Item = (Operation, HttpOperationSpec)>) -> HttpSpec {
    let object: HttpObjectSpec = operations.into_iter().collect();
    HttpSpec { objects: BTreeMap::from([("people".to_owned(), object)]), path: None, ..HttpSpec::new("/") }
}

fn op(operation: Operation, path: &str) -> HttpOperationSpec {
    HttpOperationSpec::new(operation, path)
}

fn template(text: &str, batch_size: u32) -> HttpBodySpec {
    HttpBodySpec::Template { text: text.into(), batch_size }
}

/// An API that makes ids: created at the collection, changed and deleted at the id.
fn with_ids() -> HttpSpec {
    spec([
        (
            Operation::Upsert,
            HttpOperationSpec { record_id: Some("/data/id".into()), ..op(Operation::Upsert, "/people") },
        ),
        (Operation::Update, op(Operation::Update, "/people/{{ record_id }}")),
        (Operation::Delete, op(Operation::Delete, "/people/{{ record_id }}?soft=1")),
    ])
}

fn known(mut batch: Batch, id: &str) -> Batch {
    for row in &mut batch.rows {
        row.record_id = Some(id.into());
    }
    batch
}

fn range(first: u16, last: u16) -> Vec<HttpStatuses> {
    vec![HttpStatuses { first, last }]
}

fn refusal(spec: &HttpSpec, batch: &Batch) -> String {
    let call = call(spec, batch);
    let encoded = encode(&call, batch).unwrap();
    assert!(encoded.sent.is_empty());
    format!("{} {:?}", encoded.refused[0].1.code, encoded.refused[0].1.text.expose())
}

#[test]
fn templates_make_path_headers_and_body() {
    let headers = BTreeMap::from([("x-key".to_owned(), "k-{{ idempotency_key }}".to_owned())]);
    let upsert = HttpOperationSpec {
        method: "PUT".into(),
        headers,
        body: template(r#"{"who": {{ match }}, "all": {{ record }}, "greeting": {{ "Hi " ~ record.name }}}"#, 1),
        content_type: "application/vnd.api+json".into(),
        ..op(Operation::Upsert, "/{{ object }}/{{ record.address.city | lower }}/{{ match }}?name={{ record.name }}")
    };
    let spec = spec([(Operation::Upsert, upsert)]);
    let mut batch = batch(Operation::Upsert, 1);
    batch.rows[0].record =
        record(&[("address.city", Value::Text("La/Paz")), ("id", Value::Int(1)), ("name", Value::Text("\"&a=1"))]);
    let call = call(&spec, &batch);
    let encoded = encode(&call, &batch).unwrap();
    assert_eq!(encoded.path, "/people/la%2Fpaz/1?name=%22%26a%3D1");
    assert_eq!(encoded.headers[0].1, "k-000000000000000000000000000000ab");
    let body: serde_json::Value = serde_json::from_slice(&encoded.body).unwrap();
    let all = json!({ "address": { "city": "La/Paz" }, "id": 1, "name": "\"&a=1" });
    assert_eq!(body, json!({ "who": "1", "all": all, "greeting": "Hi \"&a=1" }));
    assert_eq!((call.method.as_str(), call.content_type.to_str().unwrap()), ("PUT", "application/vnd.api+json"));
}

#[test]
fn records_carry_constants_and_keys_of_their_own() {
    let records = HttpRecordsSpec {
        batch_size: 10,
        envelope: Some("events".into()),
        idempotency_field: Some("dedup".into()),
        constants: BTreeMap::from([("source".to_owned(), "\"dwh\"".to_owned())]),
    };
    let insert = HttpOperationSpec { body: HttpBodySpec::Records(records), ..op(Operation::Insert, "/events") };
    let spec = spec([(Operation::Insert, insert)]);
    let mut batch = batch(Operation::Insert, 2);
    batch.rows[0].idempotency_key = Some(0xC);
    let body: serde_json::Value = serde_json::from_str(&body_of(&spec, &batch).1).unwrap();
    assert_eq!(body["events"][0]["dedup"], "0000000000000000000000000000000c");
    assert_eq!((&body["events"][0]["source"], &body["events"][1]["dedup"]), (&json!("dwh"), &json!(null)));
    // The request goes under the batch's key, which delivery makes of the keys of its rows.
    batch.rows.truncate(1);
    assert_eq!(encode(&call(&spec, &batch), &batch).unwrap().idempotency_key, "000000000000000000000000000000ab");
}

#[test]
fn a_missing_record_among_several_is_not_a_delete_of_all() {
    let records = HttpRecordsSpec { batch_size: 10, ..HttpRecordsSpec::default() };
    let delete = HttpOperationSpec { body: HttpBodySpec::Records(records), ..op(Operation::Delete, "/people/delete") };
    let spec = spec([(Operation::Delete, delete)]);
    for status in [404, 410] {
        let fault = ask(&spec, &batch(Operation::Delete, 2), status, b"").unwrap_err();
        assert_eq!(fault.kind, FaultKind::BatchRefused);
        assert_eq!(brief(&ask(&spec, &batch(Operation::Delete, 1), status, b"").unwrap()), ["delivered"]);
    }
}

#[test]
fn a_batch_may_be_a_template() {
    let text = r#"{"n": {{ records | length }}, "ids": [{% for r in records %}{{ r.id }}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
    let upsert = HttpOperationSpec { body: template(text, 10), ..op(Operation::Upsert, "/{{ object }}") };
    let spec = spec([(Operation::Upsert, upsert)]);
    assert_eq!(body_of(&spec, &batch(Operation::Upsert, 3)).1, r#"{"n": 3, "ids": [1,2,3]}"#);
    assert_eq!(body_of(&spec, &batch(Operation::Upsert, 1)).1, r#"{"n": 1, "ids": [1]}"#);
}

#[test]
fn what_cannot_be_written_is_refused_before_it_is_sent() {
    let body = |text: &str, size| {
        spec([(Operation::Upsert, HttpOperationSpec { body: template(text, size), ..op(Operation::Upsert, "/x") })])
    };
    let one = batch(Operation::Upsert, 1);
    for text in
        ["{{ record.missing }}", "{\"a\": \"{{ record.name }}\"}", "{{ record.name }} x", "{% if false %}{% endif %}"]
    {
        let refusal = refusal(&body(text, 1), &one);
        assert!(refusal.starts_with("BAD_BODY") && !refusal.contains(CANARY), "{refusal}");
        let call = call(&body(text, 1), &one);
        assert!(row_len(&call, "people", RecordRef::new(&one.rows[0].record)).is_err(), "{text}");
    }
    assert_eq!(body_of(&body("{{ record.missing | json }}", 1), &one).1, "null");
    let several = batch(Operation::Upsert, 2);
    assert!(encode(&call(&body("{{ records[0].missing }}", 9), &several), &several).is_err());
    let headers = BTreeMap::from([("x-name".to_owned(), "{{ record.name }}".to_owned())]);
    let spec = spec([(Operation::Upsert, HttpOperationSpec { headers, ..op(Operation::Upsert, "/x") })]);
    let mut injected = one;
    injected.rows[0].record = record(&[("id", Value::Int(1)), ("name", Value::Text("a\r\nX-Admin: 1"))]);
    assert!(refusal(&spec, &injected).starts_with("BAD_HEADER"));
}

#[test]
fn ids_are_learnt_and_then_the_address() {
    let spec = with_ids();
    let capabilities = HttpSettings::new(&spec).unwrap().object("people").capabilities.clone();
    assert!(capabilities.record_ids && capabilities.updates_by_id && !capabilities.can_clear);
    assert!(!HttpSettings::new(&spec).unwrap().object("cars").capabilities.operations.contains(&Operation::Upsert));
    let upsert = batch(Operation::Upsert, 1);
    assert_eq!(brief(&ask(&spec, &upsert, 201, br#"{"data": {"id": 17}}"#).unwrap()), ["delivered 17"]);
    for body in ["", "{}", r#"{"data": {"id": ""}}"#] {
        let fault = ask(&spec, &upsert, 201, body.as_bytes()).unwrap_err();
        assert_eq!((&fault.kind, fault.sent), (&FaultKind::Settings, Sent::Maybe));
    }
    for (operation, path) in [(Operation::Update, "/people/a%2Fb"), (Operation::Delete, "/people/a%2Fb?soft=1")] {
        let batch = known(batch(operation, 1), "a/b");
        assert_eq!(body_of(&spec, &batch).0, path);
        assert_eq!(brief(&ask(&spec, &batch, 404, b"").unwrap()), ["gone"]);
        assert_eq!(brief(&ask(&spec, &batch, 410, b"").unwrap()), ["gone"]);
        assert_eq!(brief(&ask(&spec, &batch, 204, b"").unwrap()), ["delivered"]);
        assert!(refusal(&spec, &super::batch(operation, 1)).starts_with("MISSING_RECORD_ID"));
        assert!(refusal(&spec, &known(batch, "..")).starts_with("MISSING_MATCH"));
    }
}

#[test]
fn a_row_that_is_answered_without_its_id_is_not_delivered() {
    let records = HttpRecordsSpec { batch_size: 10, ..HttpRecordsSpec::default() };
    let upsert = HttpOperationSpec {
        body: HttpBodySpec::Records(records),
        results: Some(results(Some("/key"))),
        ..op(Operation::Upsert, "/people")
    };
    let spec =
        spec([(Operation::Upsert, upsert), (Operation::Update, op(Operation::Update, "/people/{{ record_id }}"))]);
    let both = batch(Operation::Upsert, 2);
    let one = br#"{"results": [{"key": 1, "status": "ok", "id": 17}, {"key": 2, "status": "ok", "id": ""}]}"#;
    assert_eq!(brief(&ask(&spec, &both, 200, one).unwrap()), ["delivered 17", "unknown"]);
    let none = br#"{"results": [{"key": 1, "status": "ok"}, {"key": 2, "status": "ok"}]}"#;
    let fault = ask(&spec, &both, 200, none).unwrap_err();
    assert_eq!((&fault.kind, fault.sent), (&FaultKind::Settings, Sent::Maybe));
}

#[test]
fn an_update_without_settings_goes_the_way_of_the_upsert() {
    let spec = spec([(Operation::Upsert, op(Operation::Upsert, "/people/{{ match }}"))]);
    assert_eq!(body_of(&spec, &batch(Operation::Update, 1)).0, "/people/1");
    assert!(!HttpSettings::new(&spec).unwrap().object("people").capabilities.record_ids);
}

#[test]
fn statuses_mean_what_the_settings_say() {
    let upsert = HttpOperationSpec {
        success: range(201, 202),
        retryable: range(409, 409),
        permanent: range(500, 599),
        ..op(Operation::Upsert, "/x")
    };
    let spec = spec([(Operation::Upsert, upsert)]);
    let one = batch(Operation::Upsert, 1);
    for (status, expected) in [(201, "delivered"), (200, "rejected HTTP_200"), (501, "rejected HTTP_501")] {
        assert_eq!(brief(&ask(&spec, &one, status, b"").unwrap()), [expected], "{status}");
    }
    let fault = ask(&spec, &one, 409, CANARY.as_bytes()).unwrap_err();
    assert_eq!((&fault.kind, fault.sent), (&FaultKind::Server, Sent::Maybe));
    assert_eq!(ask(&spec, &one, 401, b"").unwrap_err().kind, FaultKind::Credentials);
}

#[test]
fn retry_after_is_told_in_both_forms() {
    let batch = batch(Operation::Upsert, 1);
    let call = call(&http_spec(), &batch);
    let encoded = encode(&call, &batch).unwrap();
    for (retry_after, seconds) in [("7", 7), ("Sun, 06 Nov 1994 08:49:40 GMT", 3), ("soon", 10)] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", retry_after.parse().unwrap());
        headers.insert("date", "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let answer = Answer { status: StatusCode::TOO_MANY_REQUESTS, headers: &headers, body: b"" };
        let fault = classify(&call, batch.operation, &encoded.sent, &answer).unwrap_err();
        assert_eq!(fault.retry_after.map(|wait| wait.as_secs()), Some(seconds), "{retry_after}");
    }
}

#[test]
fn operations_that_cannot_work_are_refused() {
    let upsert = || op(Operation::Upsert, "/x");
    let mut by_match = with_ids();
    by_match.objects.get_mut("people").unwrap().insert(Operation::Delete, op(Operation::Delete, "/x/{{ object }}"));
    let header = |name: &str, text: &str| {
        let headers = BTreeMap::from([(name.to_owned(), text.to_owned())]);
        spec([(Operation::Upsert, HttpOperationSpec { headers, ..upsert() })])
    };
    let body =
        |text: &str, size| spec([(Operation::Upsert, HttpOperationSpec { body: template(text, size), ..upsert() })]);
    let table = [
        ("objects.people.upsert.path", spec([(Operation::Upsert, op(Operation::Upsert, "x"))])),
        ("objects.people.upsert.path", spec([(Operation::Upsert, op(Operation::Upsert, "/{{ object"))])),
        ("objects.people.upsert.path", spec([(Operation::Upsert, op(Operation::Upsert, "/{{ record_id }}"))])),
        ("objects.people.upsert.body", body("{{ recrd }}", 1)),
        ("objects.people.upsert.body", body("{{ record }}", 2)),
        ("objects.people.upsert.body", body("{{ record | safe }}", 1)),
        ("objects.people.upsert.headers.authorization", header("authorization", "x")),
        ("objects.people.upsert.headers.x-a", header("x-a", "{{ nobody }}")),
        ("objects.people.delete.path", by_match),
        (
            "objects.people.upsert.success",
            spec([(Operation::Upsert, HttpOperationSpec { permanent: range(204, 204), ..upsert() })]),
        ),
    ];
    for (key, spec) in table {
        assert_eq!(HttpSettings::new(&spec).unwrap_err().key, key);
    }
}

#[test]
fn a_sync_needs_its_operations() {
    let sync = |mode, on_removed| crate::model::spec::SyncSpec { mode, on_removed, ..sync("people", &["id"]) };
    let problem = |spec: &HttpSpec, mode, on_removed| check_sync(spec, &sync(mode, on_removed)).map_err(|why| why.key);
    assert_eq!(problem(&with_ids(), Mode::Mirror, OnRemoved::Delete), Ok(()));
    assert_eq!(problem(&with_ids(), Mode::Mirror, OnRemoved::Clear), Err("on_removed"));
    let only = spec([(Operation::Update, op(Operation::Update, "/x"))]);
    assert_eq!(problem(&only, Mode::Upsert, OnRemoved::Keep), Err("object"));
    let none = HttpSpec { path: None, ..HttpSpec::new("/") };
    assert_eq!(problem(&none, Mode::Upsert, OnRemoved::Keep), Err("object"));
}

/// Values that try to climb, end a segment or begin a query.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", "[./\\\\%2eE?#@: \t\n]{0,8}", Just("..".to_owned()), Just(".".to_owned())]
}

proptest! {
    #[test]
    fn a_path_never_escapes_its_base(a in hostile(), b in hostile(), c in hostile()) {
        for text in ["/v1/{{ a }}/x/{{ b }}?q={{ c }}", "/v1/{{ a }}{{ b }}/{{ c }}", "/v1/.{{ a }}/{{ b }}.{{ c }}"] {
            let context = minijinja::context! { a => &a, b => &b, c => &c };
            let Ok(path) = Path::new(text).unwrap().fill(context) else { continue };
            for base in ["https://api.example.com", "https://api.example.com/base/"] {
                let base: url::Url = base.parse().unwrap();
                let url = crate::destination::answer::join(&base, &path).unwrap();
                prop_assert_eq!(url.origin(), base.origin());
                prop_assert!(url.username().is_empty() && url.fragment().is_none());
                let inside = format!("{}/v1/", base.path().trim_end_matches('/'));
                prop_assert!(url.path().starts_with(&inside), "{}", url);
                let segments = text.split('?').next().unwrap().split('/').count() + inside.split('/').count() - 3;
                prop_assert_eq!(url.path().split('/').count(), segments, "{}", url);
                prop_assert_eq!(url.query().is_some(), text.contains('?'));
                prop_assert!(url.query().is_none_or(|query| query.matches(['=', '&']).count() == 1));
            }
        }
    }

    #[test]
    fn a_body_template_is_never_longer_than_it_was_said_to_be(name in ".{0,60}") {
        let upsert = HttpOperationSpec {
            body: template(r#"{"k": {{ idempotency_key }}, "m": {{ match }}, "r": {{ record }}}"#, 1),
            ..op(Operation::Upsert, "/x")
        };
        let spec = spec([(Operation::Upsert, upsert)]);
        let mut batch = batch(Operation::Upsert, 1);
        batch.rows[0].record = record(&[("id", Value::Int(1)), ("name", Value::Text(&name))]);
        let said = row_len(&call(&spec, &batch), "people", RecordRef::new(&batch.rows[0].record)).unwrap();
        prop_assert!(body_of(&spec, &batch).1.len() <= said);
    }
}
