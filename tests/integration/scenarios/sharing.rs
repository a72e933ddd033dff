//! One account, one budget: however many syncs and destination names share it.

use std::time::Duration;

use super::world::{Store, Warehouse, World};
use crate::support::Sim;

const ROWS: u64 = 1_500;
/// Requests that the simulator allows in five seconds.
const LIMIT: u64 = 15;

#[test]
fn two_syncs_and_two_names_of_one_account_share_one_budget() {
    let world = world();
    let daemon = world.daemon();
    // Identity and batches of both, as fast as the one budget allows.
    world.wait_for_requests(2 * ROWS / 100);
    let second = world.workspace.syncline(&["run"]).expect(6);
    assert!(second.stderr.contains("hint: "), "{}", second.stderr);
    for sync in ["people-to-contacts", "people-to-companies"] {
        let idle = world.sync(sync, 0);
        assert_eq!(idle.counts(["unchanged", "delivered"]), [ROWS, 0]);
    }
    let ended = daemon.terminate().expect(0);
    let finished = ended.stderr.lines().filter(|line| line.contains("\"run.finished\"")).count();
    let spent = world.judged("/requests/last_arrival_us") - world.judged("/requests/first_arrival_us");
    println!("  {} requests in {} ms, {finished} runs", world.sim.requests(), spent / 1000);
    world.assert_polite(LIMIT);
    assert_eq!((world.live("contacts"), world.live("companies")), (ROWS, ROWS));
    assert_eq!(world.judged("/writes/identical"), 0, "something was sent twice");
    assert!(world.runs().iter().all(|run| run.status() == "ok"));
}

#[test]
fn sync_beside_run_is_coalesced_and_never_overlaps_with_the_schedule() {
    let world = world();
    let daemon = world.daemon();
    world.wait_for_requests(3);
    // Asked for while the first run is under way: one run after it answers all three.
    let asked: Vec<_> = (0..3).map(|_| world.workspace.start(&["sync", "people-to-contacts"])).collect();
    asked.into_iter().for_each(|asked| drop(asked.wait().expect(0)));
    daemon.terminate().expect(0);
    world.assert_polite(LIMIT);
    let runs = world.runs();
    println!("  {} runs", runs.len());
    assert_eq!(world.live("contacts"), ROWS);
}

#[test]
fn two_daemons_on_one_state_share_one_budget() {
    let world = world_on(Store::postgres(), "[scheduler]\nmax_runs = 1\n");
    let second = world.another_host();
    let one = world.daemon();
    let two = second.start(&["run"]);
    two.wait_for_log("scheduler.started");
    // Each runs one of the two syncs; the first window may be used up before the second daemon is there. Then one is
    // killed, and the other takes over what it left.
    world.wait_for_requests(ROWS / 100 + 6);
    let (contacts, companies) = (world.live("contacts"), world.live("companies"));
    assert!(contacts > 0 && companies > 0, "{contacts} and {companies}: one of them did nothing");
    one.kill();
    for sync in ["people-to-contacts", "people-to-companies"] {
        let ended = |line: &str| line.contains("run.finished") && line.contains(sync) && line.contains("\"ok\"");
        two.find_log(Duration::from_secs(120), ended).expect("the other goes on");
    }
    two.terminate().expect(0);
    println!("  killed at {contacts} contacts and {companies} companies; {} requests", world.sim.requests());
    world.assert_polite(LIMIT);
    assert_eq!((world.live("contacts"), world.live("companies")), (ROWS, ROWS));
}

fn world() -> World {
    world_on(Store::asked_for(), "")
}

fn world_on(store: Store, settings: &str) -> World {
    let limit = format!("{LIMIT}/5s");
    let sim = Sim::start("hubspot", &["--property", "companies.ref:string:unique", "--limit", &limit]);
    let mut body = format!(
        "{settings}
[models.people]
source = \"warehouse\"
primary_key = \"id\"
table = \"people\"
"
    );
    for (name, object, key, field) in
        [("crm", "contacts", "email", "firstname"), ("crm-again", "companies", "ref", "name")]
    {
        body += &format!(
            r#"
[destinations.{name}]
type = "hubspot"
token = {{ env = "CRM_TOKEN" }}
base_url = "URL"
allow_private = ["127.0.0.1/32"]
limits = {{ requests = {LIMIT}, per = "5s" }}
[syncs.people-to-{object}]
model = "people"
destination = "{name}"
object = "{object}"
match = "{key}"
mode = "mirror"
first_run = "backfill"
schedule = {{ every = "1s" }}
[syncs.people-to-{object}.fields]
{key} = "email"
{field} = "name"
"#
        );
    }
    let world = World::on(Warehouse::Sqlite, store, sim, &body);
    world.sql(&format!(
        "create table people (id integer primary key, email text, name text);
         insert into people with recursive g(i) as (select 1 union all select i + 1 from g where i < {ROWS})
         select i, 'p' || i || '@example.com', 'Person ' || i from g"
    ));
    world
}
