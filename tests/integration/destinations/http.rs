//! The `http` connector.

use std::collections::BTreeMap;

use syncline::{
    model::{
        Operation::{self, Clear, Delete, Insert, Update, Upsert},
        spec::{HttpBodySpec, HttpOperationSpec, HttpRecordsSpec, HttpResultsSpec, HttpSpec, VendorSpec},
    },
    simulator::{HttpOptions, VendorConfig},
    wire::FaultKind,
};

use super::harness::{Pair, RowOf, start};
use crate::support::{Sim, TOKEN, Workspace};

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

async fn operations(operations: impl IntoIterator<Item = (Operation, HttpOperationSpec)>) -> Pair {
    let objects = BTreeMap::from([("records".to_owned(), operations.into_iter().collect())]);
    let vendor = VendorSpec::Http(Box::new(HttpSpec { path: None, objects, ..HttpSpec::new("/") }));
    start(VendorConfig::http(HttpOptions::default()), vendor, "records", "id").await
}

#[tokio::test]
async fn ids_of_answers_are_the_address_of_later_requests() {
    let by_id = |operation| HttpOperationSpec::new(operation, "/v1/{{ object }}/{{ record_id }}");
    let create = HttpOperationSpec {
        method: "PUT".into(),
        headers: BTreeMap::from([("x-key".to_owned(), "{{ idempotency_key }}".to_owned())]),
        body: HttpBodySpec::Template { text: r#"{"id": {{ match }}, "fields": {{ record }}}"#.into(), batch_size: 1 },
        record_id: Some("/results/0/id".into()),
        ..HttpOperationSpec::new(Upsert, "/v1/{{ object }}")
    };
    let pair = operations([(Upsert, create), (Update, by_id(Update)), (Delete, by_id(Delete))]).await;
    assert!(pair.destination.capabilities("records").record_ids);
    let row = [("id", "a/1"), ("name", "\"Ada\"")];
    assert_eq!(pair.deliver(Upsert, &[(None, &row)]).await, ["delivered a/1"]);
    assert_eq!(pair.records()[0]["properties"]["fields"]["name"], "\"Ada\"");
    assert_eq!(pair.deliver(Update, &[(Some("a/1"), &[("name", "Bob")])]).await, ["delivered -"]);
    assert_eq!(pair.records()[0]["properties"]["name"], "Bob");
    assert_eq!(pair.deliver(Delete, &[(Some("a/1"), &[])]).await, ["delivered -"]);
    assert_eq!(pair.records()[0]["archived"], true);
    pair.fault(r#"{"action": {"status": {"code": 404}}}"#);
    assert_eq!(pair.deliver(Update, &[(Some("a/1"), &[("name", "Eve")])]).await, ["gone"]);
}

#[tokio::test]
async fn inserted_records_stand_in_an_envelope_with_constants() {
    let records = HttpRecordsSpec {
        batch_size: 10,
        envelope: Some("records".into()),
        constants: BTreeMap::from([("source".to_owned(), "\"dwh\"".to_owned())]),
        ..HttpRecordsSpec::default()
    };
    let insert = HttpOperationSpec {
        body: HttpBodySpec::Records(records),
        results: Some(results()),
        ..HttpOperationSpec::new(Insert, "/v1/{{ object }}")
    };
    let pair = operations([(Insert, insert)]).await;
    let rows: [RowOf<'_>; 2] = [(None, &[("id", "1")]), (None, &[("id", "2")])];
    assert_eq!(pair.deliver(Insert, &rows).await, ["delivered -", "delivered -"]);
    assert_eq!(pair.records()[1]["properties"], serde_json::json!({ "id": "2", "source": "dwh" }));
    assert_eq!(pair.try_deliver(Upsert, &rows).await.unwrap_err().kind, FaultKind::Settings);
}

/// The whole way, with an API that makes another record for each upsert: known ids must be kept although nothing is
/// removed and the match is the key.
#[test]
fn a_known_id_is_the_address_in_every_later_run() {
    let sim = Sim::start("http", &[]);
    let mut workspace = Workspace::new();
    workspace.variable("TOKEN", TOKEN);
    workspace.write(
        "config/syncline.toml",
        &format!(
            r#"
[scheduler]
workers_per_run = 1
[sources.warehouse]
type = "sqlite"
path = "warehouse.db"
[models.rows]
source = "warehouse"
primary_key = "id"
sql = "select id, name from m"
[destinations.api]
type = "http"
base_url = "{}"
token = {{ env = "TOKEN" }}
allow_private = ["127.0.0.1/32"]
[destinations.api.objects.records.upsert]
path = "/v1/{{{{ object }}}}"
record_id = "/results/0/id"
[destinations.api.objects.records.update]
path = "/v1/{{{{ object }}}}/{{{{ record_id }}}}"
body = '{{"name": {{{{ record.name }}}}}}'
[syncs.s]
model = "rows"
destination = "api"
object = "records"
match = "id"
first_run = "backfill"
[syncs.s.fields]
id = "id"
name = "name"
"#,
            sim.url
        ),
    );
    workspace.sql("create table m (id integer primary key, name text); insert into m values (1, 'Ada'), (2, 'Bob');");
    workspace.syncline(&["sync", "s"]).expect(0);
    workspace.sql("update m set name = '\"A\"' where id = 1;");
    workspace.syncline(&["sync", "s"]).expect(0);
    let requests = sim.get("requests");
    let seen = requests.as_array().unwrap().iter().map(|one| format!("{} {}", one["method"], one["path"]));
    let seen: Vec<String> = seen.map(|line| line.replace('"', "")).collect();
    assert_eq!(seen[..2], ["POST /v1/records", "POST /v1/records"]);
    assert_eq!(seen[2..], ["PATCH /v1/records/1"], "{seen:?}");
    assert_eq!(sim.get("records/records")[0]["properties"]["name"], "\"A\"");
}
