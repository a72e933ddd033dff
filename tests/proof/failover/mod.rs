//! Two daemons on one PostgreSQL state: whoever works is killed, asked to stop, or frozen, while the model changes all the
//! time; the other goes on, and at every quiet point nothing is wrong (promises P1 to P5 and P7).

mod figures;
mod hosts;
mod lane;
mod outage;
mod proxy;
mod stale;

use std::time::Duration;

use figures::Figures;
use lane::{Blow, Lane};
use outage::{Outage, Outcome};
use syncline::proof::{Rule, break_rule};

use crate::{Proof, arguments::Arguments, report::Report, support::pair::Audit};

/// Re-sends after one blow (promise P3): two workers and as many batches written ahead, of 100 rows each.
const RESENDS: u64 = (2 + 2) * 100;
/// What a takeover may take beyond the lease, and what a hand-over may take.
const BEYOND_LEASE: Duration = Duration::from_secs(5);
const HANDOVER: Duration = Duration::from_secs(2);
/// Requests that the account allows in two seconds.
const LIMIT: u32 = 10;

/// Fewer blows than this leave out what takes a minute and a half.
const FEW: u64 = 10;

/// `failover --n BLOWS --scenario kill|term|stop|restart|cut|stale|all --lease SECONDS --frozen SECONDS --slack SECONDS
/// --rows R --lanes L --pooler pgbouncer --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "failover",
    about: "the daemon that works is killed, stopped, frozen or cut off, and another goes on",
    small: &["--seed", "1", "--n", "2", "--lease", "2", "--frozen", "6", "--rows", "300", "--slack", "6"],
    run,
};

/// What every lane has in common.
struct Settings {
    lease: Duration,
    frozen: Duration,
    /// What a slow machine may take longer.
    slack: Duration,
    rows: u32,
    /// The state is reached through a pooler.
    pooled: bool,
    broken: Vec<String>,
}

fn run(arguments: &Arguments) -> Report {
    let (blows, lanes, seed) = (arguments.number("n", 100), arguments.number("lanes", 12), arguments.seed());
    let settings = Settings {
        lease: Duration::from_secs(arguments.number("lease", 15)),
        frozen: Duration::from_secs(arguments.number("frozen", 60)),
        slack: Duration::from_secs(arguments.number("slack", 0)),
        rows: u32::try_from(arguments.number("rows", 500)).expect("fewer rows"),
        pooled: pooled(arguments),
        broken: arguments.text("rule").map(|rule| vec!["--break-rule".into(), rule.into()]).unwrap_or_default(),
    };
    let wanted = arguments.text("scenario").unwrap_or("all");
    let asked = |name: &str| wanted == "all" || wanted == name;
    let few = blows.div_ceil(10);
    let plan = [(Blow::Kill, blows), (Blow::Terminate, blows), (Blow::Freeze, few)];
    let plan: Vec<(Blow, u64)> = plan.into_iter().filter(|(blow, _)| asked(blow.name())).collect();
    // Poolers have outages of their own.
    let is_due = |outage: Outage| match outage {
        Outage::Restart => asked(outage.name()),
        Outage::Cut => wanted == outage.name() || (asked(outage.name()) && blows >= FEW),
    };
    let outages = [Outage::Restart, Outage::Cut].into_iter().filter(|outage| is_due(*outage) && !settings.pooled);
    let mut report = Report::new();
    if asked("stale") {
        arguments.text("rule").and_then(Rule::named).into_iter().for_each(break_rule);
        stale::run(blows, seed, settings.pooled, &mut report);
    }
    let (sum, ended) = std::thread::scope(|scope| {
        let settings = &settings;
        let running: Vec<_> =
            outages.map(|outage| (outage, scope.spawn(move || outage::run(outage, settings, seed, few)))).collect();
        let sum = strike(&plan, lanes, seed, settings);
        let ended: Vec<_> = running.into_iter().map(|(outage, lane)| (outage, ended(lane))).collect();
        (sum, ended)
    });
    let checked = sum.checks + ended.iter().map(|(_, outcome)| outcome.figures.checks).sum::<u64>();
    report.demand(checked > 0 || wanted == "stale", format!("--scenario: there is no `{wanted}`"));
    if !plan.is_empty() {
        judge(&sum, &plan, &settings, &mut report);
    }
    ended.iter().for_each(|(outage, outcome)| judge_outage(*outage, outcome, &mut report));
    report
}

/// `--pooler pgbouncer`.
fn pooled(arguments: &Arguments) -> bool {
    match arguments.text("pooler") {
        None => false,
        Some("pgbouncer") => true,
        Some(other) => panic!("--pooler: expected pgbouncer, got {other}"),
    }
}

fn ended<T>(lane: std::thread::ScopedJoinHandle<'_, T>) -> T {
    lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs lanes side by side: most of their time goes into waiting for leases and intents to end.
fn strike(plan: &[(Blow, u64)], lanes: u64, seed: u64, settings: &Settings) -> Figures {
    let mut sum = Figures::default();
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        let all: u64 = plan.iter().map(|(_, blows)| blows).sum::<u64>().max(1);
        for &(blow, blows) in plan {
            let lanes = (lanes * blows / all).clamp(1, blows);
            for lane in 0..lanes {
                let share = blows / lanes + u64::from(lane < blows % lanes);
                let seed = seed.wrapping_add(lane).wrapping_add(1_000 * blow as u64);
                running.push(scope.spawn(move || Lane::new(blow, settings, seed).run(share)));
            }
        }
        for lane in running {
            sum.add(ended(lane));
        }
    });
    sum
}

fn judge(sum: &Figures, plan: &[(Blow, u64)], settings: &Settings, report: &mut Report) {
    for &(blow, wanted) in plan {
        let times = sum.times(blow);
        report.figure(blow.name(), times.len());
        report.figure(&format!("{}_p50_ms", blow.name()), millis(percentile(&times, 50)));
        report.figure(&format!("{}_p99_ms", blow.name()), millis(percentile(&times, 99)));
        let bound = if blow == Blow::Terminate { HANDOVER } else { settings.lease + BEYOND_LEASE } + settings.slack;
        report.demand(times.len() as u64 >= wanted, format!("{}: too few blows hit a run under way", blow.name()));
        report.demand(percentile(&times, 99) <= bound, format!("{}: the other came after {bound:?}", blow.name()));
    }
    report.figure("checks", sum.checks);
    report.figure("wrong", sum.audit.wrong);
    report.figure("missing", sum.audit.missing);
    report.figure("orphans", sum.audit.orphans);
    report.figure("overlaps", sum.overlaps);
    report.figure("writes", sum.writes);
    report.figure("resends", sum.identical);
    report.figure("resend_bound", sum.blows() * RESENDS);
    report.figure("fullest_window", sum.fullest);
    report.figure("too_many", sum.too_many);
    let differ = format!("{} of {} checks found a difference", sum.failed_checks, sum.checks);
    report.demand(sum.checks > 0 && sum.audit == Audit::default(), differ);
    report.demand(sum.identical <= sum.blows() * RESENDS, "more re-sends than P3 allows");
    report.demand(sum.overlaps == 0, "two operations of one key with different contents were in flight");
    report.demand(sum.fullest <= u64::from(LIMIT) && sum.too_many == 0, "the account's limit was not kept");
}

fn judge_outage(outage: Outage, outcome: &Outcome, report: &mut Report) {
    let name = outage.name();
    let Outcome { figures, outages, ended, longest, broken } = outcome;
    report.figure(name, *outages);
    report.figure(&format!("{name}_checks"), figures.checks);
    report.figure(&format!("{name}_resends"), figures.identical);
    report.figure(&format!("{name}_started_again"), *ended);
    report.figure(&format!("{name}_longest_ms"), millis(*longest));
    broken.iter().for_each(|what| report.breaks(what));
    let differ = format!("{name}: {} of {} checks found a difference", figures.failed_checks, figures.checks);
    report.demand(figures.checks > 0 && figures.audit == Audit::default(), differ);
    report.demand(figures.identical <= outages * RESENDS, format!("{name}: more re-sends than P3 allows"));
    report.demand(figures.overlaps == 0, format!("{name}: two operations of one key were in flight"));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
