//! Which runs the schedules ask for, worked out anew: intervals by elapsed time, cron by the wall clock, `after` by what
//! has closed.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    runs::Run,
    script::{Script, SyncScript, When, minutes},
};

/// How late a run may begin: the scheduler looks around every five seconds, and the state takes its time.
const LATE: Duration = Duration::from_secs(8);
const HOUR: i64 = 3600;

/// Ticks that were missed, and runs that nobody asked for.
pub(super) fn missed(script: &Script, runs: &[Run]) -> Vec<String> {
    let of = |name: &str| runs.iter().filter(|run| run.sync == name).cloned().collect::<Vec<_>>();
    let check = |sync: &SyncScript| match &sync.when {
        When::Every(every) => {
            let own = of(&sync.name);
            let Some(first) = own.first().map(|run| run.start) else { return vec!["it never ran".to_owned()] };
            let ticks: Vec<Duration> =
                (0..).map(|tick| first + *every * tick).take_while(|at| *at < script.end).collect();
            covered(&own, &ticks, script.end)
        }
        When::Cron(pattern, zone) => covered(&of(&sync.name), &cron(script, pattern, zone), script.end),
        When::After(parents) => {
            let parents: Vec<Vec<Run>> = parents.iter().map(|parent| of(parent)).collect();
            following(script, &of(&sync.name), &parents)
        }
    };
    let named =
        |sync: &SyncScript| check(sync).into_iter().map(|what| format!("sync `{}`: {what}", sync.name)).collect();
    script.syncs.iter().flat_map(|sync| -> Vec<String> { named(sync) }).collect()
}

/// Each tick begins a run at once, or when the run ends that is under way; nothing else does.
fn covered(runs: &[Run], ticks: &[Duration], end: Duration) -> Vec<String> {
    let mut broken = Vec::new();
    let begins = |from: Duration, until: Duration| runs.iter().any(|run| from <= run.start && run.start <= until);
    for tick in ticks.iter().filter(|tick| **tick + LATE < end) {
        let early = tick.saturating_sub(Duration::from_secs(2));
        let served = begins(early, *tick + LATE)
            || runs
                .iter()
                .filter(|run| run.covers(*tick))
                .filter_map(|run| run.end)
                .any(|ended| ended + LATE >= end || begins(ended, ended + LATE));
        if !served {
            broken.push(format!("no run for its time at {:.0} s", tick.as_secs_f64()));
        }
    }
    if runs.len() > ticks.len() {
        broken.push(format!("{} runs for {} times", runs.len(), ticks.len()));
    }
    broken
}

/// When a cron schedule is due, in simulated time. A jump forward over several times is one run; a jump back repeats none.
fn cron(script: &Script, pattern: &str, zone: &str) -> Vec<Duration> {
    let zone = TimeZone::get(zone).unwrap();
    let mut bounds = vec![Duration::ZERO];
    bounds.extend(script.jumps.iter().map(|(at, _)| *at));
    bounds.push(script.end);
    let mut seen = script.start;
    let mut due = Vec::new();
    for pair in bounds.windows(2) {
        let [from, to] = pair else { continue };
        let wall = |at: Duration| script.wall(at).div_euclid(1_000_000);
        let (begin, ahead) = (wall(*from), script.ahead(*from));
        let leapt = times(pattern, &zone, seen, begin);
        due.extend(leapt.last().map(|_| *from));
        seen = seen.max(begin);
        let last = script.start + ahead + i64::try_from(to.as_secs()).unwrap();
        let ticks = times(pattern, &zone, seen, last);
        due.extend(ticks.iter().map(|at| Duration::from_secs(u64::try_from(at - script.start - ahead).unwrap())));
        seen = seen.max(last);
    }
    due
}

/// The times of a pattern after `from` and up to `to`, in seconds. Minutes and hours only.
fn times(pattern: &str, zone: &TimeZone, from: i64, to: i64) -> Vec<i64> {
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let minute_fits = |minute: i64| match fields[0].strip_prefix("*/") {
        Some(step) => minute % step.parse::<i64>().unwrap() == 0,
        None => fields[0].split(',').any(|one| one.parse() == Ok(minute)),
    };
    let local = |at: i64| zone.to_datetime(Timestamp::from_second(at).unwrap());
    let fixed: Option<i64> = fields[1].parse().ok();
    let fits = |at: &i64| {
        let now = local(*at);
        // The hour that comes twice counts once for a fixed hour.
        let again = now == local(at - HOUR);
        minute_fits(now.minute().into()) && fixed.is_none_or(|hour| hour == i64::from(now.hour()) && !again)
    };
    (from.div_euclid(60) + 1..=to.div_euclid(60)).map(|minute| minute * 60).filter(fits).collect()
}

/// A sync that runs after others begins once all have closed well since its own last start, soon, and not before.
///
/// The log tells of a start a little later than the state: what closed about then may have counted or not.
fn following(script: &Script, runs: &[Run], parents: &[Vec<Run>]) -> Vec<String> {
    let mut broken = Vec::new();
    let closed = |since: Duration| {
        let first = |parent: &Vec<Run>| {
            let ends = parent.iter().filter(|run| matches!(run.outcome.as_str(), "ok" | "partial"));
            ends.filter_map(|run| run.end).find(|end| *end > since)
        };
        parents.iter().map(first).collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max())
    };
    // From the last start on for sure, or perhaps; and the end of that run, before which no other begins.
    let (mut surely, mut perhaps, mut free) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut goes_on = false;
    for run in runs {
        match closed(perhaps) {
            _ if goes_on && run.start < free + LATE => {}
            Some(ready) if ready > run.start => {
                broken.push(format!("it ran at {:.0} s, before the others had", run.start.as_secs_f64()));
            }
            Some(_) => {}
            None => broken.push(format!("it ran at {:.0} s, and the others never did", run.start.as_secs_f64())),
        }
        let due = closed(surely).filter(|ready| !was_set_back(script, *ready)).map(|ready| ready.max(free));
        if let Some(due) = due.filter(|due| *due + LATE < run.start) {
            broken.push(format!("it ran {:?} after the others", run.start - due));
        }
        goes_on = run.goes_on();
        free = run.end.unwrap_or(script.end);
        surely = free.min(run.start + Duration::from_secs(1));
        perhaps = run.start.saturating_sub(Duration::from_secs(1));
    }
    let due = closed(surely).filter(|ready| !was_set_back(script, *ready)).map(|ready| ready.max(free));
    let waiting = due.filter(|due| *due + LATE < script.end);
    broken.extend(waiting.map(|due| format!("it never ran after the others had at {:.0} s", due.as_secs_f64())));
    broken
}

/// Whether the clock has been set back within its jump's length: what the state knows then lies in the future.
fn was_set_back(script: &Script, at: Duration) -> bool {
    let back = script
        .jumps
        .iter()
        .filter(|(jump, ahead)| *ahead < script.ahead(jump.saturating_sub(Duration::from_millis(1))));
    back.into_iter().any(|(jump, _)| *jump <= at && at < *jump + minutes(61))
}
