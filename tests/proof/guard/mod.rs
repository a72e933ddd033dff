//! Random pairs of snapshot and model through the real engine: what the guard must hold is held, all else is sent (F19).

mod bench;
mod case;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use syncline::{
    model::spec::GuardSpec,
    proof::{Rule, break_rule},
};

use self::{
    bench::{Bench, Sent, Setup},
    case::{Case, Kind, changes, generate, plain, verdict},
};
use crate::{Proof, arguments::Arguments, report::Report};

/// `guard --n PAIRS --seed S --rule guard-off`.
pub(crate) const PROOF: Proof = Proof {
    name: "guard",
    about: "no delete on a blocked plan, no block under a threshold, by every rule of the guard",
    small: &["--seed", "1", "--n", "200"],
    run,
};

/// Threads at once.
const THREADS: usize = 2;
/// Rules that the pairs are drawn for: each must have tripped, when there were enough pairs.
const RULES: usize = 15;
/// So many pairs trip every rule.
const ENOUGH: u64 = 2_000;

/// What all threads found.
#[derive(Default)]
struct Found {
    next: AtomicU64,
    broken: Mutex<Vec<String>>,
    /// How often each rule tripped; an empty name: none.
    tripped: Mutex<BTreeMap<&'static str, u64>>,
    held: AtomicU64,
    sent: AtomicU64,
}

fn run(arguments: &Arguments) -> Report {
    if let Some(name) = arguments.text("rule") {
        break_rule(Rule::named(name).unwrap_or_else(|| panic!("--rule: no rule is named `{name}`")));
    }
    let (n, seed, found) = (arguments.number("n", 10_000), arguments.seed(), Found::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| search(&found, seed, n));
        }
    });
    let mut report = Report::new();
    let tripped = found.tripped.into_inner().expect("no panic");
    let rules = tripped.keys().filter(|name| !name.is_empty()).count();
    report.figure("pairs", n);
    report.figure("changes_sent", found.sent.into_inner());
    report.figure("changes_held", found.held.into_inner());
    report.figure("tripped", serde_json::to_value(&tripped).unwrap_or_default());
    report.demand(n < ENOUGH || rules == RULES, format!("only {rules} of {RULES} rules ever tripped"));
    found.broken.into_inner().expect("no panic").into_iter().for_each(|what| report.breaks(what));
    report
}

fn search(found: &Found, seed: u64, n: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let mut bench = runtime.block_on(Bench::new());
    loop {
        let at = found.next.fetch_add(1, Ordering::Relaxed);
        if at >= n {
            return;
        }
        let (own, mut broken) = (seed.wrapping_add(at), Vec::new());
        runtime.block_on(play(&mut bench, &generate(own), found, &mut broken));
        let again = |what: String| format!("`guard --seed {own} --n 1`: {what}");
        found.broken.lock().expect("no panic").extend(broken.into_iter().map(again));
    }
}

/// Lets the snapshot come about, then runs over the new model.
async fn play(bench: &mut Bench, case: &Case, found: &Found, broken: &mut Vec<String>) {
    bench.begin().await;
    let open = Setup { guard: &off(), tag: "one", asks: false };
    if let Some(old) = &case.old {
        let all: BTreeSet<i64> = old.union(&case.removed_before).copied().collect();
        let first: Vec<i64> = all.iter().copied().collect();
        for keys in [first, old.iter().copied().collect()] {
            let (report, _) = bench.run(keys.into_iter().map(plain).collect(), &open).await;
            if report.reason.is_some() {
                broken.push(format!("the snapshot did not come about: {:?}", report.reason));
                return;
            }
            if case.removed_before.is_empty() {
                break;
            }
        }
        tokio::time::advance(Duration::from_secs(case.hours * 3600 + 60)).await;
    }
    let tag = if case.remaps { "two" } else { "one" };
    let setup = Setup { guard: &case.guard, tag, asks: case.asks };
    let (report, sent) = bench.run(case.new.clone(), &setup).await;
    let (rules, held) = verdict(case);
    let (expected, blocked) = expected(case, &held);
    {
        let mut tripped = found.tripped.lock().expect("no panic");
        rules.iter().chain(rules.is_empty().then_some(&"")).for_each(|name| *tripped.entry(*name).or_default() += 1);
    }
    found.held.fetch_add(blocked, Ordering::Relaxed);
    found.sent.fetch_add((sent.written.len() + sent.removed.len()) as u64, Ordering::Relaxed);
    let told: BTreeSet<&str> = report.trips.iter().map(|trip| trip.rule.as_str()).collect();
    if told != rules {
        broken.push(format!("the rules {rules:?} should trip, but {told:?} did"));
    }
    if sent != expected {
        let [forbidden, missing] = [(&sent, &expected), (&expected, &sent)].map(|(one, other)| beyond(one, other));
        broken.push(format!("held were to be {held:?}; sent against it: {forbidden}; not sent: {missing}"));
    }
    if report.counts.guarded != blocked {
        broken.push(format!("{} changes are called guarded, expected {blocked}", report.counts.guarded));
    }
}

/// What may be sent, and how many changes are held.
fn expected(case: &Case, held: &BTreeSet<Kind>) -> (Sent, u64) {
    let (planned, _) = changes(case);
    let free = |removal: bool| {
        let of = planned.iter().filter(move |(_, kind)| (**kind == Kind::Removed) == removal);
        of.filter(|(_, kind)| !held.contains(kind)).map(|(id, _)| *id).collect::<BTreeSet<i64>>()
    };
    let blocked = planned.values().filter(|kind| held.contains(kind)).count() as u64;
    (Sent { written: free(false), removed: free(true) }, blocked)
}

fn beyond(one: &Sent, other: &Sent) -> String {
    let writes = one.written.difference(&other.written).count();
    format!("{writes} writes, {} removals", one.removed.difference(&other.removed).count())
}

/// No rule.
fn off() -> GuardSpec {
    GuardSpec {
        stop_on_empty: false,
        max_removed: 100.0,
        max_changed: 100.0,
        max_added: 100.0,
        max_invalid: 100.0,
        max_emptied: 100.0,
        max_remapped: 100.0,
        ..GuardSpec::default()
    }
}
