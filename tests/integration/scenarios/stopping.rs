//! The daemon is asked to stop in the middle of a delivery.

use std::time::Duration;

use super::world::{Warehouse, World, now};
use crate::support::{Sim, http};

const ROWS: u64 = 400;
const SYNC: &str = "rows-to-api";
/// Batches whose intents are written before their turn comes: as many as there are workers.
const WRITTEN_AHEAD: u64 = 4;
/// How long a stop may take.
const GRACE: Duration = Duration::from_secs(20);

#[test]
fn a_stop_in_the_middle_settles_what_is_in_flight_and_the_next_run_goes_on() {
    let (world, address) = world("50ms");
    let daemon = world.daemon();
    world.wait_for_requests(60);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http(&address, "GET", path, "").status, 200, "{path}");
    }
    let asked = now();
    daemon.terminate().expect(0);
    let took = asked.elapsed();
    let (sent, status) = (world.sim.requests(), world.status(SYNC));
    println!("  stopped in {took:.2?} after {sent} of {ROWS} requests; dirty: {}", status["dirty"]);
    assert!(took < GRACE && sent < ROWS);
    // What was in flight is settled; only what was written ahead and never sent is dirty.
    assert_eq!(status["entries"], sent);
    assert!(status["dirty"].as_u64().is_some_and(|dirty| dirty <= WRITTEN_AHEAD), "{status}");
    let interrupted = &world.runs()[0];
    assert_eq!(interrupted.status(), "interrupted");
    assert_eq!(interrupted.counts(["delivered", "left_over"]), [sent, ROWS - sent]);
    converges(&world, ROWS - sent);
    assert_eq!(world.judged("/writes/identical"), 0, "nothing is sent twice after a clean stop");
}

#[test]
fn a_stop_does_not_wait_for_a_vendor_that_hangs() {
    let (world, address) = world("0");
    world.sim.post("faults", r#"[{"match": {"after": 20, "times": 2}, "action": "hang"}]"#);
    let daemon = world.daemon();
    world.wait_for_requests(ROWS);
    let asked = now();
    daemon.signal("TERM");
    daemon.wait_for_log("scheduler.stopping");
    assert_eq!(http(&address, "GET", "/healthz", "").status, 200, "alive while it stops");
    assert_eq!(http(&address, "GET", "/readyz", "").status, 503, "not ready while it stops");
    daemon.wait().expect(0);
    let (took, status) = (asked.elapsed(), world.status(SYNC));
    println!("  stopped in {took:.2?} beside 2 hanging requests; dirty: {}", status["dirty"]);
    assert!(took < GRACE);
    assert_eq!((&status["dirty"], &status["entries"]), (&2.into(), &(ROWS - 2).into()));
    let interrupted = &world.runs()[0];
    assert_eq!((interrupted.status(), interrupted.count("unknown")), ("interrupted", 2));
    converges(&world, 2);
}

#[test]
fn a_second_signal_ends_it_at_once_and_nothing_is_lost() {
    let (world, _) = world("0");
    world.sim.post("faults", r#"[{"match": {"after": 20, "times": 2}, "action": "hang"}]"#);
    let daemon = world.daemon();
    world.wait_for_requests(100);
    daemon.signal("TERM");
    daemon.wait_for_log("scheduler.stopping");
    let asked = now();
    let ended = daemon.terminate();
    let took = asked.elapsed();
    println!("  the second signal took {took:.2?}, exit code {:?}", ended.code);
    assert_eq!(ended.code, Some(130));
    assert!(took < Duration::from_secs(5));
    world.sync(SYNC, 0);
    complete(&world);
}

#[track_caller]
fn converges(world: &World, left: u64) {
    let rest = world.sync(SYNC, 0);
    assert_eq!(rest.counts(["delivered", "unchanged"]), [left, ROWS - left]);
    complete(world);
}

/// The destination holds the model, and nobody has anything left to do.
#[track_caller]
fn complete(world: &World) {
    let mut values: Vec<_> = world.records("records").iter().map(|row| row["properties"]["value"].clone()).collect();
    values.sort_by_key(serde_json::Value::as_u64);
    assert_eq!(values, (1..=ROWS).map(|id| serde_json::Value::from(id * 7)).collect::<Vec<_>>());
    let (idle, requests) = world.sync_counted(SYNC, 0);
    assert_eq!((idle.count("unchanged"), requests), (ROWS, 0));
    world.runs();
}

/// One row a request, answered after `latency`; also the address of the daemon's health server.
fn world(latency: &str) -> (World, String) {
    let sim = Sim::start("http", &["--latency", latency]);
    let body = format!(
        r#"
[models.rows]
source = "warehouse"
primary_key = "id"
table = "rows"
[destinations.api]
type = "http"
base_url = "URL"
token = {{ env = "CRM_TOKEN" }}
allow_private = ["127.0.0.1/32"]
path = "/v1/{{object}}"
batch_size = 1
[syncs.{SYNC}]
model = "rows"
destination = "api"
object = "rows"
match = "id"
first_run = "backfill"
schedule = {{ every = "1s" }}
[syncs.{SYNC}.fields]
id = "id"
value = "value"
"#
    );
    let mut world = World::new(Warehouse::Sqlite, sim, &body);
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let address = format!("127.0.0.1:{port}");
    world.workspace.variable("SYNCLINE__HTTP__LISTEN", &address);
    world.sql(&format!(
        "create table rows (id integer primary key, value integer);
         insert into rows with recursive g(i) as (select 1 union all select i + 1 from g where i < {ROWS})
         select i, i * 7 from g"
    ));
    (world, address)
}
