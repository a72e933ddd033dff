//! A transformation goes wrong upstream while the daemon runs, as dbt models do: the view is there, its rows are not what
//! they were. Rows go on changing while the operator looks.

use super::{
    report::Report,
    world::{Warehouse, World},
};
use crate::support::{Running, Sim};

const ROWS: u64 = 3_000;
/// One percent of the rows changes at each step.
const PERCENT: u64 = ROWS / 100;
const SYNC: &str = "customers-to-crm";

/// The model as it should be.
const GOOD: &str = "select id, email, name, plan from raw";

/// A running daemon, and a first run of `ROWS` rows behind it.
struct Scene {
    world: World,
    daemon: Running,
}

impl Scene {
    fn new(schedule: &str) -> Self {
        let sim = Sim::start("hubspot", &["--property", "plan:string", "--limit", "1000/10s"]);
        let world = World::new(Warehouse::server(), sim, &configuration(schedule));
        world.sql(&format!(
            "create table raw (id bigint primary key, email text, name text, plan text, step integer default 0);
             insert into raw (id, email, name, plan)
               select i, 'p' || i || '@example.com', 'Person ' || i, 'free' from {};
             create view customers as {GOOD}",
            world.series(1, ROWS)
        ));
        let daemon = world.daemon();
        let scene = Self { world, daemon };
        scene.sync(0);
        assert_eq!(scene.world.live("contacts"), ROWS);
        scene
    }

    /// The model is built anew from another query.
    fn build(&self, query: &str) {
        self.world.sql(&format!("drop view customers; create view customers as {query}"));
    }

    /// One percent of the rows, those of this remainder, gets a new plan.
    fn drift(&self, remainder: u32, plan: &str) {
        self.world.sql(&format!("update raw set plan = '{plan}' where id % 100 = {remainder}"));
    }

    #[track_caller]
    fn sync(&self, code: i32) -> Report {
        self.world.sync(SYNC, code)
    }

    /// Runs the sync; it must be held by exactly these rules.
    #[track_caller]
    fn trips(&self, rules: &[&str]) -> Report {
        let held = self.sync(4);
        assert_eq!((held.status(), held.trips()), ("guarded", rules.to_vec()));
        held
    }

    /// Live records, and records with this plan.
    fn crm(&self, plan: &str) -> (u64, u64) {
        let records = self.world.records("contacts");
        let live: Vec<_> = records.iter().filter(|record| record["archived"] == false).collect();
        let planned = live.iter().filter(|record| record["properties"]["plan"] == plan).count();
        (live.len() as u64, planned as u64)
    }

    /// The model is repaired: the sync goes on without anybody's approval, and the destination then equals the model.
    #[track_caller]
    fn repaired(self, changed: u64) {
        self.build(GOOD);
        let run = self.sync(0);
        assert_eq!(run.counts(["added", "changed", "removed"]), [0, changed, 0], "only what has changed since");
        let line = self.daemon.wait_for_log("\"guard.cleared\"");
        assert!(line.contains(&format!("\"run\":\"{}\"", run.run())), "{line}");
        self.ends(ROWS);
    }

    #[track_caller]
    fn approve(&self, run: &Report, code: i32) {
        self.world.workspace.syncline(&["approve", &run.run()]).expect(code);
    }

    /// Nothing is left to do.
    #[track_caller]
    fn ends(self, rows: u64) {
        let (idle, requests) = self.world.sync_counted(SYNC, 0);
        assert_eq!((idle.count("unchanged"), requests), (rows, 0));
        assert_eq!(self.world.live("contacts"), rows);
        self.world.runs();
        self.daemon.terminate().expect(0);
    }
}

#[test]
fn no_rows_at_all() {
    let scene = Scene::new("\"manual\"");
    scene.drift(1, "early");
    scene.build(&format!("{GOOD} where false"));
    scene.world.sim.post("reset-requests", "");
    let held = scene.trips(&["empty", "max_removed"]);
    assert_eq!(held.counts(["read", "removed", "guarded", "delivered"]), [0, ROWS, ROWS, 0]);
    scene.drift(2, "late");
    scene.trips(&["empty", "max_removed"]);
    assert_eq!(scene.world.sim.requests(), 0, "nothing is sent, nothing is asked");
    scene.repaired(2 * PERCENT);
}

#[test]
fn no_rows_at_all_as_meant() {
    let scene = Scene::new("\"manual\"");
    scene.build(&format!("{GOOD} where false"));
    let held = scene.trips(&["empty", "max_removed"]);
    // By the time it is approved one percent has come back, changed.
    scene.drift(2, "late");
    scene.build(&format!("{GOOD} where id % 100 = 2"));
    scene.approve(&held, 0);
    let run = scene.sync(0);
    assert_eq!(run.counts(["removed", "changed", "delivered"]), [ROWS - PERCENT, PERCENT, ROWS]);
    assert_eq!(scene.crm("late"), (PERCENT, PERCENT));
    scene.ends(PERCENT);
}

#[test]
fn sixty_percent_fewer_rows() {
    let scene = Scene::new("\"manual\"");
    // The removals are held; what has changed among the rows that are left goes.
    scene.drift(1, "early");
    scene.build(&format!("{GOOD} where id % 5 < 2"));
    let held = scene.trips(&["max_removed"]);
    assert_eq!(
        held.counts(["removed", "guarded", "changed", "delivered"]),
        [ROWS * 3 / 5, ROWS * 3 / 5, PERCENT, PERCENT]
    );
    assert_eq!(scene.crm("early"), (ROWS, PERCENT));
    scene.drift(3, "late");
    let again = scene.trips(&["max_removed"]);
    assert_eq!(again.counts(["guarded", "delivered"]), [ROWS * 3 / 5, 0]);
    assert_eq!(scene.world.judged("/objects/contacts/archived"), 0);
    scene.repaired(PERCENT);
}

#[test]
fn sixty_percent_fewer_rows_as_meant() {
    let scene = Scene::new("\"manual\"");
    scene.build(&format!("{GOOD} where id % 5 < 2"));
    let held = scene.trips(&["max_removed"]);
    // Meanwhile one percent has come back, one percent has changed, and another fifth has left, which nobody approved.
    scene.drift(1, "late");
    scene.build(&format!("{GOOD} where id % 5 = 1 or id % 100 = 2"));
    scene.approve(&held, 0);
    let run = scene.trips(&["max_removed"]);
    let (approved, fresh) = (ROWS * 3 / 5 - PERCENT, ROWS / 5);
    assert_eq!(run.counts(["removed", "guarded", "changed"]), [approved + fresh, fresh, PERCENT]);
    assert_eq!(run.count("delivered"), approved + PERCENT, "exactly the approved removals, and what is not held");
    assert_eq!(scene.world.judged("/objects/contacts/archived"), approved);
    assert_eq!(scene.crm("late"), (ROWS - approved, PERCENT));
    // The second set is approved as well.
    scene.approve(&run, 0);
    assert_eq!(scene.sync(0).counts(["removed", "delivered"]), [fresh, fresh]);
    scene.ends(ROWS / 5 + PERCENT);
}

#[test]
fn every_value_changed() {
    let scene = Scene::new("\"manual\"");
    // Held are the changes; two percent leave and come at the same time, and go.
    scene.world.sql(&format!(
        "delete from raw where id % 100 in (10, 11);
         insert into raw (id, email, name, plan)
           select i, 'new' || i || '@example.com', 'New ' || i, 'free' from {}",
        scene.world.series(ROWS + 101, ROWS + 160)
    ));
    scene.build("select id, email, upper(name) as name, plan from raw");
    let held = scene.trips(&["max_changed"]);
    let stayed = ROWS - 2 * PERCENT;
    assert_eq!(held.counts(["added", "changed", "removed"]), [2 * PERCENT, stayed, 2 * PERCENT]);
    assert_eq!(held.counts(["guarded", "delivered"]), [stayed, 4 * PERCENT]);
    let records = scene.world.records("contacts");
    let old = records
        .iter()
        .filter(|record| record["properties"]["firstname"].as_str().is_some_and(|n| n.starts_with("Person")));
    assert_eq!(old.count() as u64, ROWS, "no held change was sent");
    scene.drift(3, "late");
    scene.trips(&["max_changed"]);
    scene.repaired_with_new_names(PERCENT);
}

impl Scene {
    /// As [`Scene::repaired`], where the rows that came during the accident were sent in its spelling.
    #[track_caller]
    fn repaired_with_new_names(self, changed: u64) {
        self.repaired(changed + 2 * PERCENT);
    }
}

#[test]
fn every_value_changed_as_meant() {
    let scene = Scene::new("\"manual\"");
    scene.build("select id, email, upper(name) as name, plan from raw");
    let held = scene.trips(&["max_changed"]);
    assert_eq!(held.counts(["guarded", "delivered"]), [ROWS, 0]);
    scene.drift(2, "late");
    scene.approve(&held, 0);
    let run = scene.sync(0);
    assert_eq!(run.counts(["changed", "delivered"]), [ROWS, ROWS]);
    assert_eq!(scene.crm("late"), (ROWS, PERCENT), "with the values of now");
    scene.ends(ROWS);
}

#[test]
fn five_percent_of_the_keys_null() {
    let scene = Scene::new("\"manual\"");
    scene.drift(1, "early");
    scene.build("select case when id % 20 = 0 then null else id end as id, email, name, plan from raw");
    scene.world.sim.post("reset-requests", "");
    let held = scene.trips(&["max_invalid"]);
    let nulls = ROWS / 20;
    assert_eq!(held.counts(["invalid", "changed", "guarded", "delivered"]), [nulls, PERCENT, PERCENT, 0]);
    assert_eq!(held.counts(["removed", "waiting_removals"]), [0, nulls], "absence proves nothing");
    scene.drift(2, "late");
    let again = scene.trips(&["max_invalid"]);
    assert_eq!(again.counts(["guarded", "delivered"]), [2 * PERCENT, 0]);
    assert_eq!(scene.world.sim.requests(), 0, "nothing is sent, nothing is asked");
    scene.repaired(2 * PERCENT);
}

#[test]
fn five_percent_of_the_keys_null_as_meant() {
    let scene = Scene::new("\"manual\"");
    scene.build("select case when id % 20 = 0 then null else id end as id, email, name, plan from raw");
    let held = scene.trips(&["max_invalid"]);
    scene.drift(2, "late");
    scene.approve(&held, 0);
    // The invalid rows are no reason to hold the others any more; removals wait all the same.
    let run = scene.sync(4);
    assert_eq!(run.counts(["changed", "delivered", "guarded"]), [PERCENT, PERCENT, 0]);
    assert_eq!(run.counts(["removed", "waiting_removals"]), [0, ROWS / 20]);
    assert_eq!(scene.crm("late"), (ROWS, PERCENT));
    scene.repaired(0);
}

/// Runs that no approval can help: refused, and nothing is sent.
fn refused(query: &str) {
    let scene = Scene::new("\"manual\"");
    scene.drift(1, "early");
    scene.build(query);
    scene.world.sim.post("reset-requests", "");
    let run = scene.sync(1);
    assert_eq!(run.status(), "refused");
    scene.daemon.wait_for_log("\"run.refused\"");
    scene.drift(2, "late");
    scene.approve(&run, 1);
    assert_eq!(scene.sync(1).status(), "refused");
    assert_eq!(scene.world.sim.requests(), 0);
    scene.build(GOOD);
    assert_eq!(scene.sync(0).counts(["changed", "delivered"]), [2 * PERCENT; 2]);
    scene.ends(ROWS);
}

#[test]
fn the_keys_type_changed() {
    refused("select concat('', id) as id, email, name, plan from raw");
}

#[test]
fn a_mapped_column_gone() {
    refused("select id, email, name from raw");
}

/// The same on its schedule alone: nobody asks for a run.
#[test]
fn on_schedule_a_trip_is_told_and_cleared_by_itself() {
    let scene = Scene::new("{ every = \"1s\" }");
    scene.build(&format!("{GOOD} where id % 5 < 2"));
    scene.daemon.wait_for_log("\"guard.tripped\"");
    scene.drift(4, "late");
    scene.build(GOOD);
    scene.daemon.wait_for_log("\"guard.cleared\"");
    assert_eq!(scene.world.judged("/objects/contacts/archived"), 0);
    scene.sync(0);
    assert_eq!(scene.crm("late"), (ROWS, PERCENT));
    scene.ends(ROWS);
}

fn configuration(schedule: &str) -> String {
    format!(
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
limits = {{ requests = 1000, per = "10s" }}
[syncs.{SYNC}]
model = "customers"
destination = "crm"
object = "contacts"
match = "email"
mode = "mirror"
first_run = "backfill"
schedule = {schedule}
[syncs.{SYNC}.fields]
email = "email"
firstname = "name"
plan = "plan"
"#
    )
}
