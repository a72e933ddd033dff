//! Every boundary fails in every way, once; then nothing is wrong, missing or orphaned (promises P1 to P5 and P7).

mod case;
mod ends;
mod upgrade;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use fastrand::Rng;
use syncline::proof::{Action, Boundary};

use self::case::{Case, Found};
use crate::{Proof, arguments::Arguments, report::Report};

/// Cases at once: most of their time goes into waiting for intents to end, and for stalls.
const LANES: u64 = 12;
/// Re-sends after one failure (promise P3): two workers and as many batches written ahead, of 100 rows each.
const RESENDS: u64 = (2 + 2) * 100;

/// `failpoints --n CASES --only BOUNDARY --action ACTION --lanes N --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "failpoints",
    about: "a panic, an error, a stall and a kill at every boundary, then nothing is wrong, missing or orphaned",
    small: &["--seed", "1", "--n", "12"],
    run,
};

fn run(arguments: &Arguments) -> Report {
    let seed = arguments.seed();
    let rule: Vec<String> =
        arguments.text("rule").map(|rule| vec!["--break-rule".to_owned(), rule.to_owned()]).unwrap_or_default();
    let mut cases = cases(seed, &rule);
    let (all, wanted) = (cases.len(), usize::try_from(arguments.number("n", u64::MAX)).unwrap_or(usize::MAX));
    for (key, name) in [("only", 0), ("action", 1)] {
        if let Some(text) = arguments.text(key) {
            cases.retain(|case| [case.boundary.name(), case.action.name()][name] == text);
        }
    }
    if wanted < cases.len() {
        Rng::with_seed(seed).shuffle(&mut cases);
        cases.truncate(wanted);
    }
    // Those that take longest first.
    cases.sort_by_key(|case| case.action != Action::Stall);
    let mut report = Report::new();
    report.figure("of", all as u64);
    report.demand(!cases.is_empty(), "no case has these names");
    judge(report, &side_by_side(&cases, arguments.number("lanes", LANES)))
}

/// Every boundary in every way, with every action.
fn cases(seed: u64, rule: &[String]) -> Vec<Case> {
    let settings = Boundary::ALL.iter().flat_map(|boundary| {
        ends::settings(*boundary).into_iter().map(|setting| (*boundary, setting)).collect::<Vec<_>>()
    });
    let all = settings.flat_map(|(boundary, setting)| Action::ALL.map(|action| (boundary, setting, action)));
    (0..)
        .zip(all)
        .map(|(at, (boundary, setting, action))| Case {
            boundary,
            action,
            setting,
            rule: rule.to_vec(),
            seed: seed.wrapping_mul(1_000).wrapping_add(at),
        })
        .collect()
}

fn side_by_side(cases: &[Case], lanes: u64) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = std::panic::catch_unwind(AssertUnwindSafe(|| case.lead()));
                    let found = found.unwrap_or_else(|panic| Found::broken(words(panic.as_ref()))).of(case);
                    found.broken.iter().for_each(|what| eprintln!("  {}: {what}", found.name));
                    all.lock().unwrap_or_else(PoisonError::into_inner).push(found);
                }
            });
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What a helper's panic says.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn judge(mut report: Report, found: &[Found]) -> Report {
    let sum = |of: fn(&Found) -> u64| found.iter().map(of).sum::<u64>();
    report.figure("cases", found.len() as u64);
    report.figure("checks", sum(|found| found.checks));
    report.figure("wrong", sum(|found| found.audit.wrong));
    report.figure("missing", sum(|found| found.audit.missing));
    report.figure("orphans", sum(|found| found.audit.orphans));
    report.figure("overlaps", sum(|found| found.overlaps));
    report.figure("writes", sum(|found| found.writes));
    report.figure("resends", sum(|found| found.identical));
    report.figure("most_resends", found.iter().map(|found| found.identical).max().unwrap_or(0));
    report.figure("resend_bound", RESENDS);
    for found in found {
        found.broken.iter().for_each(|what| report.breaks(format!("{}: {what}", found.name)));
        report.demand(found.identical <= RESENDS, format!("{}: {} re-sends", found.name, found.identical));
        report.demand(found.overlaps == 0, format!("{}: two operations of a key in flight", found.name));
    }
    report
}
