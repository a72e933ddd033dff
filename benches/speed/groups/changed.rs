//! Runs in which one row of a hundred has changed.

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, SYNC, Warehouse},
    customers::Dialect,
    peers::psql_copy,
    sample::in_turns,
    table::{Line, Table},
};

pub(crate) const GROUP: Group =
    Group { name: "changed", about: "1 % changed, batches of 100, against psql copy", run: one_in_a_hundred };

/// Rows of a request.
const BATCH: u64 = 100;

fn one_in_a_hundred(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows;
    let bed = Bed::customers(Warehouse::postgres(), rows);
    bed.backfill(SYNC, rows);
    let (mut requests, mut expected) = (0, 0);
    let mut ours = |round| {
        let rest = round as u64 % 100;
        bed.sql(&format!("{}; vacuum customers", Dialect::Postgres.touch(&format!("id % 100 = {rest}"))));
        bed.sink.reset();
        let run = bed.sync(&[SYNC]);
        let changed = (1..=rows).filter(|id| id % 100 == rest).count() as u64;
        assert_eq!((run.count("changed"), run.count("delivered")), (changed, changed), "{}", run.reports[0]);
        assert_eq!((bed.sink.count("rows"), bed.sink.count("distinct")), (changed, changed));
        (requests, expected) = (requests + bed.sink.count("requests"), expected + changed.div_ceil(BATCH));
        run.sample
    };
    let mut psql = |_| psql_copy(&bed, "select * from customers order by id");
    let [ours, psql] = in_turns(arguments.rounds, [&mut ours, &mut psql]);
    table.add(Line::versus(format!("1 % changed of {rows} rows"), &ours, "psql copy", &psql, Some(1.25)));
    let line = Line::new("requests for 1 % changed, all rounds", requests.to_string());
    table.add(line.aim(format!("exactly {expected}"), requests == expected));
    table.add(Line::at_most("peak memory, 1 % changed", ours.peak(), 32.0, "MiB"));
}
