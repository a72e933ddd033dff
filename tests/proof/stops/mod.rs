//! SIGTERM at random moments of a loaded daemon: it ends in time, and nothing is wrong afterwards (promises P1 to P3).

mod lane;

use std::time::Duration;

use lane::{Figures, Lane, Moment};

use crate::{Proof, arguments::Arguments, report::Report, support::pair::Audit};

/// A container is killed 30 s after it was asked to stop.
const GRACE: Duration = Duration::from_secs(25);
/// A second signal is obeyed at once.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Lanes at once.
const LANES: u64 = 6;

/// `stops --n STOPS --timeout SECONDS --rows R --state sqlite|postgres --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "stops",
    about: "SIGTERM at random moments under load: exit 0 in time, then nothing is wrong",
    small: &["--seed", "1", "--n", "5", "--timeout", "3", "--rows", "300"],
    run,
};

/// What every lane has in common.
struct Settings {
    timeout: u64,
    rows: u32,
    postgres: bool,
    broken: Vec<String>,
}

fn run(arguments: &Arguments) -> Report {
    let (stops, seed) = (arguments.number("n", 100), arguments.seed());
    let settings = Settings {
        timeout: arguments.number("timeout", 20),
        rows: u32::try_from(arguments.number("rows", 500)).expect("fewer rows"),
        postgres: arguments.text("state") == Some("postgres"),
        broken: arguments.text("rule").map(|rule| vec!["--break-rule".into(), rule.into()]).unwrap_or_default(),
    };
    let lanes = stops.clamp(1, LANES);
    let mut sum = Figures::default();
    std::thread::scope(|scope| {
        let settings = &settings;
        let run = |lane: u64| {
            let share = stops / lanes + u64::from(lane < stops % lanes);
            scope.spawn(move || Lane::new(lane, settings, seed.wrapping_add(lane)).run(share))
        };
        let running: Vec<_> = (0..lanes).map(run).collect();
        for lane in running {
            match lane.join() {
                Ok(figures) => sum.add(figures),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    judge(&sum, stops)
}

fn judge(sum: &Figures, stops: u64) -> Report {
    let mut report = Report::new();
    for moment in Moment::ALL {
        let took: Vec<Duration> = sum.stops.iter().filter(|stop| stop.moment == moment).map(|stop| stop.took).collect();
        let longest = took.iter().max().map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        report.figure(moment.name(), took.len());
        report.figure(&format!("{}_longest_ms", moment.name()), longest);
    }
    let late = sum.stops.iter().filter(|stop| stop.took > if stop.second { AT_ONCE } else { GRACE }).count();
    let unclean = sum.stops.iter().filter(|stop| stop.code != Some(if stop.second { 130 } else { 0 })).count();
    report.figure("stops", sum.stops.len());
    report.figure("second_signals", sum.stops.iter().filter(|stop| stop.second).count());
    report.figure("checks", sum.checks);
    report.figure("wrong", sum.audit.wrong);
    report.figure("missing", sum.audit.missing);
    report.figure("orphans", sum.audit.orphans);
    report.figure("writes", sum.writes);
    report.figure("resends", sum.resends);
    report.figure("resend_bound", sum.bound);
    report.demand(sum.stops.len() as u64 >= stops, "too few stops");
    report.demand(late == 0, format!("{late} stops took longer than {GRACE:?}, or {AT_ONCE:?} after a second signal"));
    let codes: Vec<_> = sum.stops.iter().map(|stop| stop.code).collect();
    report.demand(unclean == 0, format!("{unclean} stops ended with another exit code: {codes:?}"));
    let differ = format!("{} of {} checks found a difference", sum.failed_checks, sum.checks);
    report.demand(sum.checks > 0 && sum.audit == Audit::default(), differ);
    sum.beyond.iter().for_each(|what| report.breaks(what));
    report.demand(sum.overlaps == 0, "two operations of one key were in flight");
    report
}
