//! A vendor's window is used up and never passed: by one sync, by two of one account, and over a kill.

use std::time::Duration;

use super::world::{Warehouse, World, number, wait};
use crate::support::Sim;

/// From windows of this length on, the slack of a window is small against it and the utilisation is asserted in full.
const LONG_WINDOW: Duration = Duration::from_secs(10);

/// The simulator's window, and rows for a backlog: one row a request.
#[derive(Clone)]
struct Backlog {
    quota: String,
    limit: u64,
    per: Duration,
    rows: u64,
}

impl Backlog {
    /// Rows that take `SYNCLINE_BACKLOG` seconds at least: whole windows, then one more burst.
    fn new() -> Self {
        let quota = std::env::var("SYNCLINE_QUOTA").unwrap_or_else(|_| "40/5s".to_owned());
        let (limit, seconds) = quota.split_once('/').expect("a quota such as 100/10s");
        let limit: u64 = limit.parse().expect("requests");
        let per: u64 = seconds.trim_end_matches('s').parse().expect("seconds");
        let windows = number("SYNCLINE_BACKLOG", 10) / per;
        Self { limit, per: Duration::from_secs(per), rows: limit * (windows + 1), quota }
    }

    /// The least time between the first and the last of so many requests.
    fn least(&self, requests: u64) -> Duration {
        self.per * u32::try_from((requests - 1) / self.limit).expect("a small number")
    }

    /// Demands that no window was passed, and prints and demands the share of the allowed requests that was used.
    #[track_caller]
    fn assert_used(&self, world: &World, requests: u64) {
        world.assert_polite(self.limit);
        let micros = world.judged("/requests/last_arrival_us") - world.judged("/requests/first_arrival_us");
        let (least, took) = (self.least(requests), Duration::from_micros(micros));
        let share = least.as_secs_f64() / took.as_secs_f64();
        println!("  {requests} requests at {} took {took:.2?}, at least {least:?}: {:.2} %", self.quota, share * 100.0);
        let wanted = if self.per >= LONG_WINDOW { 0.97 } else { 0.80 };
        assert!(share >= wanted, "{share}");
    }
}

#[test]
fn one_sync_uses_the_window_and_never_passes_it() {
    let backlog = Backlog::new();
    let world = world(&backlog, 1);
    let sent = world.sync("rows-1", 0);
    assert_eq!(sent.counts(["added", "delivered"]), [backlog.rows; 2]);
    assert_eq!(world.sim.requests(), backlog.rows);
    backlog.assert_used(&world, backlog.rows);
}

#[test]
fn two_syncs_of_one_account_use_one_window_together() {
    let mut backlog = Backlog::new();
    backlog.rows /= 2;
    let world = world(&backlog, 2);
    let daemon = world.daemon();
    world.wait_for_requests(2 * backlog.rows);
    for sync in ["rows-1", "rows-2"] {
        assert_eq!(world.sync(sync, 0).count("unchanged"), backlog.rows);
    }
    daemon.terminate().expect(0);
    assert_eq!(world.sim.requests(), 2 * backlog.rows);
    backlog.assert_used(&world, 2 * backlog.rows);
    assert!(world.runs().iter().all(|run| run.status() == "ok"));
}

#[test]
fn a_restart_in_the_middle_makes_no_burst() {
    let backlog = Backlog::new();
    let world = world(&backlog, 1);
    let killed = world.workspace.start(&["sync", "rows-1"]);
    // Right after a window has been used up at once, when a process without memory would send the same again.
    world.wait_for_requests(backlog.limit * (backlog.rows / backlog.limit / 2));
    killed.kill();
    let rest = world.sync("rows-1", 0);
    let requests = world.sim.requests();
    println!("  killed after {} of {} rows", backlog.rows - rest.count("delivered"), backlog.rows);
    assert!((1..=backlog.rows).contains(&rest.count("delivered")));
    assert_eq!(world.live("records"), backlog.rows);
    world.assert_polite(backlog.limit);
    let again = requests - backlog.rows;
    println!("  {again} rows were sent twice");
    assert!(again <= 8, "at most the batches in flight and those written ahead go again");
    assert_eq!(world.judged("/writes/different"), backlog.rows);
}

/// A restart during a long run of small windows, again and again.
#[test]
fn many_restarts_make_no_burst() {
    let backlog = Backlog { quota: "20/3s".to_owned(), limit: 20, per: Duration::from_secs(3), rows: 80 };
    let world = world(&backlog, 1);
    for kill in 1..=4 {
        let killed = world.workspace.start(&["sync", "rows-1"]);
        world.wait_for_requests(kill * 15);
        wait(async { tokio::time::sleep(Duration::from_millis(30 * kill)).await });
        killed.kill();
    }
    world.sync("rows-1", 0);
    assert_eq!(world.live("records"), backlog.rows);
    world.assert_polite(backlog.limit);
}

/// `syncs` syncs to one account under two names, each with all rows of the backlog.
fn world(backlog: &Backlog, syncs: u32) -> World {
    let sim = Sim::start("http", &["--limit", &backlog.quota, "--history", "0"]);
    let (limit, per) = (backlog.limit, backlog.per.as_secs());
    let mut body = String::new();
    for sync in 1..=syncs {
        body += &format!(
            r#"
[models.rows-{sync}]
source = "warehouse"
primary_key = "id"
sql = "select id, 'key-{sync}-' || id as name, value from rows"
[destinations.api-{sync}]
type = "http"
base_url = "URL"
token = {{ env = "CRM_TOKEN" }}
allow_private = ["127.0.0.1/32"]
path = "/v1/{{object}}"
batch_size = 1
limits = {{ requests = {limit}, per = "{per}s" }}
[syncs.rows-{sync}]
model = "rows-{sync}"
destination = "api-{sync}"
object = "rows"
match = "id"
first_run = "backfill"
schedule = {{ every = "2s" }}
[syncs.rows-{sync}.fields]
id = "name"
value = "value"
"#
        );
    }
    let world = World::new(Warehouse::Sqlite, sim, &body);
    world.sql(&format!(
        "create table rows (id integer primary key, value integer);
         insert into rows with recursive g(i) as (select 1 union all select i + 1 from g where i < {})
         select i, i * 7 from g",
        backlog.rows
    ));
    world
}
