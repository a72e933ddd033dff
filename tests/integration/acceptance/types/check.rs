//! The rows of a type table, delivered by the binary and compared.

use serde_json::Value;
use syncline::{
    model::Schema,
    source::{ModelBody, ModelQuery, SourceConfig, open},
};

use super::documented;
use crate::support::{Sim, TOKEN, Workspace};

/// One value of one type.
pub(super) struct Case {
    /// The type's name in `docs/types.md`.
    pub(super) documented: &'static str,
    /// The type in `create table`.
    pub(super) column: &'static str,
    /// The value as SQL.
    pub(super) value: &'static str,
    /// What becomes of it.
    pub(super) becomes: Becomes,
}

/// What becomes of a value.
pub(super) enum Becomes {
    /// Delivered as this JSON.
    Json(&'static str),
    /// Delivered as this JSON when the mapping says `as = "text"`.
    Cast(&'static str),
    /// Not delivered: the row is invalid, with this code.
    Invalid(&'static str),
}

pub(super) const fn sent(
    documented: &'static str,
    column: &'static str,
    value: &'static str,
    json: &'static str,
) -> Case {
    Case { documented, column, value, becomes: Becomes::Json(json) }
}

pub(super) const fn cast(
    documented: &'static str,
    column: &'static str,
    value: &'static str,
    json: &'static str,
) -> Case {
    Case { documented, column, value, becomes: Becomes::Cast(json) }
}

pub(super) const fn invalid(
    documented: &'static str,
    column: &'static str,
    value: &'static str,
    code: &'static str,
) -> Case {
    Case { documented, column, value, becomes: Becomes::Invalid(code) }
}

/// Tables `good`, one row with a column for each value that can be sent, and `bad`, one row for each other value.
pub(super) fn tables(cases: &[Case]) -> String {
    let (good, bad) = parted(cases);
    let columns = |cases: &[&Case]| -> String {
        cases.iter().enumerate().map(|(at, case)| format!(", c{at} {}", case.column)).collect()
    };
    let values: String = good.iter().map(|case| format!(", {}", case.value)).collect();
    let mut sql =
        format!("create table good (id int primary key{}); insert into good values (1{values});", columns(&good));
    if !bad.is_empty() {
        sql += &format!("create table bad (id int primary key{});", columns(&bad));
    }
    for (at, case) in bad.iter().enumerate() {
        sql += &format!("insert into bad (id, c{at}) values ({at}, {});", case.value);
    }
    sql
}

/// The cases that can be sent, and the others.
fn parted(cases: &[Case]) -> (Vec<&Case>, Vec<&Case>) {
    cases.iter().partition(|case| !matches!(case.becomes, Becomes::Invalid(_)))
}

/// A database that holds the [`tables`] of `cases`.
pub(super) struct Source<'a> {
    /// The heading in `docs/types.md`.
    pub(super) section: &'a str,
    pub(super) cases: &'a [Case],
    /// The lines of `[sources.warehouse]`.
    pub(super) lines: &'a str,
    /// `WAREHOUSE_URL`.
    pub(super) url: &'a str,
    /// The same for this process.
    pub(super) config: SourceConfig,
}

impl Source<'_> {
    /// Delivers and compares everything, in a workspace that may hold the database already.
    pub(super) async fn check(&self, mut workspace: Workspace) {
        let (good, bad) = parted(self.cases);
        let sim = Sim::start("http", &["--key-pointer", "/id"]);
        workspace.variable("CRM_TOKEN", TOKEN);
        workspace.variable("WAREHOUSE_URL", self.url);
        workspace.write("config/syncline.toml", &configuration(&sim.url, self.lines, &good));
        delivered(&workspace, &sim, &good);
        if !bad.is_empty() {
            refused(&workspace, &sim, &bad);
        }
        documented::check(
            self.section,
            self.cases,
            &[(&good, self.schema("good").await), (&bad, self.schema("bad").await)],
        );
    }

    async fn schema(&self, table: &str) -> Option<Schema> {
        if table == "bad" && parted(self.cases).1.is_empty() {
            return None;
        }
        let query = ModelQuery {
            name: table.to_owned(),
            body: ModelBody::Table(table.to_owned()),
            filter: None,
            flags: Vec::new(),
            primary_key: vec!["id".to_owned()],
            key_kinds: None,
            after: None,
            timeout: std::time::Duration::from_secs(60),
        };
        let source = open(&self.config).expect("the settings are not usable");
        Some(source.describe(&query).await.expect("describe").as_ref().clone())
    }
}

fn delivered(workspace: &Workspace, sim: &Sim, cases: &[&Case]) {
    workspace.syncline(&["sync", "good"]).expect(0);
    let records = sim.get("records/records");
    assert_eq!(records.as_array().map(Vec::len), Some(1), "{records}");
    let held = &records[0]["properties"];
    let mut wrong = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let (Becomes::Json(json) | Becomes::Cast(json)) = case.becomes else { continue };
        let expected: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let found = &held[format!("c{at}")];
        if *found != expected {
            wrong.push(format!("{} {}: held {found}, expected {expected}", case.column, case.value));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Read again, every value has the fingerprint that it had.
    let again = workspace.syncline(&["sync", "good", "--output", "json"]).expect(0).json();
    assert_eq!(again["syncs"][0]["counts"]["unchanged"], 1, "{again}");
}

fn refused(workspace: &Workspace, sim: &Sim, cases: &[&Case]) {
    workspace.syncline(&["sync", "bad"]).expect(3);
    let report = workspace.syncline(&["rejected", "bad", "--limit", "1000", "--output", "json"]).expect(0).json();
    let found = report["invalid"].as_array().expect("a list");
    for (at, case) in cases.iter().enumerate() {
        let Becomes::Invalid(code) = case.becomes else { continue };
        let key = at.to_string();
        let row = found
            .iter()
            .find(|row| row["key"] == key)
            .unwrap_or_else(|| panic!("{} {}: {report}", case.column, case.value));
        assert_eq!(
            (row["code"].as_str(), row["field"].as_str()),
            (Some(code), Some(format!("c{at}").as_str())),
            "{} {}",
            case.column,
            case.value
        );
    }
    assert_eq!(found.len(), cases.len(), "{report}");
    assert_eq!(
        sim.get("records/records").as_array().map(Vec::len),
        Some(1),
        "a row was sent without one of its values"
    );
}

fn configuration(url: &str, source: &str, good: &[&Case]) -> String {
    let mut text = format!(
        r#"
[state]
url = "sqlite://data/state.db"
[http]
listen = "off"
[defaults]
when_null = "clear"
[sources.warehouse]
{source}
[destinations.crm]
type = "http"
token = {{ env = "CRM_TOKEN" }}
base_url = "{url}"
allow_private = ["127.0.0.1/32"]
path = "/v1/{{object}}"
"#
    );
    for name in ["good", "bad"] {
        text += &format!(
            r#"
[models.{name}]
source = "warehouse"
primary_key = "id"
table = "{name}"
[syncs.{name}]
model = "{name}"
destination = "crm"
object = "{name}"
match = "id"
mode = "upsert"
first_run = "backfill"
guard = {{ max_invalid = "100%" }}
"#
        );
    }
    text += "[syncs.bad.fields]\n\"*\" = {}\n[syncs.good.fields]\n\"*\" = {}\n";
    for (at, _) in good.iter().enumerate().filter(|(_, case)| matches!(case.becomes, Becomes::Cast(_))) {
        text += &format!("c{at} = {{ column = \"c{at}\", as = \"text\" }}\n");
    }
    text
}
