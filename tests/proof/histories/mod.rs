//! Random histories of a model, a vendor and the program between them, against a plain map (promises P1 to P7).
//!
//! In one process: the real engine over a real SQLite state, between a source and a vendor that stand in. A history is a list
//! of operations that a seed gives; what it breaks is shrunk to the fewest operations and printed with how to repeat it.
//! Histories that once broke a promise are kept in `regressions/` and played first.

mod bench;
mod checks;
mod op;
mod play;
mod records;
mod shrink;
mod source;
mod vendor;
mod world;

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use syncline::proof::{Rule, break_rule};

use self::{bench::Bench, op::History, play::Played};
use crate::{Proof, arguments::Arguments, report::Report};

/// Threads at once.
const THREADS: u64 = 2;
/// A history that failed is played so often to see it fail again.
const TRIES: usize = 50;

/// `histories --n HISTORIES --seed SEED --rule RULE --replay FILE --failures MOST`.
pub(crate) const PROOF: Proof = Proof {
    name: "histories",
    about: "random histories end as a plain map says, and no promise is broken on the way",
    small: &["--n", "150", "--seed", "1"],
    run,
};

/// What all threads found.
#[derive(Default)]
struct Found {
    next: AtomicU64,
    runs: AtomicU64,
    quiet_points: AtomicU64,
    stop: AtomicBool,
    failures: Mutex<Vec<(u64, History, Vec<String>)>>,
}

fn run(arguments: &Arguments) -> Report {
    if let Some(name) = arguments.text("rule") {
        break_rule(Rule::named(name).unwrap_or_else(|| panic!("--rule: no rule is named `{name}`")));
    }
    let mut report = Report::new();
    if let Some(file) = arguments.text("replay") {
        replay(&mut report, &[PathBuf::from(file)]);
        return report;
    }
    let regressions = regressions();
    report.figure("regressions", regressions.len());
    if arguments.text("rule").is_none() {
        replay(&mut report, &regressions);
    }
    let (n, seed, enough) = (arguments.number("n", 1_000), arguments.seed(), arguments.number("failures", 1));
    let found = Found::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.number("threads", THREADS).min(n) {
            scope.spawn(|| search(&found, seed, n, enough));
        }
    });
    let played = found.next.load(Ordering::Relaxed).min(n);
    report.figure("histories", played);
    report.figure("runs", found.runs.load(Ordering::Relaxed));
    report.figure("quiet_points", found.quiet_points.load(Ordering::Relaxed));
    let mut failures = found.failures.into_inner().expect("no thread panicked");
    failures.sort_by_key(|(at, ..)| *at);
    for (at, history, broken) in failures {
        let own = seed.wrapping_add(at);
        report.figure("found_after", at + 1);
        let small = shrunk(history, &kind(&broken));
        explain(&small);
        report.breaks(format!("history {at} (`--seed {own} --n 1`): {}", broken.join("; ")));
    }
    report
}

/// Plays histories until enough of them fail.
fn search(found: &Found, seed: u64, n: u64, enough: u64) {
    let (runtime, mut bench) = bench();
    while !found.stop.load(Ordering::Relaxed) {
        let at = found.next.fetch_add(1, Ordering::Relaxed);
        if at >= n {
            return;
        }
        let history = op::generate(seed.wrapping_add(at));
        let played = runtime.block_on(play::play(&mut bench, &history, false));
        found.runs.fetch_add(played.runs, Ordering::Relaxed);
        found.quiet_points.fetch_add(played.quiet_points, Ordering::Relaxed);
        if !played.broken.is_empty() {
            let mut failures = found.failures.lock().expect("no thread panicked");
            failures.push((at, history, played.broken));
            found.stop.store(failures.len() as u64 >= enough, Ordering::Relaxed);
        }
    }
}

fn bench() -> (tokio::runtime::Runtime, Bench) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let bench = runtime.block_on(Bench::new());
    (runtime, bench)
}

fn played(history: &History, traced: bool) -> Played {
    let (runtime, mut bench) = bench();
    runtime.block_on(play::play(&mut bench, history, traced))
}

/// The smallest history that fails in the same way.
fn shrunk(history: History, wanted: &str) -> History {
    let (runtime, mut bench) = bench();
    shrink::shrink(history, |history| kind(&runtime.block_on(play::play(&mut bench, history, false)).broken) == wanted)
}

/// What kind of failure it is: its words without what they are about.
fn kind(broken: &[String]) -> String {
    let words = broken.first().map_or("", |what| what.as_str());
    words.chars().filter(|c| !c.is_ascii_digit()).take(40).collect()
}

/// Prints a small failing history, and what happens in it. The state works in a thread of its own, so that how long something
/// takes is not always the same: it is played until it fails.
fn explain(history: &History) {
    let mut again = played(history, true);
    for _ in 1..TRIES {
        if !again.broken.is_empty() {
            break;
        }
        again = played(history, true);
    }
    eprintln!("smallest history ({} operations):", history.ops.len());
    again.trace.iter().for_each(|line| eprintln!("{line}"));
    let text = serde_json::to_string(history).unwrap_or_default();
    eprintln!("to keep it, write this to tests/proof/histories/regressions/NAME.json:\n{text}");
}

/// Histories that once broke a promise.
fn regressions() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/proof/histories/regressions");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect();
    files.sort();
    files
}

fn replay(report: &mut Report, files: &[PathBuf]) {
    for file in files {
        let text = std::fs::read_to_string(file).expect("the file can be read");
        let history: History = serde_json::from_str(&text).expect("a history");
        let broken = played(&history, false).broken;
        if !broken.is_empty() {
            explain(&history);
            report.breaks(format!("{}: {}", file.display(), broken.join("; ")));
        }
    }
}
