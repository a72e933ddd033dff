//! A whole table of 20 mixed columns, mirrored: first, without a change, with 1 % changed, with 0.5 % removed.

use std::collections::BTreeMap;

use super::{
    memory,
    wide::{Dialect, assert_equal, mapping},
    world::{Store, Warehouse, World, number},
};
use crate::support::Sim;

/// Rows when the environment says nothing.
const ROWS: u64 = 3_000;
const SYNC: &str = "customers-to-crm";

#[test]
fn a_postgres_table_is_mirrored() {
    mirror(Warehouse::postgres(), Store::Sqlite, Dialect::Postgres);
}

#[test]
fn an_sqlite_table_is_mirrored() {
    mirror(Warehouse::Sqlite, Store::Sqlite, Dialect::Sqlite);
}

#[test]
fn a_mariadb_table_is_mirrored_from_a_state_on_postgresql() {
    mirror(Warehouse::mariadb(), Store::postgres(), Dialect::MariaDb);
}

fn mirror(warehouse: Warehouse, store: Store, dialect: Dialect) {
    let rows = number("SYNCLINE_ROWS", ROWS);
    let world = world(warehouse, store);
    world.sql(&dialect.create(rows));
    let mut model: BTreeMap<i64, i64> = (1..=rows as i64).map(|id| (id, 0)).collect();
    println!("{rows} rows x 20 columns");

    let (first, requests) = world.sync_counted(SYNC, 0);
    assert_eq!(first.counts(["read", "added", "delivered"]), [rows; 3]);
    println!("  initial: {requests} requests");
    check(&world, &model);

    let (idle, requests) = world.sync_counted(SYNC, 0);
    assert_eq!((idle.count("unchanged"), requests), (rows, 0), "a run without changes makes no request of any kind");

    world.sql(&dialect.advance("id % 100 = 1"));
    let moved = model.iter_mut().filter(|(id, _)| **id % 100 == 1).map(|(_, version)| *version += 1).count() as u64;
    let (changed, requests) = world.sync_counted(SYNC, 0);
    println!("  {moved} changed: {requests} requests");
    assert_eq!(changed.counts(["changed", "delivered", "unchanged"]), [moved, moved, rows - moved]);
    check(&world, &model);

    world.sql("delete from customers where id % 200 = 3");
    model.retain(|id, _| id % 200 != 3);
    let gone = rows - model.len() as u64;
    let (removed, requests) = world.sync_counted(SYNC, 0);
    println!("  {gone} removed: {requests} requests");
    assert_eq!(removed.counts(["removed", "delivered"]), [gone, gone]);
    check(&world, &model);
    assert_eq!(world.judged("/objects/contacts/archived"), gone);

    world.sim.post("reset-requests", "");
    memory::idle_run(&world, SYNC, model.len() as u64);
    assert_eq!(world.sim.requests(), 0);
    assert_eq!(world.runs().len(), 5);
}

fn check(world: &World, model: &BTreeMap<i64, i64>) {
    assert_equal(&world.records("contacts"), model);
    println!("  all {} records equal the model, field by field", model.len());
}

fn world(warehouse: Warehouse, store: Store) -> World {
    let sim = Sim::start("hubspot", &["--accept-any-property", "--history", "0", "--limit", "100000/10s"]);
    let body = format!(
        r#"
[models.customers]
source = "warehouse"
primary_key = "id"
table = "customers"
[destinations.crm]
type = "hubspot"
token = {{ env = "CRM_TOKEN" }}
base_url = "URL"
allow_private = ["127.0.0.1/32"]
limits = {{ requests = 100_000, per = "10s" }}
[syncs.{SYNC}]
model = "customers"
destination = "crm"
object = "contacts"
match = "email"
mode = "mirror"
first_run = "backfill"
[syncs.{SYNC}.fields]
{}"#,
        mapping()
    );
    World::on(warehouse, store, sim, &body)
}
