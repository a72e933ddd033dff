//! Runs in which nothing has changed, against `psql` that copies the same rows.

use serde_json::json;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, DESTINATION, SYNC, Warehouse, mirror},
    customers::SHUFFLE,
    peers::psql_copy,
    sample::{Series, in_turns},
    table::{Line, Table},
};

pub(crate) const READ: Group =
    Group { name: "read", about: "no change, PostgreSQL, key indexed, against psql copy", run: read };
pub(crate) const UNINDEXED: Group =
    Group { name: "unindexed", about: "the same rows in random order, key without an index", run: unindexed };

/// From so many rows on processor time is judged: before, it is the start of the process.
const JUDGED: u64 = 1_000_000;
/// From so many rows on the aims are those of the large table.
const LARGE: u64 = 10_000_000;
/// The sync of the table without an index.
const SHUFFLED: &str = "shuffled-to-crm";

fn read(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows;
    let bed = Bed::customers(Warehouse::postgres(), rows);
    let first = bed.backfill(SYNC, rows).sample;
    let (ours, psql) = against_psql(arguments, &bed, SYNC, "select * from customers order by id");
    let most = if rows < LARGE { 1.10 } else { 1.15 };
    table.add(Line::versus(format!("no change, {rows} rows"), &ours, "psql copy", &psql, Some(most)));
    report(table, rows, &ours);
    let peaks = json!({ "first_kib": first.peak_kib });
    table.add(Line::at_most("peak memory of the first run", first.peak_kib as f64 / 1024.0, 32.0, "MiB").with(peaks));
    bed.sql("update customers set seats = seats + 1; vacuum customers");
    let all = bed.sync(&[SYNC]);
    assert_eq!((all.count("changed"), all.count("delivered")), (rows, rows));
    let peak = all.sample.peak_kib as f64 / 1024.0;
    table.add(Line::at_most("peak memory, all rows changed", peak, 32.0, "MiB").with(all.durations()));
}

fn unindexed(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows;
    let bed = Bed::customers(Warehouse::postgres(), rows);
    bed.sql(SHUFFLE);
    bed.configure(&format!("{DESTINATION}{}", mirror(SHUFFLED, "shuffled")).replace("URL", &bed.sink.url));
    bed.backfill(SHUFFLED, rows);
    let (ours, plain) = against_psql(arguments, &bed, SHUFFLED, "select * from shuffled");
    let what = format!("no change, {rows} rows in random order without index");
    table.add(Line::versus(&what, &ours, "psql copy, unsorted", &plain, Some(1.6)));
    let (ours, sorted) = against_psql(arguments, &bed, SHUFFLED, "select * from shuffled order by id");
    table.add(Line::versus(&what, &ours, "psql copy, sorted", &sorted, None));
    table.add(Line::at_most("peak memory, no change, random order", ours.peak(), 32.0, "MiB"));
}

fn against_psql(arguments: &Arguments, bed: &Bed, sync: &str, query: &str) -> (Series, Series) {
    let rows = arguments.rows;
    let mut ours = |_| bed.idle(sync, rows).sample;
    let mut psql = |_| psql_copy(bed, query);
    let [ours, psql] = in_turns(arguments.rounds, [&mut ours, &mut psql]);
    (ours, psql)
}

fn report(table: &mut Table, rows: u64, ours: &Series) {
    let (cpu, peak) = (ours.cpu(), ours.peak());
    let line = if rows < JUDGED {
        Line::new("processor time of a run without changes", format!("{:.2} CPU-s", cpu.median))
    } else {
        let scaled = cpu.median * JUDGED as f64 / rows as f64;
        Line::at_most("processor time of a run without changes, for 1 M rows", scaled, 1.2, "CPU-s")
    };
    table.add(line.with(json!({ "rows": rows, "cpu_s": cpu.median })));
    table.add(Line::at_most("peak memory, no change", peak, 32.0, "MiB").with(json!({ "rows": rows })));
}
