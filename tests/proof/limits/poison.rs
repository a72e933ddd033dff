//! F18: bad rows that the vendor refuses together with their whole batch stand alone, at a bounded price.

use super::options;
use crate::{
    arguments::Arguments,
    report::Report,
    support::pair::{Options, Pair},
};

const ROWS: u32 = 1_000;
/// Further requests for one bad row: halving a batch of 100 down to it, and the good halves on the way.
const EXTRA: u64 = 21;
/// What the model's rows of a good and of a bad kind hold.
const BAD: &str = "canary-poison";

/// One, ten, and ten neighbours among a thousand.
pub(super) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let mut rng = fastrand::Rng::with_seed(arguments.seed());
    let one = vec![rng.u32(1..=ROWS)];
    let first = rng.u32(1..=ROWS - 10);
    let neighbours: Vec<u32> = (first..first + 10).collect();
    // One in each batch is the most expensive way.
    let spread: Vec<u32> = (0..10).map(|batch| batch * 100 + rng.u32(1..=100)).collect();
    for (name, bad) in [("one", one), ("ten_neighbours", neighbours), ("ten_spread", spread)] {
        let found = bad_rows(&bad, arguments);
        report.absorb(name, found);
    }
    report
}

fn bad_rows(bad: &[u32], arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let pair = Pair::new(&Options::default());
    let ids = bad.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    pair.sql(&format!(
        "create table m (id integer primary key, email text, plan text);
         with recursive n(id) as (select 1 union all select id + 1 from n where id < {ROWS})
           insert into m select id, 'p' || id || '@example.com', 'gold' from n;
         update m set plan = '{BAD}' where id in ({ids});"
    ));
    let fault =
        format!(r#"{{"match": {{"property": {{"name": "plan", "equals": "{BAD}"}}}}, "action": "poison_batch"}}"#);
    pair.sim.post("faults", &fault);
    let (code, sent) = pair.sync_with(&options(arguments));
    report.demand(code == Some(3), format!("exit code {code:?}"));
    let count = bad.len() as u64;
    let good = u64::from(ROWS) - count;
    let counts = sent.counts(["delivered", "rejected", "unknown", "left_over"]);
    // Ten batches, and one question whose the token is.
    let extra = pair.sim.requests().saturating_sub(u64::from(ROWS / 100) + 1);
    report.figure("extra_requests", extra);
    report.figure("bound", EXTRA * count);
    report.demand(counts == [good, count, 0, 0], format!("{counts:?} of {good} good and {count} bad rows"));
    report.demand(pair.live().len() as u64 == good, "the vendor does not hold every good row");
    report.demand(extra <= EXTRA * count, format!("{extra} extra requests for {count} bad rows"));
    let listed = pair.rejected().json()["rejected_total"].clone();
    report.demand(listed == count, format!("{listed} rows are listed as rejected"));
    if !report.passed() {
        return report;
    }
    pair.sim.clear_faults();
    pair.sql("update m set plan = 'silver' where id % 2 = 0; update m set plan = 'gold' where id % 2 = 1;");
    pair.sync(0);
    report.demand(pair.live().len() as u64 == u64::from(ROWS), "the mended rows were not delivered");
    report
}
