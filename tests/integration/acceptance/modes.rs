//! Modes `insert`, `update` and `append`, each end to end against the simulators of HubSpot and of a JSON API.

use std::env;

use serde_json::Value;

use crate::support::pair::side_by_side;
use crate::support::{Finished, Sim, TOKEN, Workspace};

const COUNTS: [&str; 6] = ["read", "unchanged", "waiting", "delivered", "rejected", "invalid"];

/// A workspace with the syncs `seed` (upserts of table `s`) and `tested` (of table `m`), and the simulator of both.
struct World {
    workspace: Workspace,
    sim: Sim,
    object: &'static str,
}

impl World {
    fn new(vendor: &str, tested: &str) -> Self {
        let hubspot = vendor == "hubspot";
        let arguments: &[&str] = if hubspot {
            &["--property", "plan:string", "--limit", "none"]
        } else {
            &["--key-pointer", "/email", "--strict"]
        };
        let sim = Sim::start(vendor, arguments);
        let mut workspace = Workspace::new();
        workspace.variable("CRM_TOKEN", TOKEN);
        let object = if hubspot { "contacts" } else { "records" };
        workspace.write("config/syncline.toml", &configuration(vendor, &sim.url, object, tested));
        workspace.sql(
            "create table m (id integer primary key, email text, plan text);
             create table s (id integer primary key, email text, plan text);
             insert into s values (1, 'theirs@example.com', 'theirs');",
        );
        let world = Self { workspace, sim, object };
        world.run("seed").expect(0);
        world
    }

    fn run(&self, sync: &str) -> Finished {
        self.workspace.syncline(&["sync", sync, "--output", "json"])
    }

    /// One run of the tested sync, which must end with this exit code: [`COUNTS`].
    #[track_caller]
    fn tested(&self, code: i32) -> [u64; 6] {
        counts(&self.run("tested").expect(code))
    }

    /// E-mail address and plan of each live record, sorted.
    fn records(&self) -> Vec<(String, String)> {
        let records = self.sim.get(&format!("records/{}", self.object));
        let live = records.as_array().into_iter().flatten().filter(|record| record["archived"] == false);
        let text = |record: &Value, name: &str| record["properties"][name].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> = live.map(|record| (text(record, "email"), text(record, "plan"))).collect();
        all.sort();
        all
    }

    fn rejected(&self) -> Vec<String> {
        let listed = self.workspace.syncline(&["rejected", "tested", "--output", "json"]).expect(0).json();
        let rows = listed["rejected"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["code"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[track_caller]
fn counts(run: &Finished) -> [u64; 6] {
    let document = run.json();
    COUNTS.map(|name| document["syncs"][0]["counts"][name].as_u64().expect("a count"))
}

fn pair(email: &str, plan: &str) -> (String, String) {
    (email.to_owned(), plan.to_owned())
}

fn configuration(vendor: &str, url: &str, object: &str, tested: &str) -> String {
    let (seed, own, update) = match vendor {
        "hubspot" => ("", "", ""),
        _ => (
            "method = \"PUT\"\npath = \"/c/{match}\"",
            "method = \"POST\"\npath = \"/c/{match}\"",
            "method = \"PATCH\"\npath = \"/c/{match}\"",
        ),
    };
    let own = if tested.contains("update") { update } else { own };
    let destination = |name: &str, own: &str| {
        format!(
            "[destinations.{name}]\ntype = \"{vendor}\"\ntoken = {{ env = \"CRM_TOKEN\" }}\nbase_url = \"{url}\"\n\
             allow_private = [\"127.0.0.1/32\"]\nrequest_timeout = \"3s\"\n{own}\n"
        )
    };
    let sync = |name: &str, model: &str, destination: &str, own: &str| {
        format!(
            "[syncs.{name}]\nmodel = \"{model}\"\ndestination = \"{destination}\"\nobject = \"{object}\"\n\
             match = \"email\"\nfirst_run = \"backfill\"\nschedule = \"manual\"\nlate_window = \"3s\"\n{own}\n\
             fields = {{ email = \"email\", plan = \"plan\" }}\n"
        )
    };
    [
        "[state]\nurl = \"sqlite://data/state.db\"\n[http]\nlisten = \"off\"\n".to_owned(),
        "[sources.w]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n".to_owned(),
        "[models.m]\nsource = \"w\"\nprimary_key = \"id\"\ntable = \"m\"\n".to_owned(),
        "[models.s]\nsource = \"w\"\nprimary_key = \"id\"\ntable = \"s\"\n".to_owned(),
        destination("seeded", seed),
        destination("crm", own),
        sync("seed", "s", "seeded", ""),
        sync("tested", "m", "crm", tested),
    ]
    .join("\n")
}

fn insert_creates_once(vendor: &str) {
    let world = World::new(vendor, "mode = \"insert\"");
    world.workspace.sql("insert into m values (1, 'a@example.com', 'old'), (2, 'theirs@example.com', 'ours')");
    assert_eq!(world.tested(3), [2, 0, 0, 1, 1, 0]);
    assert_eq!(world.rejected(), ["exists"]);
    world.workspace.sql("update m set plan = 'new' where id = 1; insert into m values (3, 'c@example.com', 'new')");
    assert_eq!(world.tested(3), [3, 1, 1, 1, 0, 0]);
    // A key that goes and comes back is not made again.
    world.workspace.sql("delete from m where id = 1");
    world.tested(3);
    world.workspace.sql("insert into m values (1, 'a@example.com', 'again')");
    assert_eq!(world.tested(3), [3, 2, 1, 0, 0, 0]);
    let held = [pair("a@example.com", "old"), pair("c@example.com", "new"), pair("theirs@example.com", "theirs")];
    assert_eq!(world.records(), held);
    // Another match value: the row has changed and is inserted.
    world.workspace.sql("update m set email = 'b@example.com' where id = 2");
    assert_eq!(world.tested(0), [3, 2, 0, 1, 0, 0]);
    assert_eq!(world.records().len(), 4);
}

fn a_lost_insert_is_one_record(vendor: &str) {
    let world = World::new(vendor, "mode = \"insert\"");
    world.workspace.sql("insert into m values (1, 'a@example.com', 'x'), (2, 'b@example.com', 'x')");
    let path = if vendor == "hubspot" { "batch/create" } else { "/c/" };
    let fault = format!(r#"{{"match": {{"path_contains": "{path}", "nth": 1}}, "action": "drop_answer"}}"#);
    world.sim.post("faults", &fault);
    assert_eq!(world.tested(0)[3], 2);
    world.sim.clear_faults();
    assert_eq!(world.tested(0), [2, 2, 0, 0, 0, 0]);
    assert_eq!(world.records().len(), 3);
    let report = world.sim.get("report");
    let updated = report.pointer(&format!("/objects/{}/updated_total", world.object));
    assert_eq!(updated.and_then(Value::as_u64), Some(0), "nothing was touched twice: {report}");
}

fn update_creates_nothing(vendor: &str) {
    let world = World::new(vendor, "mode = \"update\"");
    world.workspace.sql("insert into m values (1, 'theirs@example.com', 'ours'), (2, 'none@example.com', 'ours')");
    assert_eq!(world.tested(3), [2, 0, 0, 1, 1, 0]);
    assert_eq!(world.rejected(), ["not_found"]);
    assert_eq!(world.records(), [pair("theirs@example.com", "ours")]);
    world.workspace.sql("update m set plan = 'newer' where id = 1");
    assert_eq!(world.tested(3), [2, 0, 1, 1, 0, 0]);
    assert_eq!(world.records(), [pair("theirs@example.com", "newer")]);
    // What the sync wrote to is kept when its row goes.
    world.workspace.sql("delete from m where id = 1");
    world.tested(3);
    assert_eq!(world.records(), [pair("theirs@example.com", "newer")]);
}

#[test]
fn insert_and_update_against_hubspot() {
    side_by_side(&[
        || insert_creates_once("hubspot"),
        || a_lost_insert_is_one_record("hubspot"),
        || update_creates_nothing("hubspot"),
    ]);
}

#[test]
fn insert_and_update_against_a_json_api() {
    side_by_side(&[
        || insert_creates_once("http"),
        || a_lost_insert_is_one_record("http"),
        || update_creates_nothing("http"),
    ]);
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Events in a table `m (id, seq, payload)`, appended to a log that counts how often each was applied.
struct Events {
    workspace: Workspace,
    sim: Sim,
}

impl Events {
    fn new(batch: u64, settings: &str) -> Self {
        let oauth = ["--oauth-client", "client-1:secret-1", "--token-life", "5s"];
        let sim = Sim::start("http", &[&["--key-pointer", "/event_id", "--log-path", "/events"], &oauth[..]].concat());
        let mut workspace = Workspace::new();
        workspace.variable("CLIENT_SECRET", "secret-1");
        let url = &sim.url;
        let text = format!(
            r#"
[state]
url = "sqlite://data/state.db"
[http]
listen = "off"
[scheduler]
workers_per_run = 4
[sources.w]
type = "sqlite"
path = "warehouse.db"
[models.m]
source = "w"
primary_key = "id"
table = "m"
[destinations.log]
type = "http"
base_url = "{url}"
allow_private = ["127.0.0.1/32"]
path = "/events"
batch_size = {batch}
idempotency_field = "idempotency_key"
[destinations.log.auth.oauth2]
token_url = "{url}/oauth/token"
allow_private = ["127.0.0.1/32"]
client_id = "client-1"
client_secret = {{ env = "CLIENT_SECRET" }}
[syncs.tested]
model = "m"
destination = "log"
object = "events"
mode = "append"
first_run = "backfill"
schedule = "manual"
{settings}
fields = {{ event_id = "id", payload = "payload" }}
"#
        );
        workspace.write("config/syncline.toml", &text);
        workspace.sql("create table m (id integer primary key, seq integer, payload text)");
        Self { workspace, sim }
    }

    /// Adds the events `first` to `last`, each with its own place.
    fn add(&self, first: u64, last: u64) {
        self.workspace.sql(&format!(
            "with recursive n (i) as (values ({first}) union all select i + 1 from n where i < {last})
             insert into m select i, i, 'payload ' || i from n"
        ));
    }

    fn sync(&self, code: i32) -> [u64; 6] {
        counts(&self.workspace.syncline(&["sync", "tested", "--output", "json"]).expect(code))
    }

    /// Different events, how often any was applied, and how many more than once.
    fn log(&self) -> [u64; 3] {
        let report = self.sim.get("report");
        let number = |name: &str| report.pointer(&format!("/objects/events/{name}")).and_then(Value::as_u64);
        ["distinct", "applied", "repeated"].map(|name| number(name).expect("a number"))
    }
}

#[test]
fn events_are_added_once_and_late_ones_within_the_lookback() {
    let events = Events::new(10, "cursor = { column = \"seq\", lookback = 5, start = 3 }");
    events.add(1, 50);
    assert_eq!(events.sync(0), [48, 0, 0, 48, 0, 0]);
    // Changed and vanished events are left alone; one within the lookback is added, one before it is not read.
    events.workspace.sql(
        "update m set payload = 'changed'; delete from m where id = 47;
         insert into m values (101, 46, 'late'), (102, 44, 'too late'), (103, 51, 'new');",
    );
    assert_eq!(events.sync(0), [7, 5, 0, 2, 0, 0]);
    assert_eq!(events.log(), [50, 50, 0]);
    // A lost answer: the request is repeated under its key.
    events.sim.post("faults", r#"{"match": {"nth": 1}, "action": "drop_answer"}"#);
    events.add(200, 210);
    assert_eq!(events.sync(0)[3], 11);
    assert_eq!(events.log(), [61, 61, 0]);
    let status = events.workspace.syncline(&["status", "--output", "json"]).expect(0).json();
    assert_eq!((&status["status"][0]["dirty"], &status["status"][0]["rejected"]), (&0.into(), &0.into()));
}

/// `SYNCLINE_EVENTS` events, the daemon killed `SYNCLINE_KILLS` times on the way: each is there exactly once.
#[test]
fn killed_appends_add_each_event_exactly_once() {
    let (total, kills) = (number("SYNCLINE_EVENTS", 2_000), number("SYNCLINE_KILLS", 2));
    let batch = if total > 50_000 { 500 } else { 50 };
    let events = Events::new(batch, "cursor = { column = \"seq\", lookback = 1000 }");
    events.add(1, total);
    let share = (total / batch / (kills + 1)).max(1);
    for kill in 0..kills {
        events.sim.post("reset-requests", "");
        let running = events.workspace.start(&["sync", "tested"]);
        events.sim.get(&format!("wait?requests={}", share.saturating_sub(kill % 3).max(1)));
        let killed = running.kill();
        let [distinct, ..] = events.log();
        println!("kill {}: {distinct} of {total} events there, exit {:?}", kill + 1, killed.code);
    }
    let run = events.workspace.syncline(&["sync", "tested", "--output", "json"]).expect(0);
    println!("the rest: {:?} of {COUNTS:?}", counts(&run));
    assert_eq!(events.log(), [total, total, 0]);
    // Another run sends nothing, forgets what lies behind the lookback, and the one after has little to read.
    assert_eq!(events.sync(0)[3], 0);
    let again = events.sync(0);
    assert_eq!(again[..4], [1_001.min(total), 1_001.min(total), 0, 0]);
    let status = events.workspace.syncline(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(status["status"][0]["entries"].as_u64(), Some(1_001.min(total)));
}
