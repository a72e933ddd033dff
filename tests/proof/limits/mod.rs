//! What a program may do at most when things go wrong: requests of an outage (F16), requests for bad rows (F18), and
//! nothing of secrets and values anywhere (F21).

mod canary;
mod poison;
mod retry;

use std::panic::AssertUnwindSafe;

use crate::{Proof, arguments::Arguments, report::Report};

/// `limits --scenario retry|poison|canary --seconds OUTAGE --panics BOUNDARIES --recovery SECONDS --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "limits",
    about: "few requests in an outage (F16) and for bad rows (F18); no secret or value anywhere (F21)",
    // Other proofs may slow the machine down: the recovery is measured in full runs.
    small: &["--seed", "1", "--seconds", "3", "--panics", "4", "--recovery", "200"],
    run,
};

/// Options of every command under test: the rule that is broken.
fn options(arguments: &Arguments) -> Vec<&str> {
    arguments.text("rule").map(|rule| vec!["--break-rule", rule]).unwrap_or_default()
}

type Scenario = (&'static str, fn(&Arguments) -> Report);

const SCENARIOS: &[Scenario] = &[("retry", retry::run), ("poison", poison::run), ("canary", canary::run)];

fn run(arguments: &Arguments) -> Report {
    let wanted = arguments.text("scenario");
    let chosen: Vec<_> = SCENARIOS.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).collect();
    let mut report = Report::new();
    report.demand(!chosen.is_empty(), "no scenario has this name");
    arguments.seed();
    std::thread::scope(|scope| {
        let start = |(name, run): &'static Scenario| {
            let arguments = arguments.clone();
            let caught = move || std::panic::catch_unwind(AssertUnwindSafe(|| run(&arguments)));
            (*name, scope.spawn(caught))
        };
        let started: Vec<_> = chosen.into_iter().map(start).collect();
        for (name, thread) in started {
            let found = thread.join().ok().and_then(Result::ok);
            report.absorb(name, found.unwrap_or_else(|| Report::failed("it panicked, see above")));
        }
    });
    report
}
