//! What becomes of rows that leave the model, in each mode and for destinations without record ids; and a spent quota.

use serde_json::{Value, json};

use super::fixture::{SYNC, count, people, people_with};
use crate::support::{Sim, TOKEN, Workspace};

fn contacts(sim: &Sim) -> Vec<Value> {
    sim.get("records/contacts").as_array().cloned().unwrap_or_default()
}

#[test]
fn cleared_rows_keep_their_record_and_come_back_to_it() {
    let (workspace, sim) = people("first_run = \"backfill\"\non_removed = \"clear\"");
    workspace.syncline(&["sync", SYNC]).expect(0);
    workspace.sql("delete from people where id = 2");
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&sent, "removed"), count(&sent, "delivered")), (1, 1));
    let cleared = contacts(&sim)[1].clone();
    assert_eq!((&cleared["properties"]["email"], &cleared["archived"]), (&json!("b@example.com"), &json!(false)));
    assert!(cleared["properties"]["firstname"].as_str().unwrap_or_default().is_empty(), "{cleared}");

    workspace.sql("insert into people values (2, 'b@example.com', 'Bea', 'pro')");
    workspace.syncline(&["sync", SYNC]).expect(0);
    let back = contacts(&sim);
    assert_eq!((back.len(), &back[1]["properties"]["firstname"]), (5, &json!("Bea")));
}

#[test]
fn kept_rows_cost_no_request_and_come_back_to_their_record() {
    let (workspace, sim) = people("first_run = \"backfill\"\non_removed = \"keep\"");
    workspace.syncline(&["sync", SYNC]).expect(0);
    workspace.sql("delete from people where id = 2");
    let kept = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&kept, "removed"), count(&kept, "skipped"), count(&kept, "delivered")), (1, 1, 0));
    assert_eq!(contacts(&sim)[1]["properties"]["firstname"], "Ben");
    workspace.sql("insert into people values (2, 'new@example.com', 'Bea', 'pro')");
    let back = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&back, "added"), contacts(&sim).len()), (1, 5));
    assert_eq!(contacts(&sim)[1]["properties"]["email"], "new@example.com");
}

#[test]
fn a_spent_quota_defers_what_is_left() {
    // One request asks whose the token is, so one is left for the batch: the second run of the day finds none.
    let (workspace, sim) = people_with(&["--daily", "3"], "first_run = \"backfill\"");
    workspace.syncline(&["sync", SYNC]).expect(0);
    workspace.sql("update people set name = 'Changed'");
    let deferred = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(5);
    assert_eq!((count(&deferred, "left_over"), count(&deferred, "delivered")), (5, 0));
    assert!(deferred.json()["syncs"][0]["reason"].as_str().is_some_and(|reason| reason.contains("quota")));
    assert_eq!(contacts(&sim)[0]["properties"]["firstname"], "Ada");
}

#[test]
fn a_json_api_without_record_ids_is_mirrored_by_its_key() {
    let sim = Sim::start("http", &["--key-pointer", "/code"]);
    let mut workspace = Workspace::new();
    workspace.variable("API_TOKEN", TOKEN);
    workspace.write("config/syncline.toml", &http_configuration(&sim.url));
    workspace.sql(
        "create table stock (code integer primary key, name text, city text);
         insert into stock values (1, 'nuts', 'Bern'), (2, 'bolts', null), (3, 'gears', 'Ulm');",
    );
    workspace.syncline(&["sync", "stock"]).expect(0);
    assert_eq!(
        cities(&sim),
        [("1".to_owned(), json!("Bern")), ("2".to_owned(), json!(null)), ("3".to_owned(), json!("Ulm"))]
    );

    workspace.sql("delete from stock where code = 2; update stock set city = 'Basel' where code = 1;");
    let sent = workspace.syncline(&["sync", "stock", "--output", "json"]).expect(0);
    assert_eq!((count(&sent, "changed"), count(&sent, "removed"), count(&sent, "delivered")), (1, 1, 2));
    assert_eq!(cities(&sim), [("1".to_owned(), json!("Basel")), ("3".to_owned(), json!("Ulm"))]);
}

/// Code and city of each record that is not deleted, by code: batches may arrive in any order.
fn cities(sim: &Sim) -> Vec<(String, Value)> {
    let held = sim.get("records/records");
    let live = held.as_array().into_iter().flatten().filter(|record| record["archived"] != json!(true));
    let mut cities: Vec<_> = live
        .map(|record| {
            let properties = &record["properties"];
            (properties["code"].as_str().unwrap_or_default().to_owned(), properties["address"]["city"].clone())
        })
        .collect();
    cities.sort_by(|a, b| a.0.cmp(&b.0));
    cities
}

fn http_configuration(url: &str) -> String {
    format!(
        r#"
[state]
url = "sqlite://data/state.db"
[http]
listen = "off"
[sources.warehouse]
type = "sqlite"
path = "warehouse.db"
[models.stock]
source = "warehouse"
primary_key = "code"
table = "stock"
[destinations.api]
type = "http"
base_url = "{url}"
allow_private = ["127.0.0.1/32"]
token = {{ env = "API_TOKEN" }}
path = "/v1/{{object}}"
delete_path = "/v1/{{object}}/{{match}}"
batch_size = 2
[syncs.stock]
model = "stock"
destination = "api"
object = "stock"
match = "code"
mode = "mirror"
first_run = "backfill"
schedule = "manual"
[syncs.stock.fields]
code = {{ column = "code", as = "text" }}
name = "name"
"address.city" = {{ column = "city", when_null = "clear" }}
"#
    )
}
