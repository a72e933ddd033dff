//! What is noticed: rows that changed without a newer `updated_at`, and rows that are gone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, DESTINATION, SYNC, Warehouse, mirror},
    peers::{Drt, Python},
    support::Sim,
    table::{Line, Table},
};

pub(crate) const GROUP: Group =
    Group { name: "correctness", about: "silent changes and deleted rows: what arrives", run: correctness };

/// Rows, at most: the simulator keeps every record.
const ROWS: u64 = 10_000;

/// Who syncs `customers` to the simulator at this address.
struct Contender<'a> {
    name: &'static str,
    sim: Sim,
    run: Box<dyn Fn(&str) + 'a>,
}

fn correctness(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows.min(ROWS);
    let bed = Bed::customers(Warehouse::postgres(), rows);
    let (python, folder) = (Python::installed(), tempfile::tempdir().expect("a folder"));
    let mut contenders = vec![Contender::new("ours", |_| drop(bed.sync(&[SYNC])))];
    bed.configure(&format!("{DESTINATION}{}", mirror(SYNC, "customers")).replace("URL", &contenders[0].sim.url));
    match &python {
        Some(python) => {
            let drt = |mode, name: &'static str| {
                let place = folder.path().join(name);
                let bed = &bed;
                Contender::new(name, move |url| drop(python.drt(mode, bed, url, &place)))
            };
            contenders.push(drt(Drt::Cursor, "drt, cursor on updated_at"));
            contenders.push(drt(Drt::Full, "drt, mode full"));
            contenders.push(Contender::new("script.py", |url| drop(python.script(&bed, url, folder.path()))));
        }
        None => table.skip("the peers", Python::MISSING),
    }
    contenders.iter().for_each(|contender| assert_eq!(contender.sync(), rows, "{}", contender.name));
    bed.sql("update customers set seats = seats + 1000 where id % 100 = 1; delete from customers where id % 1000 = 2");
    let (changed, gone) =
        ((1..=rows).filter(|id| id % 100 == 1).count(), (1..=rows).filter(|id| id % 1000 == 2).count());
    for contender in &contenders {
        let sent = contender.sync();
        let (arrived, left) = contender.holds();
        let removed = rows - left;
        let ours = format!("{arrived} of {changed} changes, {removed} of {gone} deletes noticed; {sent} rows sent");
        let right = arrived == changed && removed == gone as u64;
        let figures = json!({ "changes": arrived, "removed": removed, "sent": sent });
        let line = Line::new(format!("silent changes and deletes, {rows} rows: {}", contender.name), ours);
        table.add(if contender.name == "ours" { line.aim("all", right) } else { line }.with(figures));
    }
}

impl<'a> Contender<'a> {
    fn new(name: &'static str, run: impl Fn(&str) + 'a) -> Self {
        let options = ["--accept-any-property", "--history", "0", "--limit", "none"];
        Self { name, sim: Sim::start("hubspot", &options), run: Box::new(run) }
    }

    /// Syncs once; rows that were sent.
    fn sync(&self) -> u64 {
        self.sim.post("reset-requests", "");
        (self.run)(&self.sim.url);
        let report = self.sim.get("report");
        report.pointer("/requests/inputs").and_then(Value::as_u64).unwrap_or_else(|| panic!("no inputs in {report}"))
    }

    /// Live records with the new value, and live records.
    fn holds(&self) -> (usize, u64) {
        const PAGE: usize = 5_000;
        let mut seats: BTreeMap<bool, u64> = BTreeMap::new();
        for offset in (0..).step_by(PAGE) {
            let page = self.sim.get(&format!("records/contacts?offset={offset}&limit={PAGE}"));
            let page = page.as_array().cloned().unwrap_or_default();
            for record in page.iter().filter(|record| record["archived"] != true) {
                let new = record["properties"]["seats"].as_str().and_then(|seats| seats.parse().ok()) >= Some(1000);
                *seats.entry(new).or_default() += 1;
            }
            if page.len() < PAGE {
                break;
            }
        }
        let of = |new| seats.get(&new).copied().unwrap_or(0);
        (usize::try_from(of(true)).unwrap_or(usize::MAX), of(true) + of(false))
    }
}
