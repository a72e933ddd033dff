//! Time and memory from ten thousand rows to ten million, end to end.

use serde_json::json;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, SYNC, Warehouse},
    chart::{self, Panel},
    peers::psql_copy,
    sample::{Sample, Series, in_turns},
    table::{Line, Table},
};

pub(crate) const GROUP: Group =
    Group { name: "curve", about: "time and memory, a hundredth to ten times the rows, against psql copy", run: curve };

/// One size.
struct Point {
    rows: u64,
    first: Sample,
    idle: Series,
    psql: Series,
}

fn curve(arguments: &Arguments, table: &mut Table) {
    let sizes = [arguments.rows / 100, arguments.rows / 10, arguments.rows, arguments.rows * 10];
    let points = sizes.map(|rows| {
        let point = measured(rows, arguments.rounds);
        report(&point, table);
        point
    });
    let [.., usual, large] = &points;
    for (what, peak, before) in [
        ("no change", large.idle.peak(), usual.idle.peak()),
        ("first run", mebibytes(&large.first), mebibytes(&usual.first)),
    ] {
        let what = format!("peak memory of {} rows over that of {}, {what}", large.rows, usual.rows);
        table.add(Line::at_most(what, peak / before, 1.1, "x").with(json!([peak, before])));
    }
    if let Some(path) = &arguments.chart {
        std::fs::write(path, chart::svg(&[time(&points), memory(&points)])).expect("the chart cannot be written");
    }
}

fn measured(rows: u64, rounds: usize) -> Point {
    let bed = Bed::customers(Warehouse::postgres(), rows);
    let first = bed.backfill(SYNC, rows).sample;
    let mut ours = |_| bed.idle(SYNC, rows).sample;
    let mut psql = |_| psql_copy(&bed, "select * from customers order by id");
    let [idle, psql] = in_turns(rounds, [&mut ours, &mut psql]);
    Point { rows, first, idle, psql }
}

fn report(point: &Point, table: &mut Table) {
    let Point { rows, first, idle, psql } = point;
    let rate = *rows as f64 / first.wall;
    let found = format!("{:.2} s, {rate:.0} rows/s, {:.2} CPU-s, {:.1} MiB", first.wall, first.cpu, mebibytes(first));
    let figures = json!({ "rows": rows, "wall_s": first.wall, "cpu_s": first.cpu, "peak_kib": first.peak_kib });
    table.add(Line::new(format!("first run, {rows} rows, end to end"), found).with(figures));
    // What is small is the start of the process.
    let most = (*rows >= 10_000_000).then_some(1.15);
    table.add(Line::versus(format!("no change, {rows} rows"), idle, "psql copy", psql, most));
    table.add(Line::at_most(format!("peak memory, no change, {rows} rows"), idle.peak(), 32.0, "MiB"));
}

fn mebibytes(sample: &Sample) -> f64 {
    sample.peak_kib as f64 / 1024.0
}

fn time(points: &[Point]) -> Panel {
    let line = |figure: fn(&Point) -> f64| points.iter().map(|point| (point.rows as f64, figure(point))).collect();
    Panel {
        title: "seconds",
        lines: vec![
            ("first run", line(|point| point.first.wall)),
            ("no change", line(|point| point.idle.wall().median)),
            ("psql copy", line(|point| point.psql.wall().median)),
        ],
        is_logarithmic: true,
    }
}

fn memory(points: &[Point]) -> Panel {
    let line = |figure: fn(&Point) -> f64| points.iter().map(|point| (point.rows as f64, figure(point))).collect();
    Panel {
        title: "peak memory, MiB",
        lines: vec![
            ("first run", line(|point| mebibytes(&point.first))),
            ("no change", line(|point| point.idle.peak())),
        ],
        is_logarithmic: false,
    }
}
