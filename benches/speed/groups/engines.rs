//! Runs in which nothing has changed from SQLite and MariaDB, against a bare loop of sqlx over the same rows.

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, SYNC, Warehouse},
    peers::sqlx_loop,
    sample::in_turns,
    table::{Line, Table},
};

pub(crate) const SQLITE: Group = Group {
    name: "sqlite",
    about: "no change, SQLite, against a bare sqlx loop",
    run: |arguments, table| against_loop(arguments, table, "SQLite", Warehouse::Sqlite),
};
pub(crate) const MARIADB: Group = Group {
    name: "mariadb",
    about: "no change, MariaDB, against a bare sqlx loop",
    run: |arguments, table| against_loop(arguments, table, "MariaDB", Warehouse::mariadb()),
};

fn against_loop(arguments: &Arguments, table: &mut Table, engine: &str, warehouse: Warehouse) {
    let rows = arguments.rows;
    let bed = Bed::customers(warehouse, rows);
    bed.backfill(SYNC, rows);
    let mut ours = |_| bed.idle(SYNC, rows).sample;
    let mut bare = |_| sqlx_loop(&bed, "select * from customers order by id", rows);
    let [ours, bare] = in_turns(arguments.rounds, [&mut ours, &mut bare]);
    table.add(Line::versus(format!("no change, {rows} rows, {engine}"), &ours, "sqlx loop", &bare, Some(1.25)));
    table.add(Line::at_most(format!("peak memory, no change, {engine}"), ours.peak(), 32.0, "MiB"));
}
