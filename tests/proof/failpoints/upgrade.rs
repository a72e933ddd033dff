//! The upgrade of a state of schema version 1, which an older program made over 4,199 rows: it sends nothing (promise P9),
//! wherever it is interrupted.

use std::fs;

use super::{
    case::{Case, Found, says_why, tail},
    ends::End,
};
use crate::support::{Sim, TOKEN, Workspace};

const SYNC: &str = "people-to-crm";

pub(super) fn lead(case: &Case) -> Found {
    let (workspace, sim) = old_state();
    let mut found = Found::default();
    let own = case.arguments(case.pass());
    let sync = ["sync", SYNC, "--output", "json"];
    let command: Vec<&str> = own.iter().map(String::as_str).chain(sync).collect();
    let finished = workspace.syncline(&command);
    found.demand(finished.stderr.contains(&case.line()), || "the boundary was not reached".to_owned());
    let right = match case.expected() {
        End::Killed => finished.code.is_none(),
        End::Stops | End::RunFails => finished.code == Some(101) || (finished.code == Some(1) && says_why(&finished)),
        End::GoesOn | End::MayFail => finished.code == Some(0),
    };
    found.demand(right, || format!("it ended with {:?}: {}", finished.code, tail(&finished)));
    let run = workspace.syncline(&sync).expect(0).json();
    let counts = &run["syncs"][0]["counts"];
    let nothing_sent = counts["unchanged"] == 4_199 && counts["delivered"] == 0 && sim.requests() == 0;
    found.demand(nothing_sent, || format!("the upgrade sent something: {counts}"));
    let status = workspace.syncline(&["status", "--output", "json"]).expect(0).json();
    let clean = status["suspect"] == false && status["status"][0]["entries"] == 4_199;
    found.demand(clean, || format!("the state is not clean: {status}"));
    let files = fs::read_dir(workspace.path("data")).expect("the state's folder");
    let backups = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    found.demand(backups.filter(|name| name.contains(".backup-v1-")).count() > 0, || "no backup".to_owned());
    found.checks += 1;
    found
}

fn old_state() -> (Workspace, Sim) {
    let sim = Sim::start("hubspot", &["--property", "plan:string"]);
    let mut workspace = Workspace::new();
    workspace.variable("CRM_TOKEN", TOKEN);
    workspace.write("config/syncline.toml", &CONFIGURATION.replace("URL", &sim.url));
    fs::create_dir_all(workspace.path("data")).expect("a folder");
    for name in ["", ".key"] {
        let old = format!("{}/tests/fixtures/state-0001.db{name}", env!("CARGO_MANIFEST_DIR"));
        fs::copy(old, workspace.path(&format!("data/state.db{name}"))).expect("the old state");
    }
    workspace.sql(
        "create table people (id integer primary key, email text, name text, plan text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 4199)
         insert into people select i, 'p' || i || '@example.com', iif(i = 7, 'Q', 'P' || i), 'pro' from n;",
    );
    (workspace, sim)
}

const CONFIGURATION: &str = r#"
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
token = { env = "CRM_TOKEN" }
base_url = "URL"
allow_private = ["127.0.0.1/32"]
[syncs.people-to-crm]
model = "people"
destination = "crm"
object = "contacts"
match = "email"
first_run = "backfill"
[syncs.people-to-crm.fields]
email = "email"
firstname = "name"
plan = { column = "plan", when_null = "clear" }
"#;
