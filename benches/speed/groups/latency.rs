//! A vendor that takes 50 ms for an answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, DESTINATION, Warehouse, mirror},
    sample::Spread,
    support::Sim,
    table::{Line, Table},
};

pub(crate) const GROUP: Group =
    Group { name: "latency", about: "50 ms latency, 8 in flight, 400 requests", run: latency };

const SYNC: &str = "people-to-crm";
const REQUESTS: u64 = 400;
/// Rows of a request.
const BATCH: u64 = 100;
const IN_FLIGHT: f64 = 8.0;
const LATENCY: Duration = Duration::from_millis(50);

fn latency(arguments: &Arguments, table: &mut Table) {
    let bed = Bed::new(Warehouse::Sqlite, "");
    bed.sql(&people(REQUESTS * BATCH));
    let rates: Vec<f64> = (0..arguments.rounds).map(|_| rate(&bed)).collect();
    eprintln!(" {rates:.1?} requests/s");
    let (rate, possible) = (Spread::of(rates.iter().copied()), IN_FLIGHT / LATENCY.as_secs_f64());
    let share = 100.0 * rate.median / possible;
    let what = format!("{REQUESTS} requests at 50 ms, 8 in flight: share of {possible:.0} requests/s");
    let line = Line::at_least(what, share, 92.0, "%").peer(format!("ours: {rate:.1} requests/s"));
    table.add(line.with(json!({ "requests_per_s": rates })));
}

/// Requests a second of one first run, from the first arrival of a batch to the last answer.
fn rate(bed: &Bed) -> f64 {
    let sim = Sim::start("hubspot", &["--history", "0", "--limit", "none", "--latency", "50ms"]);
    bed.configure(&format!("{DESTINATION}{}", mirror(SYNC, "people")).replace("URL", &sim.url));
    bed.forget();
    let run = bed.sync(&[SYNC]);
    assert_eq!(run.count("delivered"), REQUESTS * BATCH);
    let requests = sim.get("requests");
    let is_batch = |request: &&Value| request["path"].as_str().is_some_and(|path| path.ends_with("/batch/upsert"));
    let arrivals: Vec<f64> =
        requests.as_array().into_iter().flatten().filter(is_batch).filter_map(|r| r["arrival_us"].as_f64()).collect();
    assert_eq!(arrivals.len() as u64, REQUESTS, "each batch goes once");
    let span = (arrivals[arrivals.len() - 1] - arrivals[0]) / 1e6 + LATENCY.as_secs_f64();
    REQUESTS as f64 / span
}

/// A small table whose columns HubSpot knows (SQLite).
pub(super) fn people(rows: u64) -> String {
    format!(
        "create table people (id integer primary key, email text, firstname text);
         insert into people with recursive g(i) as (select 1 union all select i + 1 from g where i < {rows})
         select i, 'p' || i || '@example.com', 'Person ' || i from g"
    )
}
