//! How soon a daemon with a large state begins its first run, also after it was killed.

use std::time::Duration;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, Warehouse},
    daemon::Daemon,
    table::{Line, Table},
    wait,
};

pub(crate) const GROUP: Group =
    Group { name: "start", about: "start-up with a large state, also after kill -9", run: start };

/// Times the rows of the other groups.
const SCALE: u64 = 10;
/// Longest wait for something that should take seconds, or for half of a run.
const PATIENCE: Duration = Duration::from_secs(600);

fn start(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows * SCALE;
    let bed = Bed::new(Warehouse::postgres(), CONFIGURATION);
    eprintln!("  making {rows} rows");
    bed.sql(&format!(
        "create table big (id bigint primary key, value bigint);
         insert into big select i, i from generate_series(1, {rows}::bigint) g(i); vacuum analyze big"
    ));
    let first = bed.backfill("big", rows);
    eprintln!("  first run: {}", first.durations());
    table.add(first_claimed(&bed, &format!("first run begun, state of {rows} entries")));
    bed.sql("update big set value = value + 1; vacuum big");
    bed.sink.reset();
    let killed = Daemon::start(&bed.workspace);
    wait(until_half_sent(&bed, rows));
    killed.process.kill();
    let sent = bed.sink.count("rows");
    table.add(first_claimed(&bed, &format!("the same after kill -9, {sent} of {rows} rows sent")));
}

fn first_claimed(bed: &Bed, what: &str) -> Line {
    let daemon = Daemon::start(&bed.workspace);
    let took = daemon.wait_for("run.started", PATIENCE);
    daemon.process.terminate().expect(0);
    Line::at_most(what, took.as_secs_f64(), 2.0, "s")
}

async fn until_half_sent(bed: &Bed, rows: u64) {
    let began = tokio::time::Instant::now();
    while bed.sink.count("rows") < rows / 2 {
        assert!(began.elapsed() < PATIENCE, "half of the rows never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A narrow table to a JSON endpoint that takes many rows at once, because here nobody waits for the sending.
const CONFIGURATION: &str = r#"
[models.big]
source = "warehouse"
primary_key = "id"
table = "big"
[destinations.api]
type = "http"
base_url = "URL"
token = { env = "CRM_TOKEN" }
allow_private = ["127.0.0.1/32"]
path = "/rows"
batch_size = 1000
limits = { requests = 1_000_000, per = "10s" }
[syncs.big]
model = "big"
destination = "api"
object = "rows"
match = "id"
schedule = { every = "1s" }
[syncs.big.fields]
id = "id"
value = "value"
"#;
