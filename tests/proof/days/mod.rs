//! Days in seconds: the real scheduler, engine, delivery, wire and state under simulated time, with faults from a seed.

mod faults;
mod judge;
mod model;
mod runs;
mod script;
mod ticks;
mod tokens;
mod trace;
mod vendor;
mod world;

use std::{path::PathBuf, sync::Arc};

use script::Script;
use syncline::proof::{Rule, break_rule};
use tempfile::TempDir;
use tokio::time::Instant;
use world::Day;

use crate::{Proof, arguments::Arguments, report::Report};

/// `days --n SEEDS --seed S --hours 4..24 --syncs 1..20 --scenario outage|amplification --rule RULE --trace FILE`.
pub(crate) const PROOF: Proof = Proof {
    name: "days",
    about: "days in seconds: outage, quota, clock changes, tokens and random faults, each seed twice with one trace",
    small: &["--seed", "1", "--n", "2", "--hours", "4", "--syncs", "6"],
    run,
};

fn run(arguments: &Arguments) -> Report {
    if let Some(name) = arguments.text("rule") {
        break_rule(Rule::named(name).unwrap_or_else(|| panic!("no rule is named `{name}`")));
    }
    let (n, seed) = (arguments.number("n", 10), arguments.seed());
    let script = Arc::new(script_of(arguments));
    let whole = arguments.text("scenario").is_none() && arguments.number("hours", 24) == 24;
    let mut report = Report::new();
    let (mut runs, mut requests, mut deferred) = (0, 0, 0);
    let began = Instant::now();
    for seed in seed..seed + n {
        let day = simulate(&script, seed);
        if let Some(path) = arguments.text("trace") {
            write_trace(&day, path);
        }
        let again = simulate(&script, seed);
        let mut found = judge::judge(&script, &day);
        match arguments.text("scenario") {
            Some("amplification") => found.broken.extend(judge::amplification(&script, &day)),
            None if whole && arguments.text("syncs").is_none() => {
                found.broken.extend(judge::eventful(&script, &day, &found));
            }
            Some(_) | None => {}
        }
        runs += found.runs;
        requests += found.requests;
        deferred += found.deferred;
        let same = day.trace.hash() == again.trace.hash();
        report.demand(same, format!("seed {seed}: two traces: {}", difference(&day, &again)));
        found.broken.into_iter().for_each(|what| report.breaks(format!("seed {seed}: {what}")));
    }
    let simulated = script.end.as_secs_f64() * 2.0 * n as f64;
    report.figure("seeds", n);
    report.figure("runs", runs);
    report.figure("deferred", deferred);
    report.figure("requests", requests);
    report.figure("times_real_time", (simulated / began.elapsed().as_secs_f64()).round());
    report
}

fn script_of(arguments: &Arguments) -> Script {
    match arguments.text("scenario") {
        None => {
            Script::day(arguments.number("hours", 24), usize::try_from(arguments.number("syncs", 20)).unwrap_or(20))
        }
        Some("outage") => Script::outage(),
        Some("amplification") => Script::amplification(),
        Some(other) => panic!("no scenario is named `{other}`"),
    }
}

fn simulate(script: &Arc<Script>, seed: u64) -> Day {
    let folder = folder();
    world::run(script, seed, folder.path())
}

/// In memory where that is a folder: nothing here survives a loss of power anyway.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

fn write_trace(day: &Day, path: &str) {
    let lines: Vec<String> = day.trace.entries().iter().map(trace::Entry::line).collect();
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

/// Where two traces part.
fn difference(one: &Day, other: &Day) -> String {
    let (one, other) = (one.trace.entries(), other.trace.entries());
    let lines = one.iter().zip(&other).map(|(one, other)| (one.line(), other.line()));
    let parted = lines.enumerate().find(|(_, (one, other))| one != other);
    parted.map_or_else(
        || format!("{} and {} entries", one.len(), other.len()),
        |(at, (one, other))| format!("entry {at}: `{one}` and `{other}`"),
    )
}
