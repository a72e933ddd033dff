//! The `http` connector.

use syncline::{
    model::{
        Operation::{Clear, Delete, Upsert},
        spec::{HttpResultsSpec, HttpSpec, VendorSpec},
    },
    simulator::{HttpOptions, VendorConfig},
    wire::FaultKind,
};

use super::harness::{Pair, RowOf, start};

fn results() -> HttpResultsSpec {
    HttpResultsSpec {
        rows: "/results".into(),
        key: Some("/id".into()),
        status: "/status".into(),
        success: vec!["\"ok\"".into()],
        record_id: None,
        error_code: Some("/error/code".into()),
        error_message: Some("/error/message".into()),
    }
}

async fn people(method: &str, batch_size: u32, results: Option<HttpResultsSpec>) -> Pair {
    let vendor = VendorSpec::Http(Box::new(HttpSpec {
        method: method.into(),
        delete_path: Some("/v1/{object}/{match}".into()),
        batch_size,
        envelope: Some("records".into()),
        results,
        ..HttpSpec::new("/v1/{object}")
    }));
    start(VendorConfig::http(HttpOptions::default()), vendor, "records", "id").await
}

#[tokio::test]
async fn a_record_lives_from_upsert_to_delete() {
    for (batch_size, results) in [(1, None), (10, None), (10, Some(results())), (1, Some(results()))] {
        let pair = people("PATCH", batch_size, results).await;
        for row in
            [[("id", "a/1"), ("name", "Ada"), ("plan", "pro")], [("id", "b 2"), ("name", "Bob"), ("plan", "free")]]
        {
            assert_eq!(pair.deliver(Upsert, &[(None, &row)]).await, ["delivered -"]);
        }
        assert_eq!(pair.deliver(Clear, &[(None, &[("id", "a/1"), ("plan", "")])]).await, ["delivered -"]);
        assert_eq!(pair.deliver(Delete, &[(None, &[("id", "b 2")])]).await, ["delivered -"]);
        let held = pair.records();
        assert_eq!(held[0]["properties"], serde_json::json!({ "id": "a/1", "name": "Ada", "plan": null }), "{held}");
        assert_eq!((&held[0]["archived"], &held[1]["archived"]), (&false.into(), &true.into()), "{held}");
    }
}

#[tokio::test]
async fn results_name_the_refused_rows() {
    let pair = people("POST", 10, Some(results())).await;
    pair.fault(r#"{"match": {"row_key_contains": "2"}, "action": {"reject_row": {"category": "TOO_OLD"}}}"#);
    let rows: [RowOf<'_>; 3] = [(None, &[("id", "1")]), (None, &[("id", "2")]), (None, &[("id", "3")])];
    assert_eq!(pair.deliver(Upsert, &rows).await, ["delivered -", "rejected TOO_OLD -", "delivered -"]);
    pair.fault(r#"{"action": {"rate_limit": {"retry_after": "7"}}}"#);
    let fault = pair.try_deliver(Upsert, &rows[..1]).await.unwrap_err();
    assert_eq!((fault.kind, fault.retry_after.map(|wait| wait.as_secs())), (FaultKind::Throttled, Some(7)));
}
