//! The JSON endpoint, over real connections.

use serde_json::{Value, json};

use super::HttpOptions;
use crate::simulator::{VendorConfig, probe::Probe};

async fn endpoint() -> Probe {
    Probe::start(VendorConfig::http(HttpOptions::default())).await
}

async fn held(probe: &Probe) -> Vec<(String, Value)> {
    let records = probe.records("records").await;
    let live = records.as_array().unwrap().iter().filter(|record| record["archived"] == false);
    live.map(|record| (record["id"].as_str().unwrap().to_owned(), record["properties"].clone())).collect()
}

#[tokio::test]
async fn takes_an_object_an_array_and_an_envelope() {
    let probe = endpoint().await;
    for (path, body) in [
        ("/customers/k1", json!({ "name": "by path" })),
        ("/customers", json!({ "id": 2, "name": "by pointer" })),
        ("/customers", json!([{ "id": "k3" }, { "id": true }])),
        ("/customers", json!({ "records": [{ "id": "k5" }], "batch": 1 })),
    ] {
        let reply = probe.send("POST", path, body).await;
        assert_eq!((reply.status, &reply.json()["results"][0]["status"]), (200, &json!("ok")));
    }
    let keys: Vec<String> = held(&probe).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["k1", "2", "k3", "true", "k5"]);
}

#[tokio::test]
async fn a_bad_row_fails_alone() {
    let probe = endpoint().await;
    let body = probe.send("PUT", "/c", json!([{ "id": "a" }, { "name": "no key" }, "bare"])).await.json();
    let codes: Vec<&Value> = body["results"].as_array().unwrap().iter().map(|row| &row["error"]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("missing_key"), &json!("invalid_record")]);
    assert_eq!(probe.try_send("PUT", "/c", "", "{nonsense").await.unwrap().status, 400);
    assert_eq!(held(&probe).await.len(), 1);
}

#[tokio::test]
async fn put_replaces_patch_merges_delete_removes() {
    let probe = endpoint().await;
    probe.send("PUT", "/c/a", json!({ "x": 1, "y": 1 })).await;
    probe.send("PATCH", "/c/a", json!({ "y": 2 })).await;
    assert_eq!(probe.send("GET", "/c/a", Value::Null).await.json(), json!({ "x": 1, "y": 2 }));
    probe.send("PUT", "/c/a", json!({ "z": 3 })).await;
    assert_eq!(held(&probe).await, [("a".to_owned(), json!({ "z": 3 }))]);
    let found = probe.send("GET", "/c?keys=a,b", Value::Null).await.json();
    assert_eq!(found["results"], json!([{ "id": "a", "record": { "z": 3 } }]));
    probe.send("PUT", "/c", json!([{ "id": "b" }, { "id": "d" }])).await;
    assert_eq!(probe.send("DELETE", "/c/a", Value::Null).await.status, 200);
    assert_eq!(probe.send("DELETE", "/c", json!(["b", { "id": "d" }, "gone"])).await.status, 200);
    assert_eq!(held(&probe).await, []);
    assert_eq!(probe.send("GET", "/c/a", Value::Null).await.status, 404);
    let report = probe.report().await;
    assert_eq!(
        report["objects"]["records"],
        json!({ "live": 0, "archived": 3, "created_total": 3, "updated_total": 2 })
    );
}

#[tokio::test]
async fn the_first_answer_to_an_idempotency_key_is_repeated() {
    let probe = endpoint().await;
    let key = "idempotency-key: k1\r\n";
    let first = probe.try_send("POST", "/c", key, r#"{"id":"a","n":1}"#).await.unwrap();
    probe.send("PUT", "/c", json!({ "id": "a", "n": 2 })).await;
    let again = probe.try_send("POST", "/c", key, r#"{"id":"a","n":1}"#).await.unwrap();
    assert_eq!((again.status, &again.body, again.header("idempotent-replayed")), (200, &first.body, Some("true")));
    assert_eq!(held(&probe).await[0].1["n"], 2);
    let other = probe.try_send("POST", "/c", key, r#"{"id":"a","n":3}"#).await.unwrap();
    assert_eq!(other.status, 422);
    assert_eq!(probe.report().await["idempotency"], json!({ "seen": 1, "repeated": 2, "conflicting": 1 }));
}

#[tokio::test]
async fn a_lost_answer_sent_again_under_its_key_writes_once() {
    let probe = endpoint().await;
    probe.control("faults", json!([{ "match": { "nth": 1 }, "action": "drop_answer" }])).await;
    let send = || probe.try_send("POST", "/c", "idempotency-key: k1\r\n", r#"{"id":"a"}"#);
    assert!(send().await.is_none());
    assert_eq!(send().await.unwrap().status, 200);
    assert_eq!(probe.report().await["writes"], json!({ "identical": 0, "different": 1 }));
    assert_eq!(probe.records("records").await[0]["versions"], 1);
}

#[tokio::test]
async fn a_spent_quota_says_when_to_come_back() {
    let mut config = VendorConfig::http(HttpOptions::default());
    config.common.limits = vec!["1/1m".parse().unwrap()];
    let probe = Probe::start(config).await;
    probe.send("PUT", "/c/a", json!({})).await;
    let refused = probe.send("PUT", "/c/a", json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
}

#[tokio::test]
async fn rows_are_rejected_and_edited_as_told() {
    let probe = endpoint().await;
    let rule = json!({ "match": { "row_key_contains": "bad" }, "action": { "reject_row": { "message": "no {key}" } } });
    probe.control("faults", rule).await;
    let body = probe.send("PUT", "/c", json!([{ "id": "good" }, { "id": "bad" }])).await.json();
    assert_eq!(body["results"][1]["error"]["message"], "no bad");
    probe.control("edit", json!({ "type": "records", "id": "good", "properties": { "x": 1 } })).await;
    assert_eq!(held(&probe).await, [("good".to_owned(), json!({ "id": "good", "x": 1 }))]);
    assert_eq!(
        probe.send("POST", "/_sim/merge", json!({ "type": "records", "into": "a", "from": "b" })).await.status,
        400
    );
}

async fn with(change: impl FnOnce(&mut HttpOptions)) -> Probe {
    let mut options = HttpOptions::default();
    change(&mut options);
    Probe::start(VendorConfig::http(options)).await
}

#[tokio::test]
async fn the_log_counts_how_often_each_event_was_applied() {
    let probe = with(|options| options.log_path = Some("/events".to_owned())).await;
    let keyed = |id: &str| json!({ "id": id, "idempotency_key": format!("key-{id}") });
    probe.send("POST", "/events", json!([keyed("a"), keyed("b"), keyed("a")])).await;
    let again = probe.send("POST", "/events/batch", json!({ "records": [keyed("b"), keyed("c")] })).await.json();
    assert_eq!(again["results"], json!([{ "id": "b", "status": "ok" }, { "id": "c", "status": "ok" }]));
    // Without a key of its own a row is one more event.
    probe.send("POST", "/events", json!([{ "id": "a" }])).await;
    // Nor does a request under a key that is known add anything.
    for _ in 0..2 {
        probe.try_send("POST", "/events", "idempotency-key: k\r\n", r#"[{"id":"d"}]"#).await.unwrap();
    }
    let report = probe.report().await;
    let expected = json!({ "distinct": 4, "applied": 5, "repeated": 1, "deduplicated": 2 });
    assert_eq!(report["objects"]["events"], expected);
    assert_eq!(probe.records("events").await[0], json!({ "id": "a", "applied": 2 }));
    assert_eq!(held(&probe).await, []);
}

#[tokio::test]
async fn the_first_write_under_a_rows_own_key_wins() {
    let probe = endpoint().await;
    probe.send("PUT", "/c", json!([{ "id": "a", "n": 1, "idempotency_key": "k" }])).await;
    let again = probe.send("PUT", "/c", json!([{ "id": "a", "n": 2, "idempotency_key": "k" }])).await.json();
    assert_eq!(again["results"][0]["status"], "ok");
    assert_eq!(held(&probe).await[0].1["n"], 1);
}

#[tokio::test]
async fn a_strict_endpoint_creates_with_post_and_updates_with_patch() {
    let probe = with(|options| options.strict = true).await;
    assert_eq!(probe.send("PATCH", "/c/a", json!({ "n": 1 })).await.status, 404);
    assert_eq!(probe.send("POST", "/c", json!({ "id": "a", "n": 1 })).await.status, 200);
    assert_eq!(probe.send("POST", "/c", json!({ "id": "a", "n": 2 })).await.status, 409);
    assert_eq!(probe.send("PATCH", "/c/a", json!({ "n": 3 })).await.status, 200);
    let body = probe.send("POST", "/c", json!([{ "id": "a" }, { "id": "b" }])).await.json();
    assert_eq!((&body["results"][0]["error"]["code"], &body["results"][1]["status"]), (&json!("exists"), &json!("ok")));
    assert_eq!(held(&probe).await.len(), 2);
}
