//! Two daemons on one PostgreSQL state: whoever works is killed, asked to stop, or frozen, while the model changes all the
//! time; the other goes on, and at every quiet point nothing is wrong (promises P1 to P5 and P7).

mod figures;
mod hosts;
mod lane;

use std::time::Duration;

use figures::Figures;
use lane::{Blow, Lane};

use crate::{Proof, arguments::Arguments, report::Report, support::pair::Audit};

/// Re-sends after one blow (promise P3): two workers and as many batches written ahead, of 100 rows each.
const RESENDS: u64 = (2 + 2) * 100;
/// What a takeover may take beyond the lease, and what a hand-over may take.
const BEYOND_LEASE: Duration = Duration::from_secs(5);
const HANDOVER: Duration = Duration::from_secs(2);
/// Requests that the account allows in two seconds.
const LIMIT: u32 = 10;

/// `failover --n BLOWS --scenario kill|term|stop|all --lease SECONDS --frozen SECONDS --rows R --lanes L --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "failover",
    about: "the daemon that works is killed, stopped or frozen, and another goes on",
    small: &["--n", "2", "--lease", "2", "--frozen", "6", "--rows", "300"],
    run,
};

/// What every lane has in common.
struct Settings {
    lease: Duration,
    frozen: Duration,
    rows: u32,
    broken: Vec<String>,
}

fn run(arguments: &Arguments) -> Report {
    let (blows, lanes) = (arguments.number("n", 100), arguments.number("lanes", 12));
    let settings = Settings {
        lease: Duration::from_secs(arguments.number("lease", 15)),
        frozen: Duration::from_secs(arguments.number("frozen", 60)),
        rows: u32::try_from(arguments.number("rows", 500)).expect("fewer rows"),
        broken: arguments.text("rule").map(|rule| vec!["--break-rule".into(), rule.into()]).unwrap_or_default(),
    };
    let wanted = arguments.text("scenario").unwrap_or("all");
    let plan: Vec<(Blow, u64)> = [(Blow::Kill, blows), (Blow::Terminate, blows), (Blow::Freeze, blows.div_ceil(10))]
        .into_iter()
        .filter(|(blow, _)| wanted == "all" || wanted == blow.name())
        .collect();
    assert!(!plan.is_empty(), "--scenario: expected kill, term, stop or all, got {wanted}");
    let mut report = Report::new();
    let sum = strike(&plan, lanes, arguments.seed(), &settings);
    judge(&sum, &plan, &settings, &mut report);
    report
}

/// Runs lanes side by side: most of their time goes into waiting for leases and intents to end.
fn strike(plan: &[(Blow, u64)], lanes: u64, seed: u64, settings: &Settings) -> Figures {
    let mut sum = Figures::default();
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        let all: u64 = plan.iter().map(|(_, blows)| blows).sum();
        for &(blow, blows) in plan {
            let lanes = (lanes * blows / all).clamp(1, blows);
            for lane in 0..lanes {
                let share = blows / lanes + u64::from(lane < blows % lanes);
                let seed = seed.wrapping_add(lane).wrapping_add(1_000 * blow as u64);
                running.push(scope.spawn(move || Lane::new(blow, settings, seed).run(share)));
            }
        }
        for lane in running {
            match lane.join() {
                Ok(figures) => sum.add(figures),
                Err(panic) => std::panic::resume_unwind(panic),
            }
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
        let bound = if blow == Blow::Terminate { HANDOVER } else { settings.lease + BEYOND_LEASE };
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
