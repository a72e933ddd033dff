//! A run without changes takes the same memory whatever the size of the table.

use super::{
    report::Report,
    world::{Warehouse, World, number},
};
use crate::support::Sim;

/// Rows when the environment says nothing.
const ROWS: u64 = 3_000;
/// From so many rows on the peak is asserted.
const ASSERTED_FROM: u64 = 1_000_000;
/// 64 MiB in KiB.
const MOST_KIB: u64 = 64 * 1024;
const SYNC: &str = "people-to-crm";

#[test]
fn an_idle_run_over_postgres_stays_small() {
    idle_after_backfill(
        Warehouse::postgres(),
        "insert into people select i, 'p' || i || '@example.com', 'Person ' || i, i % 1000 from generate_series(1, ROWS) g(i)",
    );
}

#[test]
fn an_idle_run_over_sqlite_stays_small() {
    idle_after_backfill(
        Warehouse::Sqlite,
        "insert into people with recursive g(i) as (select 1 union all select i + 1 from g where i < ROWS)
         select i, 'p' || i || '@example.com', 'Person ' || i, i % 1000 from g",
    );
}

fn idle_after_backfill(warehouse: Warehouse, fill: &str) {
    let rows = number("SYNCLINE_ROWS", ROWS);
    let world = world(warehouse);
    world.sql("create table people (id bigint primary key, email text, name text, points integer)");
    world.sql(&fill.replace("ROWS", &rows.to_string()));
    println!("{rows} rows x 4 columns");
    let first = world.sync(SYNC, 0);
    assert_eq!(first.counts(["read", "delivered"]), [rows; 2]);
    world.sim.post("reset-requests", "");
    idle_run(&world, SYNC, rows);
    assert_eq!(world.sim.requests(), 0);
}

/// Has a fresh daemon make a run without changes, prints the peak of its resident memory, and asserts it for large tables.
/// The daemon stays after the run, so its peak is read exactly.
pub(super) fn idle_run(world: &World, sync: &str, rows: u64) -> Report {
    let daemon = world.daemon();
    let idle = world.sync(sync, 0);
    assert_eq!(idle.counts(["read", "unchanged"]), [rows; 2]);
    let peak = peak_kib(daemon.id());
    daemon.terminate().expect(0);
    println!("  peak of a run without changes over {rows} rows: {:.1} MiB", peak as f64 / 1024.0);
    assert!(rows < ASSERTED_FROM || peak < MOST_KIB, "{peak} KiB");
    idle
}

/// The peak of a process's resident memory, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

fn world(warehouse: Warehouse) -> World {
    let sim = Sim::start("hubspot", &["--accept-any-property", "--history", "0", "--limit", "100000/10s"]);
    let body = format!(
        r#"
[models.people]
source = "warehouse"
primary_key = "id"
table = "people"
[destinations.crm]
type = "hubspot"
token = {{ env = "CRM_TOKEN" }}
base_url = "URL"
allow_private = ["127.0.0.1/32"]
limits = {{ requests = 100_000, per = "10s" }}
[syncs.{SYNC}]
model = "people"
destination = "crm"
object = "contacts"
match = "email"
mode = "mirror"
first_run = "backfill"
[syncs.{SYNC}.fields]
email = "email"
firstname = "name"
points = "points"
"#
    );
    World::new(warehouse, sim, &body)
}
