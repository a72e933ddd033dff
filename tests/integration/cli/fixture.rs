//! A workspace with one sync from an SQLite file to a simulated HubSpot.

#![allow(clippy::panic)] // helpers outside of `#[test]` functions fail the test that calls them

use crate::support::{Finished, Sim, TOKEN, Workspace};

/// The sync's name.
pub(super) const SYNC: &str = "people-to-crm";

/// A workspace with five people, and the simulator that they go to. `settings` is added to the sync.
pub(super) fn people(settings: &str) -> (Workspace, Sim) {
    people_with(&[], settings)
}

/// The same with further arguments of the simulator.
pub(super) fn people_with(arguments: &[&str], settings: &str) -> (Workspace, Sim) {
    let sim = Sim::start("hubspot", &[&["--property", "plan:string"], arguments].concat());
    let mut workspace = Workspace::new();
    workspace.variable("CRM_TOKEN", TOKEN);
    workspace.write("config/syncline.toml", &configuration(&sim.url, settings));
    workspace.sql(
        "create table people (id integer primary key, email text, name text, plan text);
         insert into people values (1, 'a@example.com', 'Ada', 'pro'), (2, 'b@example.com', 'Ben', 'free'),
           (3, 'c@example.com', 'Cid', null), (4, 'd@example.com', 'Dot', 'pro'), (5, 'e@example.com', 'Eve', 'pro');",
    );
    (workspace, sim)
}

fn configuration(url: &str, settings: &str) -> String {
    format!(
        r#"
environment = "test"
[state]
url = "sqlite://data/state.db"
[http]
listen = "off"
[defaults]
schedule = "manual"
[sources.warehouse]
type = "sqlite"
path = "warehouse.db"
[models.people]
source = "warehouse"
primary_key = "id"
sql = "select id, email, name, plan from people"
[destinations.crm]
type = "hubspot"
token = {{ env = "CRM_TOKEN" }}
base_url = "{url}"
allow_private = ["127.0.0.1/32"]
[syncs.{SYNC}]
model = "people"
destination = "crm"
object = "contacts"
match = "email"
{settings}
[syncs.{SYNC}.fields]
email = "email"
firstname = "name"
plan = {{ column = "plan", when_null = "clear" }}
"#
    )
}

/// A count of the first report of `sync --output json`.
pub(super) fn count(finished: &Finished, name: &str) -> u64 {
    let document = finished.json();
    document["syncs"][0]["counts"][name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {document}"))
}
