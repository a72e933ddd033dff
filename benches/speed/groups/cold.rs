//! A whole process for a run without changes.

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, SYNC, Warehouse},
    peers::{Drt, Python},
    sample::in_turns,
    table::{Line, Table},
};

pub(crate) const GROUP: Group =
    Group { name: "cold", about: "no change, 100,000 rows, process start included, against drt", run: cold };

/// Rows, at most.
const ROWS: u64 = 100_000;

fn cold(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows.min(ROWS);
    let bed = Bed::customers(Warehouse::postgres(), rows);
    bed.sql("create index on customers (updated_at)");
    bed.backfill(SYNC, rows);
    let what = format!("no change, {rows} rows, from process start to its end");
    let mut ours = |_| bed.idle(SYNC, rows).sample;
    let Some(python) = Python::installed() else {
        let [ours] = in_turns(arguments.rounds, [&mut ours]);
        table.add(Line::at_most(&what, ours.wall().median, 0.4, "s").with(ours.json()));
        return table.skip("the same by drt", Python::MISSING);
    };
    let folder = tempfile::tempdir().expect("a folder");
    python.drt(Drt::Cursor, &bed, &bed.sink.url, folder.path());
    let mut drt = |_| python.drt(Drt::Cursor, &bed, &bed.sink.url, folder.path());
    let [ours, drt] = in_turns(arguments.rounds, [&mut ours, &mut drt]);
    table.add(Line::at_most(&what, ours.wall().median, 0.4, "s").with(ours.json()));
    table.add(Line::versus(&what, &ours, "drt with its cursor", &drt, Some(1.0)));
}
