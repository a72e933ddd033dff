//! The speed of the real program beside its peers, measured in turns in one run (`docs/performance.md`).
//!
//! `cargo bench --bench speed -- [NAME…] [--rows N] [--rounds R] [--json FILE] [--binary PATH] …` measures the named
//! groups, or all, and prints a table of ours, the peer's, the ratio and the aim.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench prints its figures, and its helpers fail the group that calls them"
)]

mod arguments;
mod bed;
mod chart;
mod customers;
mod daemon;
mod groups;
mod machine;
mod peers;
mod sample;
mod sink;
mod sqlx_loop;
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

use std::{future::Future, panic::AssertUnwindSafe, process::ExitCode};

use arguments::{Arguments, Wanted};
use table::Table;

/// Lines of the table that belong together.
struct Group {
    name: &'static str,
    /// What it measures, in one line.
    about: &'static str,
    run: fn(&Arguments, &mut Table),
}

/// Every group, in the order in which all of them run.
const GROUPS: &[Group] = &[
    groups::read::READ,
    groups::read::UNINDEXED,
    groups::curve::GROUP,
    groups::engines::SQLITE,
    groups::engines::MARIADB,
    groups::shared::GROUP,
    groups::changed::GROUP,
    groups::first::GROUP,
    groups::latency::GROUP,
    groups::cold::GROUP,
    groups::state::GROUP,
    groups::quota::GROUP,
    groups::many::GROUP,
    groups::start::GROUP,
    groups::binary::GROUP,
    groups::correctness::GROUP,
];

fn main() -> ExitCode {
    match arguments::wanted(std::env::args().skip(1), GROUPS.iter().map(|group| group.name)) {
        Ok(Wanted::Groups(names, arguments)) => {
            let chosen = |group: &&Group| names.is_empty() || names.iter().any(|name| name == group.name);
            measure(GROUPS.iter().filter(chosen), &arguments)
        }
        Ok(Wanted::Sink) => end(sink::serve()),
        Ok(Wanted::SqlxLoop { url, sql }) => end(sqlx_loop::run(&url, &sql)),
        Ok(Wanted::Nothing) => {
            println!("nothing is measured but by `cargo bench --bench speed`");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}\nhint: `-- [NAME…] [--KEY VALUE]…`, where NAME is one of:");
            GROUPS.iter().for_each(|group| eprintln!("  {:<12} {}", group.name, group.about));
            ExitCode::from(2)
        }
    }
}

/// Runs the groups, prints the table, and writes it as JSON where that is asked for.
fn measure<'a>(groups: impl Iterator<Item = &'a Group>, arguments: &Arguments) -> ExitCode {
    if let Some(binary) = &arguments.binary {
        support::choose_program(binary.clone().into());
    }
    let mut table = Table::new(format!("{}; --rows {}", machine::describe(), arguments.rows));
    for group in groups {
        eprintln!("{}: {}; load {}", group.name, group.about, machine::load());
        table.begin(group.name);
        // A group that fails does not take the figures of the others with it.
        if std::panic::catch_unwind(AssertUnwindSafe(|| (group.run)(arguments, &mut table))).is_err() {
            table.failed();
        }
    }
    println!("\n{table}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{:#}\n", table.json())).expect("the JSON file cannot be written");
    }
    if table.complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn end(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for a future on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    runtime.block_on(future)
}
