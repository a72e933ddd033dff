//! A random case: what the snapshot holds, what the model gives then, under which rules.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use syncline::model::spec::GuardSpec;

/// A row of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// `None`: a row without a key.
    pub(super) id: Option<i64>,
    /// `None`: a row without a match value, which is invalid.
    pub(super) email: Option<String>,
    pub(super) name: String,
    /// Filled in the snapshot; `None`: it has become null.
    pub(super) note: Option<String>,
}

/// Two states of a model with what lies between them.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Keys that an earlier run removed, and how many hours ago; the snapshot held them before.
    pub(super) removed_before: BTreeSet<i64>,
    pub(super) hours: u64,
    /// What the snapshot holds; `None`: the sync has never run.
    pub(super) old: Option<BTreeSet<i64>>,
    /// The result, in key order.
    pub(super) new: Vec<Row>,
    /// The mapping is another than that of the snapshot.
    pub(super) remaps: bool,
    pub(super) asks: bool,
    pub(super) guard: GuardSpec,
}

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Added,
    Changed,
    Remapped,
    Removed,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Added, Self::Changed, Self::Remapped, Self::Removed];
}

/// The row that a snapshot is made of.
pub(super) fn plain(id: i64) -> Row {
    Row { id: Some(id), email: Some(format!("p{id}@x")), name: "old".to_owned(), note: Some("note".to_owned()) }
}

/// Shares that a double holds exactly, so that the reference's whole numbers mean the same.
const SHARES: [f64; 11] = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 33.5, 50.0, 75.0, 99.0, 100.0];

/// A case from a seed. Most are small; what happens to the rows is drawn so that bounds are hit closely from both sides.
pub(super) fn generate(seed: u64) -> Case {
    let rng = &mut Rng::with_seed(seed);
    let large = rng.u32(0..20) == 0;
    let size = if large { rng.i64(100..400) } else { rng.i64(0..40) };
    let had: BTreeSet<i64> = (1..=size).collect();
    let removed_before = if rng.u32(0..3) == 0 { pick(&had, rng) } else { BTreeSet::new() };
    let kept: BTreeSet<i64> = had.difference(&removed_before).copied().collect();
    let old = (rng.u32(0..12) > 0).then_some(kept);
    let snapshot = old.clone().unwrap_or_default();
    let mut new = result(&snapshot, size, rng);
    if rng.u32(0..15) == 0 {
        new.clear();
    }
    Case {
        removed_before: if old.is_some() { removed_before } else { BTreeSet::new() },
        hours: [0, 1, 12, 23, 25, 48][rng.usize(..6)],
        old,
        new,
        remaps: rng.u32(0..6) == 0,
        asks: rng.u32(0..6) == 0,
        guard: guard(large, rng),
    }
}

/// None, few, half or most of these.
fn pick(of: &BTreeSet<i64>, rng: &mut Rng) -> BTreeSet<i64> {
    let share = [0, 0, 2, 5, 10, 12, 25, 50, 60, 100][rng.usize(..10)];
    of.iter().copied().filter(|_| rng.u32(0..100) < share).collect()
}

fn result(old: &BTreeSet<i64>, size: i64, rng: &mut Rng) -> Vec<Row> {
    let fresh: BTreeSet<i64> = (size + 1..=size + 1 + rng.i64(0..=size)).collect();
    let [gone, changed, emptied, added] = [old, old, old, &fresh].map(|of| pick(of, rng));
    let (invalid, twice) = if rng.bool() { (pick(old, rng), pick(old, rng)) } else { Default::default() };
    let (few, none) = (rng.u32(0..3) == 0, BTreeSet::new());
    let (invalid, twice) = if few { (&invalid, &twice) } else { (&none, &none) };
    let mut rows = Vec::new();
    if rng.u32(0..25) == 0 {
        rows.push(Row { id: None, ..plain(0) });
    }
    for id in old.difference(&gone).chain(&added) {
        let mut row = plain(*id);
        if changed.contains(id) {
            row.name = "new".to_owned();
        }
        if emptied.contains(id) {
            row.note = None;
        }
        if invalid.contains(id) {
            row.email = None;
        }
        rows.push(row.clone());
        if twice.contains(id) {
            rows.push(row);
        }
    }
    rows
}

fn guard(large: bool, rng: &mut Rng) -> GuardSpec {
    let mut share = |usual: f64| if rng.bool() { usual } else { SHARES[rng.usize(..SHARES.len())] };
    let shares = [10.0, 50.0, 50.0, 2.0, 20.0, 10.0].map(&mut share);
    let [max_removed, max_changed, max_added, max_invalid, max_emptied, max_remapped] = shares;
    let mut cap = || (rng.u32(0..8) == 0).then(|| rng.u64(0..20));
    let [max_removed_rows, max_changed_rows, max_added_rows, max_invalid_rows, max_emptied_rows, max_remapped_rows] =
        [(); 6].map(|()| cap());
    GuardSpec {
        stop_on_empty: rng.u32(0..4) > 0,
        max_removed,
        max_changed,
        max_added,
        max_invalid,
        max_emptied,
        max_remapped,
        fresh: None,
        min_rows: if large && rng.bool() { 100 } else { rng.u64(0..6) },
        max_removed_rows,
        max_changed_rows,
        max_added_rows,
        max_invalid_rows,
        max_emptied_rows,
        max_remapped_rows,
    }
}

/// What the run would do, without a guard: each key's kind; and the rows that are invalid.
pub(super) fn changes(case: &Case) -> (BTreeMap<i64, Kind>, u64) {
    let old = case.old.clone().unwrap_or_default();
    let mut rows: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    let keyed = case.new.iter().filter_map(|row| Some((row.id?, row)));
    keyed.for_each(|(id, row)| rows.entry(id).or_default().push(row));
    let unkeyed = case.new.iter().filter(|row| row.id.is_none()).count();
    let (mut planned, mut invalid) = (BTreeMap::new(), unkeyed as u64);
    for (id, rows) in &rows {
        match rows.as_slice() {
            [row] if row.email.is_some() => {
                let kind = match (old.contains(id), **row == plain(*id)) {
                    (false, _) => Some(Kind::Added),
                    (true, false) => Some(Kind::Changed),
                    (true, true) => case.remaps.then_some(Kind::Remapped),
                };
                planned.extend(kind.map(|kind| (*id, kind)));
            }
            all => invalid += all.len() as u64,
        }
    }
    // A row without a key: absence proves nothing (P4).
    if unkeyed == 0 {
        let gone = old.iter().filter(|id| !rows.contains_key(id));
        planned.extend(gone.map(|id| (*id, Kind::Removed)));
    }
    (planned, invalid)
}

/// The reference: which rules of design section 3 item 5 trip, and which kinds they hold.
pub(super) fn verdict(case: &Case) -> (BTreeSet<&'static str>, BTreeSet<Kind>) {
    let (planned, invalid) = changes(case);
    let count = |kind| planned.values().filter(|planned| **planned == kind).count() as u64;
    let [added, changed, remapped, removed] = Kind::ALL.map(count);
    let snapshot = case.old.as_ref().map_or(0, BTreeSet::len) as u64;
    let emptied = planned.iter().filter(|(id, kind)| **kind == Kind::Changed && lost_note(case, **id)).count() as u64;
    let before = if case.hours < 24 { case.removed_before.len() as u64 } else { 0 };
    let (first, guard) = (case.old.is_none(), &case.guard);
    // In a first run there is no snapshot to take shares of: invalid rows are measured by the result.
    let base = if first { case.new.len() as u64 } else { snapshot };
    let over = |rows: u64, share: f64, base: u64| {
        share < 100.0 && rows > guard.min_rows && u128::from(rows) * 1000 > (share * 10.0) as u128 * u128::from(base)
    };
    let cap = |rows: u64, cap: Option<u64>| cap.is_some_and(|cap| rows > cap);
    let day = removed > 0 && before > 0 && over(removed + before, guard.max_removed, snapshot);
    let all = Kind::ALL.as_slice();
    let rules: [(&str, bool, &[Kind]); 15] = [
        ("first_run", first && case.asks && !planned.is_empty(), all),
        ("empty", guard.stop_on_empty && case.new.is_empty() && snapshot > 0, all),
        ("max_removed", over(removed, guard.max_removed, snapshot), &[Kind::Removed]),
        ("max_removed_24h", day, &[Kind::Removed]),
        ("max_changed", over(changed, guard.max_changed, snapshot), &[Kind::Changed]),
        ("max_added", !first && over(added, guard.max_added, snapshot), &[Kind::Added]),
        ("max_invalid", over(invalid, guard.max_invalid, base), all),
        ("max_emptied", over(emptied, guard.max_emptied, snapshot), all),
        ("max_remapped", over(remapped, guard.max_remapped, snapshot), &[Kind::Remapped]),
        ("max_removed_rows", cap(removed, guard.max_removed_rows), &[Kind::Removed]),
        ("max_changed_rows", cap(changed, guard.max_changed_rows), &[Kind::Changed]),
        ("max_added_rows", cap(added, guard.max_added_rows), &[Kind::Added]),
        ("max_invalid_rows", cap(invalid, guard.max_invalid_rows), all),
        ("max_emptied_rows", emptied > 0 && cap(emptied, guard.max_emptied_rows), all),
        ("max_remapped_rows", cap(remapped, guard.max_remapped_rows), &[Kind::Remapped]),
    ];
    let tripped = || rules.iter().filter(|(_, tripped, _)| *tripped);
    (tripped().map(|(name, ..)| *name).collect(), tripped().flat_map(|(.., held)| held.iter().copied()).collect())
}

fn lost_note(case: &Case, id: i64) -> bool {
    case.new.iter().any(|row| row.id == Some(id) && row.note.is_none())
}
