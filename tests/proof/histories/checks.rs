//! The promises, as far as they can be seen from outside and in the state.

use std::collections::{BTreeMap, BTreeSet};

use syncline::{
    model::{Entry, Held, InvalidRow, Key, RejectedMark},
    run::RunReport,
    state::RunStatus,
};

use super::{
    bench::{GUARD_ROWS, GUARD_SHARE},
    op::Again,
    play::Play,
    world::{Record, Row, World},
};

/// Runs that may pass until nothing is left to do.
const PATIENCE: usize = 12;
/// A reject waits at most a day for its next try.
const A_DAY_AND_AN_HOUR: u64 = 25 * 3600;

fn id_of(key: &Key) -> i64 {
    key.to_text().and_then(|text| text.parse().ok()).expect("keys are integers")
}

/// The report of a run, against what was seen of it.
pub(super) fn report(play: &mut Play<'_>, report: &RunReport, before: u64) {
    let guarded = play.is_guarded();
    let approved = play.approved.clone();
    let mut world = play.bench.world.lock();
    if let Err(broken) = report.counts.check() {
        world.breaks(format!("P6: {broken}"));
    }
    let (partial, read, rows) = (world.watch.partial, report.counts.read, world.watch.rows);
    if report.status == RunStatus::Failed && !partial && !world.watch.disturbed {
        world.breaks(format!("a run failed undisturbed: {:?}", report.reason));
    }
    if report.status == RunStatus::Refused {
        world.breaks(format!("a run was refused: {:?}", report.reason));
    }
    if partial && report.status != RunStatus::Failed {
        world.breaks(format!("P4: a run over a partial read ended as {:?}", report.status));
    }
    if report.status != RunStatus::Failed {
        if read != rows {
            world.breaks(format!("P6: {rows} rows were handed out, {read} are counted"));
        }
        if report.counts.delivered > world.watch.delivered {
            let (counted, seen) = (report.counts.delivered, world.watch.delivered);
            world.breaks(format!("P6: {counted} operations count as delivered, {seen} were acknowledged"));
        }
    }
    let removed = world.watch.removed.iter().filter(|key| !approved.contains(key)).count() as u64;
    let over = removed > GUARD_ROWS && removed as f64 * 100.0 > GUARD_SHARE * before as f64;
    let emptied = removed > 0 && rows == 0 && before > 0 && approved.is_empty();
    if guarded && (over || emptied) {
        world.breaks(format!("guard: {removed} of {before} keys were removed, nobody approved it"));
    }
}

/// What the state holds, by key.
async fn held(play: &Play<'_>) -> BTreeMap<i64, Held> {
    let instance = play.bench.vendor.instance.lock().expect("no panic").clone();
    let mut all = BTreeMap::new();
    let Some((state, record)) = instance else { return all };
    let mut overlay = state.overlay(record.id);
    while let Some(held) = overlay.next().await.expect("the state can be read") {
        all.insert(id_of(&held.key), held);
    }
    all
}

/// What the snapshot says of a key that nothing is open for is what the vendor holds, and the vendor holds nothing of ours
/// that the state does not know.
pub(super) async fn truth(play: &Play<'_>) {
    let held = held(play).await;
    let instance = play.bench.vendor.instance.lock().expect("no panic").clone();
    let Some((state, sync)) = instance else { return };
    let hasher = state.fingerprinter(&sync);
    let rejected: Vec<(Key, RejectedMark)> = state.rejected(sync.id, None, 100).await.expect("the state can be read");
    let mut world = play.bench.world.lock();
    let mut broken = Vec::new();
    for (key, held) in &held {
        let entry = held.entry.as_ref().filter(|entry| !entry.tombstone && held.dirty.is_empty());
        let Some(entry) = entry.filter(|_| !world.vandalised.contains(key)) else { continue };
        let own = || world.records.iter().find(|(_, record)| record.key == Some(*key)).map(|(id, _)| *id);
        let id = entry.record_id.as_deref().map_or_else(own, |id| id.parse::<u64>().ok());
        match id.and_then(|id| world.records.get(&id)) {
            None => broken.push(format!("P2: the snapshot has key {key} at record {id:?}, which is not there")),
            Some(record) if hasher.of(&record.bytes) != entry.fingerprint => {
                broken.push(format!("P2: the snapshot has key {key} settled, record {id:?} is {}", shown(record)));
            }
            Some(_) => {}
        }
    }
    for (id, record) in &world.records {
        let Some(key) = record.key else { continue };
        let own = held.get(&key);
        // Known by the entry that names it, whatever another key has written over it; or it may be an open key's.
        let known = held.values().any(|held| names(held.entry.as_ref(), *id))
            || own.is_some_and(|held| {
                !held.dirty.is_empty() || held.entry.as_ref().is_some_and(|e| e.record_id.is_none())
            });
        if !known && !world.vandalised.contains(&key) {
            broken.push(format!("P2: record {id} of key {key} is an orphan"));
        }
    }
    for (key, _) in rejected.iter().filter(|(_, mark)| mark.code == "conflict" && mark.next_try.is_none()) {
        let Some(record) = world.watch.answered.get(&id_of(key)) else { continue };
        let owns = |held: &Held| {
            held.entry.as_ref().and_then(|entry| entry.record_id.as_deref()) == Some(record.to_string().as_str())
        };
        if !held.iter().any(|(other, held)| world.watch.present.contains(other) && owns(held)) {
            let key = id_of(key);
            broken.push(format!("key {key} is refused for good because of record {record}, which no living key owns"));
        }
    }
    broken.into_iter().for_each(|what| world.breaks(what));
}

fn shown(record: &Record) -> String {
    format!("{} {} {}", record.email, record.name, record.tag)
}

/// Faults stop, time passes, runs follow until nothing is left to do; then everything is compared (P1).
pub(super) async fn quiesce(play: &mut Play<'_>, late: bool) {
    {
        let mut world = play.bench.world.lock();
        while late && world.apply_late(0) {}
        world.doubts.iter_mut().for_each(|doubt| doubt.batch = None);
        world.refused.clear();
        world.null_key = false;
    }
    let excluded = rest(play).await;
    compare(play, &excluded).await;
    if !excluded.is_empty() && !is_broken(play) {
        // What stands refused or invalid is mended, and nothing may be left of it.
        mend(play, &excluded);
        let excluded = rest(play).await;
        if !excluded.is_empty() {
            let what = format!("P1: keys {excluded:?} are held back though nothing is wrong with them");
            play.bench.world.lock().breaks(what);
        }
        compare(play, &excluded).await;
    }
    play.bench.world.lock().vandalised.clear();
}

fn is_broken(play: &Play<'_>) -> bool {
    !play.bench.world.lock().broken.is_empty()
}

/// Runs until nothing is left to do; gives the keys that are rejected or invalid.
async fn rest(play: &mut Play<'_>) -> BTreeSet<i64> {
    play.quiet_points += 1;
    play.bench.advance(A_DAY_AND_AN_HOUR).await;
    if !play.bench.world.lock().vandalised.is_empty() {
        play.run(&[]).await;
        play.resync(Again::Whole).await;
    }
    for _ in 0..PATIENCE {
        let report = play.run(&[]).await;
        if is_broken(play) {
            return BTreeSet::new();
        }
        if report.status == RunStatus::Guarded {
            // An approval ends after a day.
            play.approve().await;
            continue;
        }
        play.bench.advance(A_DAY_AND_AN_HOUR).await;
        let counts = report.counts;
        // What is refused or invalid keeps the address that others wait for, for ever where two exchange theirs.
        let behind = if counts.rejected + counts.invalid > 0 { counts.left_over } else { 0 };
        let sent = counts.added + counts.changed + counts.removed - counts.rejected - behind;
        // A removal waits while several rows want its record.
        let kept = if counts.invalid > 0 { counts.waiting_removals } else { 0 };
        if sent + counts.waiting_removals == kept && matches!(report.status, RunStatus::Ok | RunStatus::Partial) {
            let mut excluded = excluded(play, counts.waiting).await;
            if behind + kept > 0 {
                excluded.extend(absent(play).await);
            }
            return excluded;
        }
    }
    play.bench.world.lock().breaks(format!("P1: no rest after {PATIENCE} runs"));
    BTreeSet::new()
}

/// Absent keys that the state knows.
async fn absent(play: &Play<'_>) -> Vec<i64> {
    let held = held(play).await;
    let world = play.bench.world.lock();
    held.keys().copied().filter(|id| !world.model.iter().any(|row| row.id == Some(*id))).collect()
}

async fn excluded(play: &Play<'_>, waiting: u64) -> BTreeSet<i64> {
    let instance = play.bench.vendor.instance.lock().expect("no panic").clone();
    let Some((state, sync)) = instance else { return BTreeSet::new() };
    let rejected: Vec<(Key, RejectedMark)> = state.rejected(sync.id, None, 100).await.expect("the state can be read");
    let invalid: Vec<InvalidRow> = state.invalid(sync.id, 100).await.expect("the state can be read");
    // Behind rows that exchange addresses and are refused others may wait, which were delivered before: a resync sends them
    // again. What the vendor holds of them is compared with the model all the same.
    if waiting > 0 && rejected.is_empty() {
        play.bench.world.lock().breaks("P1: rows wait though nothing is under way".to_owned());
    }
    let keys =
        invalid.iter().flat_map(|row| row.key.iter().chain(&row.others)).chain(rejected.iter().map(|(key, _)| key));
    keys.map(id_of).collect()
}

fn names(entry: Option<&Entry>, record: u64) -> bool {
    entry.and_then(|entry| entry.record_id.as_deref()).is_some_and(|own| own == record.to_string())
}

/// Gives every held-back row an address of its own, and takes copies away.
fn mend(play: &Play<'_>, excluded: &BTreeSet<i64>) {
    let mut world = play.bench.world.lock();
    world.note(|| format!("  mended: {excluded:?}"));
    let mut seen = BTreeSet::new();
    world.model.retain(|row| seen.insert(row.id));
    let taken = |world: &World, email: u8| {
        let at_vendor = world.records.values().any(|record| record.email == format!("{email}@x"));
        at_vendor || world.model.iter().chain(&world.kept).any(|row| row.email == email)
    };
    // An address of its own for each: of no row, absent ones too, and of no record.
    let mut fresh = (play.emails()..u8::MAX).filter(|email| !taken(&world, *email)).collect::<Vec<_>>().into_iter();
    for row in &mut world.model {
        if row.id.is_some_and(|id| excluded.contains(&id)) {
            row.email = fresh.next().expect("there are more addresses than rows");
        }
    }
    world.model.sort();
}

/// The vendor holds exactly the model, keys that are held back aside, and their records whatever is in them.
async fn compare(play: &Play<'_>, excluded: &BTreeSet<i64>) {
    let tag = format!("t{}", play.tag());
    let held = held(play).await;
    let mut world = play.bench.world.lock();
    if !world.broken.is_empty() {
        return;
    }
    let living: BTreeSet<i64> = world.model.iter().filter_map(|row| row.id).collect();
    // Collisions hold back the removal of who had the address, too.
    let is_held_back = |owner: &i64| excluded.contains(owner) || !(excluded.is_empty() || living.contains(owner));
    let of_held_back = |id: u64| {
        let mut owners = held.iter().filter(|(_, held)| names(held.entry.as_ref(), id)).map(|(owner, _)| owner);
        owners.any(is_held_back)
    };
    let aside = |key: &i64| !excluded.contains(key);
    let line = |row: &Row| row.id.filter(aside).map(|id| format!("{id}: {}@x {} {tag}", row.email, row.name));
    let mut wanted: Vec<String> = world.model.iter().filter_map(line).collect();
    let line = |(id, record): (&u64, &Record)| {
        let key = record.key.filter(aside).filter(|_| !of_held_back(*id));
        key.map(|key| format!("{key}: {}", shown(record)))
    };
    let mut found: Vec<String> = world.records.iter().filter_map(line).collect();
    wanted.sort();
    found.sort();
    if wanted != found {
        world.breaks(format!("P1: the model holds {wanted:?}, the vendor {found:?}"));
    }
}
