//! What must hold after a simulated day.

use super::{script::Script, world::Day};

/// Everything that does not hold.
pub(super) fn judge(script: &Script, day: &Day) -> Vec<String> {
    let mut broken: Vec<String> = day.failure.iter().map(|failure| format!("the daemon failed: {failure}")).collect();
    broken.extend(day.vendor.world().violations.iter().cloned());
    broken.extend(unconverged(script, day));
    broken
}

/// Records that are not as the model says.
fn unconverged(script: &Script, day: &Day) -> Vec<String> {
    let world = day.vendor.world();
    let mut broken = Vec::new();
    for sync in &script.syncs {
        let rows = day.models.rows(&sync.model);
        let wanted = rows.iter().map(|(key, value)| (key.to_string(), (*value).to_owned()));
        let mut wanted: Vec<(String, String)> = wanted.collect();
        wanted.sort();
        let records = world.accounts[sync.account].records.iter().filter(|((object, _), _)| *object == sync.name);
        let found: Vec<(String, String)> = records.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        if wanted != found {
            let wrong = wanted.iter().filter(|row| !found.contains(row)).count();
            let orphans = found.iter().filter(|row| !wanted.iter().any(|(key, _)| *key == row.0)).count();
            broken.push(format!("sync `{}` has not converged: {wrong} rows missing or wrong, {orphans} orphans", sync.name));
        }
    }
    broken
}
