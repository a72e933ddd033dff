//! F16: a vendor that fails every request gets few of them, and everything once it is well again.

use std::{collections::BTreeMap, time::Duration};

use super::options;
use crate::{
    arguments::Arguments,
    report::Report,
    support::pair::{Audit, Content, Options, Pair, SYNC, is_quiet},
};

const ROWS: u32 = 1_000;
/// Attempts of one batch in one run.
const ATTEMPTS: u64 = 3;
/// Retries that an account may always make, and how long one more takes to be saved up (`src/wire/backoff.rs`).
const FLOOR: u64 = 20;
const REFILL: u64 = 30;
/// Seconds from the vendor's recovery to the end of the backlog.
const RECOVERY: u64 = 60;
/// For whatever else.
const PATIENCE: Duration = Duration::from_secs(240);

/// Ways to fail.
const FAULTS: &[(&str, &str)] = &[
    ("status_503", r#"{"match": {"path_contains": "/v1/"}, "action": {"status": {"code": 503}}}"#),
    ("closed", r#"{"match": {"path_contains": "/v1/"}, "action": "close"}"#),
    ("answer_dropped", r#"{"match": {"path_contains": "/v1/"}, "action": "drop_answer"}"#),
    // Too seldom for an outage: only the retry budget bounds this.
    ("every_other", r#"{"match": {"path_contains": "/v1/", "every": 2}, "action": {"status": {"code": 503}}}"#),
];

/// A command for each way to fail and a daemon, all at once, for so many seconds.
pub(super) fn run(arguments: &Arguments) -> Report {
    let seconds = arguments.number("seconds", 600);
    let recovery = Duration::from_secs(arguments.number("recovery", RECOVERY));
    let broken = &options(arguments)[..];
    let mut report = Report::new();
    std::thread::scope(|scope| {
        let started: Vec<_> = FAULTS
            .iter()
            .map(|(name, fault)| (*name, scope.spawn(move || one_run(broken, seconds, fault))))
            .chain([("outage", scope.spawn(move || outage(broken, seconds, recovery, FAULTS[0].1)))])
            .collect();
        for (name, thread) in started {
            report.absorb(name, thread.join().unwrap_or_else(|_| Report::failed("it panicked, see above")));
        }
    });
    report
}

fn pair() -> Pair {
    let options = Options { vendor: "http", simulator: &["--keep-bodies"], ..Options::default() };
    let pair = Pair::new(&options);
    pair.sql(&format!(
        "create table m (id integer primary key, email text, plan text);
         with recursive n(id) as (select 1 union all select id + 1 from n where id < {ROWS})
           insert into m select id, 'p' || id || '@example.com', 'gold' from n;"
    ));
    pair
}

/// In one run nothing is tried more than three times, and not many are tried again.
fn one_run(broken: &[&str], seconds: u64, fault: &str) -> Report {
    let (mut report, pair) = (Report::new(), pair());
    pair.sim.post("faults", fault);
    let running = pair.workspace.start(&[broken, &["sync", SYNC, "--output", "json"]].concat());
    pair.sim.get("wait?requests=2");
    running.ends_within(Duration::from_secs(seconds));
    let ended = running.terminate();
    report.demand(matches!(ended.code, Some(1 | 3 | 5)), format!("exit code {:?}", ended.code));
    let tried = attempts(&pair);
    bounded(tried.len() as u64, tried.values().sum(), seconds, &mut report);
    let most = tried.values().copied().max().unwrap_or(0);
    report.figure("most_attempts", most);
    report.demand(most <= ATTEMPTS, format!("a batch was tried {most} times in one run"));
    report
}

/// The daemon tries again and again; the load stays small, and the backlog goes quickly in the end.
fn outage(broken: &[&str], seconds: u64, recovery: Duration, fault: &str) -> Report {
    let (mut report, pair) = (Report::new(), pair());
    pair.sim.post("faults", fault);
    let daemon = pair.workspace.start(&[broken, &["run"]].concat());
    pair.sim.get("wait?requests=2");
    // Not a sleep: an end of the daemon is noticed at once.
    report.demand(!daemon.ends_within(Duration::from_secs(seconds)), "the daemon ended in the outage");
    report.figure("seconds", seconds);
    let (requests, batches, logged) = (pair.sim.requests(), attempts(&pair).len() as u64, daemon.log_lines());
    pair.sim.clear_faults();
    let since = tokio::time::Instant::now();
    let quiet = daemon.find_log_after(logged, PATIENCE, is_quiet).is_ok();
    let took = since.elapsed();
    report.figure("recovery_seconds", took.as_secs());
    report.demand(quiet && took <= recovery, format!("not recovered after {} s", took.as_secs()));
    let ended = daemon.terminate().expect(0);
    // The next run's batches have the keys of the last run's, so what was a retry only the log can tell.
    let in_outage = || ended.stderr.lines().take(logged);
    let retried = in_outage().filter(|line| line.contains("request.retried")).count() as u64;
    let runs = in_outage().filter(|line| line.contains("run.failed")).count();
    report.figure("failed_runs", runs);
    bounded(requests.saturating_sub(retried).max(batches), requests, seconds, &mut report);
    let model: BTreeMap<u32, Content> =
        (1..=ROWS).map(|id| (id, (format!("p{id}@example.com"), "gold".to_owned()))).collect();
    report.demand(pair.audit(&model) == Audit::default(), "the vendor does not hold the model");
    report
}

/// How often each write was tried, by its idempotency key.
fn attempts(pair: &Pair) -> BTreeMap<String, u64> {
    let mut tried = BTreeMap::new();
    for request in pair.sim.get("requests").as_array().into_iter().flatten() {
        if let Some(key) = request["idempotency_key"].as_str() {
            *tried.entry(key.to_owned()).or_insert(0) += 1;
        }
    }
    tried
}

/// Requests are at most 1.1 times the first attempts, and the floor of the retry budget.
fn bounded(first: u64, all: u64, seconds: u64, report: &mut Report) {
    let bound = first + first.div_ceil(10) + FLOOR + seconds / REFILL;
    report.figure("first_attempts", first);
    report.figure("requests", all);
    report.figure("bound", bound);
    report.demand(all <= bound, format!("{all} requests for {first} first attempts"));
    report.demand(first > 0, "nothing was tried");
}
