//! What must hold after a simulated day.

use std::{collections::BTreeMap, time::Duration};

use super::{
    runs::{Run, runs},
    script::{Script, minutes},
    ticks::missed,
    vendor::Op,
    world::Day,
};

/// Longest run of a healthy sync beside a sick one of the same account.
const BESIDE_SICK: Duration = Duration::from_secs(15);
/// First real send after an outage.
const RECOVERY: Duration = Duration::from_secs(60);

/// What a judge found.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) broken: Vec<String>,
    pub(super) runs: usize,
    pub(super) requests: u64,
    pub(super) deferred: usize,
    pub(super) tokens: u64,
}

/// Everything that does not hold.
pub(super) fn judge(script: &Script, day: &Day) -> Verdict {
    let entries = day.trace.entries();
    let (runs, mut broken) = runs(&entries);
    broken.extend(day.failure.iter().map(|failure| format!("the daemon failed: {failure}")));
    let panics = entries.iter().filter(|entry| entry.event == "process.panicked");
    broken.extend(panics.map(|entry| entry.line()));
    broken.extend(missed(script, &runs));
    broken.extend(unconverged(script, day, &runs));
    broken.extend(starved(script, &runs));
    broken.extend(outage(script, day));
    let world = day.vendor.world();
    broken.extend(world.violations.iter().cloned());
    Verdict {
        broken,
        runs: runs.len(),
        requests: world.accounts.iter().map(|account| account.requests).sum(),
        deferred: runs.iter().filter(|run| run.outcome == "deferred").count(),
        tokens: world.tokens.granted,
    }
}

/// Records that are not as the model says.
fn unconverged(script: &Script, day: &Day, runs: &[Run]) -> Vec<String> {
    let world = day.vendor.world();
    let mut broken = Vec::new();
    for sync in script.syncs.iter().filter(|sync| sync.converges(script, runs)) {
        let rows = day.models.rows(&sync.model);
        let wanted: BTreeMap<String, &str> = rows.iter().map(|(key, value)| (key.to_string(), *value)).collect();
        let records = world.accounts[sync.account].records.iter().filter(|((object, _), _)| *object == sync.name);
        let found: BTreeMap<String, &str> = records.map(|((_, key), value)| (key.clone(), value.as_str())).collect();
        if wanted != found {
            let wrong = wanted.iter().filter(|(key, value)| found.get(*key) != Some(value)).count();
            let orphans = found.keys().filter(|key| !wanted.contains_key(*key)).count();
            let what = format!("{wrong} rows missing or wrong, {orphans} orphans");
            broken.push(format!("sync `{}` has not converged: {what}", sync.name));
        }
    }
    broken
}

/// Runs that waited for others of their account which only waited for their next attempt.
fn starved(script: &Script, runs: &[Run]) -> Vec<String> {
    let sick =
        |run: &Run| script.accounts.iter().any(|account| account.sick.as_ref().is_some_and(|(of, _)| *of == run.sync));
    let beside = |run: &&Run| {
        let sync = script.syncs.iter().find(|sync| sync.name == run.sync);
        sync.is_some_and(|sync| script.accounts[sync.account].sick.is_some()) && !sick(run)
    };
    let lasted = |run: &Run| run.end.map(|end| end - run.start).filter(|time| *time > BESIDE_SICK);
    let slow = runs.iter().filter(beside).filter_map(|run| Some((run, lasted(run)?)));
    slow.map(|(run, time)| format!("a run of `{}` took {time:?} beside a sick sync", run.sync)).collect()
}

/// After an outage the account is used again soon; where nothing changes meanwhile, each key is sent once.
fn outage(script: &Script, day: &Day) -> Vec<String> {
    let world = day.vendor.world();
    let mut broken = Vec::new();
    for (account, of) in world.accounts.iter().zip(&script.accounts) {
        let Some(outage) = of.outage.as_ref() else { continue };
        let after = || account.served.iter().filter(|(at, _)| *at >= outage.end);
        let first = after().next().map(|(at, _)| *at - outage.end);
        // Only syncs of every minute have a run under way at its end.
        if script.calm_from <= outage.end {
            if first.is_none_or(|first| first > RECOVERY) {
                broken.push(format!("after the outage the first send came after {first:?}"));
            }
            let mut sent: BTreeMap<&(String, String), u32> = BTreeMap::new();
            let ops = after().flat_map(|(_, ops)| ops);
            ops.for_each(|op: &Op| *sent.entry(&op.0).or_default() += 1);
            let again = sent.values().filter(|times| **times > 1).count();
            if again > 0 || sent.is_empty() {
                broken.push(format!("after the outage {again} of {} keys were sent more than once", sent.len()));
            }
        }
        let during = account.arrivals.iter().filter(|at| outage.contains(at)).count() as u64;
        // The first three find out, two more may be under way, and each run of a change asks once more at most.
        let allowed = (outage.end - outage.start).as_secs() / 30 + 6;
        if during > allowed {
            broken.push(format!("{during} requests during an outage, {allowed} allowed"));
        }
    }
    broken
}

/// While everything fails, requests stay near the first attempts, and no row has more than three in a run.
pub(super) fn amplification(script: &Script, day: &Day) -> Vec<String> {
    let (runs, _) = runs(&day.trace.entries());
    let world = day.vendor.world();
    let mut broken = Vec::new();
    for (account, of) in world.accounts.iter().zip(&script.accounts) {
        let Some(outage) = of.outage.as_ref() else { continue };
        let writes: Vec<_> = account.writes.iter().filter(|write| outage.contains(&write.at)).collect();
        let mut first = 0;
        for run in &runs {
            let own: Vec<_> = writes.iter().filter(|write| write.object == run.sync && run.covers(write.at)).collect();
            let mut rows: BTreeMap<&(String, String), u32> = BTreeMap::new();
            own.iter().flat_map(|write| &write.ops).for_each(|op| *rows.entry(&op.0).or_default() += 1);
            first += own
                .iter()
                .enumerate()
                .filter(|(at, write)| !own[..*at].iter().any(|other| other.ops == write.ops))
                .count();
            if let Some(most) = rows.values().max().filter(|most| **most > 3) {
                broken.push(format!("a row of `{}` was sent {most} times in one run", run.sync));
            }
        }
        // The retry budget's floor: 20, and one more every 30 s.
        let floor = 20.0 + (outage.end - outage.start).as_secs_f64() / 30.0;
        if writes.len() as f64 > 1.1 * first as f64 + floor || writes.is_empty() {
            broken.push(format!("{} requests of {first} first attempts", writes.len()));
        }
    }
    broken
}

/// What a whole day must have met: a quota that was spent, a token that was refused.
pub(super) fn eventful(script: &Script, day: &Day, verdict: &Verdict) -> Vec<String> {
    let entries = day.trace.entries();
    let met = |event: &str| entries.iter().any(|entry| entry.event == event);
    let events =
        ["quota.spent", "hold.opened", "hold.closed", "token.failed", "credentials.refused", "batch.ambiguous"];
    let mut broken: Vec<String> =
        events.iter().filter(|event| !met(event)).map(|event| format!("the day had no `{event}`")).collect();
    // Nobody asks for a token while the quota is spent.
    if entries.iter().any(|entry| entry.event == "quota.spent" && entry.at < script.token_refused.end) {
        broken.retain(|what| !what.contains("credentials.refused"));
    }
    // Tokens are asked for every half hour at most, and the trouble lasts no longer.
    if day.vendor.world().tokens.troubled == 0 {
        broken.retain(|what| !what.contains("token.failed"));
    }
    // None while nothing is sent: the quota is spent, the secret is refused.
    if verdict.tokens < (script.end.as_secs() / minutes(30).as_secs()) / 4 {
        broken.push(format!("only {} tokens were given", verdict.tokens));
    }
    broken
}
