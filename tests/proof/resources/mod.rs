//! Resources that run out or go away in mid-run: the program stops or waits with a clear message, loses nothing, and goes
//! on by itself where it can (promises P1, P2, P3, P4, P7).

mod cut;
mod disk;
mod handles;
mod locked;
mod restart;
mod stage;

use std::{panic::AssertUnwindSafe, time::Duration};

use crate::{Proof, arguments::Arguments, report::Report};

/// `resources --scenario NAME --n ROUNDS --rows R --held SECONDS --handles H --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "resources",
    about: "a full disk, no file handles, a locked or restarted state, a cut source: nothing is lost",
    small: &["--seed", "1", "--n", "1", "--rows", "1000", "--held", "8"],
    run,
};

/// One resource, and what is done to it.
type Scenario = (&'static str, fn(&Plan) -> Report);

const SCENARIOS: &[Scenario] = &[
    ("state-disk", disk::state),
    ("spool-disk", disk::spool),
    ("handles", handles::run),
    ("locked", locked::run),
    ("cut-postgres", cut::postgres),
    ("cut-mariadb", cut::mariadb),
    ("restart", restart::run),
];

/// What the arguments ask of every scenario.
#[derive(Debug, Clone)]
struct Plan {
    rounds: u64,
    rows: u32,
    seed: u64,
    /// How long a lock is held.
    held: Duration,
    /// So many file handles in every round, not as many as its turn says.
    handles: Option<u32>,
    /// Arguments of every command under test.
    broken: Vec<String>,
}

impl Plan {
    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.broken.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }
}

fn run(arguments: &Arguments) -> Report {
    let plan = Plan {
        rounds: arguments.number("n", 5),
        rows: u32::try_from(arguments.number("rows", 1_500)).expect("fewer rows"),
        seed: arguments.seed(),
        held: Duration::from_secs(arguments.number("held", 30)),
        handles: arguments.text("handles").map(|handles| handles.parse().expect("a number of handles")),
        broken: arguments.text("rule").map(broken).unwrap_or_default(),
    };
    let wanted = arguments.text("scenario");
    let chosen: Vec<_> = SCENARIOS.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).collect();
    let mut report = Report::new();
    report.demand(!chosen.is_empty(), "no scenario has this name");
    // Side by side: most of their time goes into waiting for intents to end.
    std::thread::scope(|scope| {
        let plan = &plan;
        let started: Vec<_> =
            chosen.into_iter().map(|(name, run)| (name, scope.spawn(move || caught(|| run(plan))))).collect();
        for (name, thread) in started {
            report.absorb(name, thread.join().unwrap_or_else(|_| Report::failed("it ended in a panic")));
        }
    });
    report
}

/// Breaks a rule; intents live shortly, since whatever breaks waits for their end.
fn broken(rule: &str) -> Vec<String> {
    ["--intent-life", "3", "--break-rule", rule].map(str::to_owned).to_vec()
}

/// A scenario that cannot be led does not end the others.
fn caught(run: impl FnOnce() -> Report) -> Report {
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Report::failed("it panicked, see above"))
}
