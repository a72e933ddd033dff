//! A secret and row values that are easy to find again, a vendor that echoes them wherever it can, a database that does the
//! same, every command and the daemon at the finest log level: nothing of them may stay anywhere.

use std::fs;

use super::world::{Warehouse, World};
use crate::support::{Net, Sim, TOKEN};

const ROWS: u64 = 300;
const SYNC: &str = "people-to-crm";
const BROKEN: &str = "broken-to-crm";
/// Part of every e-mail address, text and number of the model, and of the warehouse's password. Keys are plain numbers:
/// they may be seen.
const VALUES: [&str; 7] =
    ["canarymail", "canaryname", "canarynote", "canaryphone", "77007700770", "canarycast", "canarypassword"];
/// The first number of the model, as databases and encodings store it.
const NUMBER: i64 = 77_007_700_770_001;

#[test]
fn nothing_of_secrets_and_values_stays_anywhere() {
    let world = world();
    let mut net = Net::new(&VALUES, NUMBER);
    world.sim.post("faults", &echoes());
    // Everything that a person does, and every way in which it goes wrong.
    let sync = ["sync", SYNC, "--output", "json"];
    let commands: [(&[&str], i32); 8] = [
        (&["validate"], 0),
        (&["check"], 0),
        (&["plan", SYNC], 4),
        (&["plan", SYNC, "--output", "json"], 4),
        (&sync, 4),
        (&["sync", BROKEN], 1),
        (&["plan", BROKEN], 1),
        (&["status"], 0),
    ];
    for (arguments, code) in commands {
        let finished = world.workspace.syncline(arguments);
        net.finished(&arguments.join(" "), &finished);
        println!("  {arguments:?}: exit code {:?}", finished.code);
        assert_eq!(finished.code, Some(code), "{arguments:?}: {}{}", finished.stdout, finished.stderr);
    }
    let approved = world.workspace.syncline(&["sync", SYNC, "--approve", "--output", "json"]);
    net.finished("sync --approve", &approved);
    let report = super::report::Report::new(&approved.expect(3).json()["syncs"][0]);
    println!("  {report}");
    assert!(report.count("rejected") >= 4 && report.count("invalid") >= 4, "{report}");
    daemon(&world, &mut net);
    masked(&world, &mut net);
    net.folder(&world.workspace.path("data"));
    net.assert_empty();
    world.runs();
}

/// The daemon meets echoes as well: faults before and after, an unknown outcome, a refused credential.
fn daemon(world: &World, net: &mut Net) {
    let daemon = world.daemon();
    net.look("the daemon's command line", &fs::read(format!("/proc/{}/cmdline", daemon.id())).expect("a process"));
    world.sql("update people set name = name || ' again' where id % 3 = 0; delete from people where id % 50 = 7");
    world.sim.post("faults", &format!("[{}]", [echo(500, 1), echo(400, 3), DROPPED.to_owned()].join(",")));
    for arguments in [&["sync", SYNC][..], &["sync", BROKEN], &["sync", SYNC]] {
        net.finished(&arguments.join(" "), &world.workspace.syncline(arguments));
    }
    // While it is open, its write-ahead log is there too.
    net.folder(&world.workspace.path("data"));
    world.sim.post("faults", &format!("[{}]", echo(401, 1)));
    world.sql("update people set name = name || ' once more' where id % 3 = 1");
    net.finished("sync", &world.workspace.syncline(&["sync", SYNC]));
    let ended = daemon.terminate().expect(0);
    assert!(ended.stderr.contains("\"DEBUG\"") && ended.stderr.contains("request.ended"), "{}", ended.stderr);
    net.finished("run", &ended);
}

/// `rejected` tells the vendor's words without the values.
fn masked(world: &World, net: &mut Net) {
    let json = world.workspace.syncline(&["rejected", SYNC, "--output", "json"]).expect(0);
    net.finished("rejected --output json", &json);
    net.finished("rejected", &world.workspace.syncline(&["rejected", SYNC]).expect(0));
    net.finished("runs", &world.workspace.syncline(&["runs", "--output", "json"]).expect(0));
    net.finished("status", &world.workspace.syncline(&["status", "--output", "json"]).expect(0));
    let listed = json.json();
    let words: Vec<_> =
        listed["rejected"].as_array().into_iter().flatten().filter_map(|row| row["message"].as_str()).collect();
    println!("  the vendor's words, masked: {words:#?}");
    assert!(!words.is_empty() && words.iter().any(|words| words.contains("***")), "{words:?}");
}

/// The answer is lost after the request was applied.
const DROPPED: &str = r#"{"match": {"method": "POST", "nth": 5}, "action": "drop_answer"}"#;

/// Refusals of rows and of whole batches, before and after, all with values and the token in them.
fn echoes() -> String {
    let row = r#"{"match": {"property": {"name": "firstname", "equals": "CanaryName 7"}},
        "action": {"reject_row": {"message": "{value} of {key} is not wanted, says CanaryName 7 (CanaryNote 7)"}}}"#;
    let poison =
        r#"{"match": {"property": {"name": "firstname", "equals": "CanaryName 11"}}, "action": "poison_batch"}"#;
    format!("[{row}, {poison}, {}, {}, {DROPPED}]", echo(400, 2), echo(502, 4))
}

/// The `nth` write is answered with this status and an echo of everything.
fn echo(status: u16, nth: u64) -> String {
    format!(
        r#"{{"match": {{"method": "POST", "nth": {nth}}}, "action": {{"status": {{"code": {status}, "headers": {{"x-echo": "{TOKEN}"}},
            "body": {{"status": "error", "category": "VALIDATION_ERROR", "correlationId": "CanaryMail",
                "message": "CanaryName 3, canarymail3@example.com, CanaryNote 3, {NUMBER}, token {TOKEN}",
                "errors": [{{"message": "CanaryPhone 3", "context": {{"propertyValue": ["CanaryNote 3"]}}}}]}}}}}}}}"#
    )
}

fn world() -> World {
    let sim = Sim::start(
        "hubspot",
        &["--property", "note:string", "--property", "amount:number", "--unique", "contacts.phone"],
    );
    let warehouse = Warehouse::postgres();
    let url = warehouse.url().replacen("syncline@", "syncline:CanaryPassword@", 1);
    let mut world = World::new(warehouse, sim, CONFIGURATION);
    world.workspace.variable("WAREHOUSE_URL", &url);
    world.workspace.variable("SYNCLINE__LOG__LEVEL", "trace");
    let first = NUMBER - 1;
    world.sql(&format!(
        "create table people (id bigint, email text, name text, note text, phone text, amount numeric, count text);
         insert into people select i, 'CanaryMail' || i || '@example.com', 'CanaryName ' || i, 'CanaryNote ' || i,
           'CanaryPhone ' || i, {first} + i, i from generate_series(1, {ROWS}) i;
         update people set email = 'CanaryMail without address' where id = 20;
         update people set phone = 'CanaryPhone 21' where id = 22;
         update people set email = 'canarymail30@example.com' where id = 31;
         update people set count = 'CanaryCast' where id in (40, 41);
         update people set note = repeat('CanaryNote long ', 5000) where id = 50;
         insert into people select * from people where id = 60"
    ));
    world
}

const CONFIGURATION: &str = r#"
[models.people]
source = "warehouse"
primary_key = "id"
table = "people"
[models.broken]
source = "warehouse"
primary_key = "id"
sql = "select id, email, cast(name as integer) as name from people"
[destinations.crm]
type = "hubspot"
token = { env = "CRM_TOKEN" }
base_url = "URL"
allow_private = ["127.0.0.1/32"]
limits = { requests = 100, per = "10s" }
[syncs.people-to-crm]
model = "people"
destination = "crm"
object = "contacts"
match = "email"
mode = "mirror"
late_window = "60s"
guard = { max_invalid = "10%" }
[syncs.people-to-crm.fields]
email = "email"
firstname = "name"
note = "note"
phone = "phone"
amount = "amount"
hs_language = { column = "count", as = "integer" }
[syncs.broken-to-crm]
model = "broken"
destination = "crm"
object = "contacts"
match = "email"
first_run = "backfill"
[syncs.broken-to-crm.fields]
email = "email"
lastname = "name"
"#;
