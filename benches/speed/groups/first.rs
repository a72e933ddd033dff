//! First runs: every row is sent, each with a durable intent and a durable settle.

use serde_json::json;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, SYNC, Warehouse},
    peers::{Drt, Python},
    sample::{Sample, Spread},
    table::{Line, Table},
};

pub(crate) const GROUP: Group =
    Group { name: "first", about: "first run, rows a second, against the peers", run: first };

/// Rows that the peers get, because they need a minute for a million.
const PEER_ROWS: u64 = 100_000;

fn first(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows;
    let bed = Bed::customers(Warehouse::postgres(), rows);
    let mut runs = Vec::new();
    let cpu = bed.sink.cpu();
    for _ in 0..arguments.rounds {
        bed.forget();
        runs.push(bed.backfill(SYNC, rows));
        eprintln!(" {}", runs[runs.len() - 1].durations());
    }
    let rates = Spread::of(runs.iter().map(|run| rows as f64 / run.sample.wall));
    let details = runs.iter().map(crate::bed::Run::durations).collect::<Vec<_>>();
    let line = Line::at_least(format!("first run of {rows} rows"), rates.median, 60_000.0, "rows/s");
    table.add(line.with(json!({ "runs": details, "rows_per_s": [rates.median, rates.least, rates.most] })));
    let peak = runs.iter().map(|run| run.sample.peak_kib).max().unwrap_or(0) as f64 / 1024.0;
    table.add(Line::at_most("peak memory of the first run", peak, 32.0, "MiB"));
    let taken = (bed.sink.cpu() - cpu) / arguments.rounds as f64;
    table.add(Line::new("processor time that the destination took in each", format!("{taken:.2} CPU-s")));
    peers(rows.min(PEER_ROWS), table);
}

/// The peers' first runs, and ours of as many rows.
fn peers(rows: u64, table: &mut Table) {
    let what = format!("first run of {rows} rows");
    let Some(python) = Python::installed() else { return table.skip(&what, Python::MISSING) };
    let bed = Bed::customers(Warehouse::postgres(), rows);
    let ours = rate(rows, &bed.backfill(SYNC, rows).sample);
    let folder = tempfile::tempdir().expect("a folder");
    for (name, run) in [("drt", 0), ("script.py", 1)] {
        bed.sink.reset();
        let sample = match run {
            0 => python.drt(Drt::Cursor, &bed, &bed.sink.url, folder.path()),
            _ => python.script(&bed, &bed.sink.url, folder.path()),
        };
        assert_eq!(bed.sink.count("distinct"), rows, "{name}:\n{}", sample.stdout);
        let peak = sample.peak_kib as f64 / 1024.0;
        let peer = format!("{name}: {:.0} rows/s, {peak:.0} MiB", rate(rows, &sample));
        table.add(Line::new(&what, format!("{ours:.0} rows/s")).peer(peer));
    }
}

fn rate(rows: u64, sample: &Sample) -> f64 {
    rows as f64 / sample.wall
}
