//! The guard: the rules that stop a plan before anything is sent (design section 3.5). Pure.

use crate::model::{
    ChangeKind,
    spec::{FirstRun, GuardSpec},
};

/// What the guard judges. Changes that are approved are in none of the counts but `approved_removed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Entries of the snapshot before the run, tombstones left out: what shares are of.
    pub snapshot_rows: u64,
    /// Rows of the result.
    pub result_rows: u64,
    /// Planned additions that count.
    pub added: u64,
    /// Planned changes that count: no re-sends, reject retries or resync.
    pub changed: u64,
    /// Planned removals, also of dirty keys and under `keep`.
    pub removed: u64,
    /// Unapproved removals that earlier runs of the last 24 hours settled.
    pub removed_before: u64,
    /// Invalid rows; 0 when the approved run was held for its invalid rows.
    pub invalid: u64,
    /// Planned removals that are approved.
    pub approved_removed: u64,
    /// A first run has closed complete.
    pub first_run_complete: bool,
    /// The first run is approved.
    pub first_run_approved: bool,
}

/// A rule of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// `first_run = "ask"`.
    FirstRun,
    /// An empty result while the snapshot is not.
    Empty,
    /// Share of removed keys in this run.
    MaxRemoved,
    /// Share of removed keys in the last 24 hours, this run included.
    MaxRemovedDay,
    /// Share of changed keys.
    MaxChanged,
    /// Share of added keys.
    MaxAdded,
    /// Share of invalid rows.
    MaxInvalid,
    /// Absolute cap on removed keys.
    MaxRemovedRows,
    /// Absolute cap on changed keys.
    MaxChangedRows,
    /// Absolute cap on added keys.
    MaxAddedRows,
    /// Absolute cap on invalid rows.
    MaxInvalidRows,
}

impl Rule {
    /// The stable name; but for `first_run` and `max_removed_24h` that of the setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstRun => "first_run",
            Self::Empty => "empty",
            Self::MaxRemoved => "max_removed",
            Self::MaxRemovedDay => "max_removed_24h",
            Self::MaxChanged => "max_changed",
            Self::MaxAdded => "max_added",
            Self::MaxInvalid => "max_invalid",
            Self::MaxRemovedRows => "max_removed_rows",
            Self::MaxChangedRows => "max_changed_rows",
            Self::MaxAddedRows => "max_added_rows",
            Self::MaxInvalidRows => "max_invalid_rows",
        }
    }

    const fn holds(self) -> HeldKinds {
        let none = HeldKinds { added: false, changed: false, removed: false };
        match self {
            Self::FirstRun | Self::Empty | Self::MaxInvalid | Self::MaxInvalidRows => {
                HeldKinds { added: true, changed: true, removed: true }
            }
            Self::MaxRemoved | Self::MaxRemovedDay | Self::MaxRemovedRows => HeldKinds { removed: true, ..none },
            Self::MaxChanged | Self::MaxChangedRows => HeldKinds { changed: true, ..none },
            Self::MaxAdded | Self::MaxAddedRows => HeldKinds { added: true, ..none },
        }
    }
}

/// The bound that was passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Percent of the snapshot.
    Share(f64),
    /// A number of rows.
    Rows(u64),
    /// The rule has no number.
    None,
}

/// A rule that tripped.
#[derive(Debug, Clone, PartialEq)]
pub struct Trip {
    /// The rule.
    pub rule: Rule,
    /// Rows concerned.
    pub measured: u64,
    /// Entries of the snapshot before the run.
    pub snapshot_rows: u64,
    /// The bound.
    pub limit: Limit,
    /// What happened, in one line.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

/// The kinds of change that are held. Approved changes are never held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldKinds {
    /// Additions.
    pub added: bool,
    /// Changes.
    pub changed: bool,
    /// Removals.
    pub removed: bool,
}

impl HeldKinds {
    /// Whether changes of this kind are held.
    pub const fn holds(self, kind: ChangeKind) -> bool {
        match kind {
            ChangeKind::Added => self.added,
            ChangeKind::Changed => self.changed,
            ChangeKind::Removed => self.removed,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            added: self.added || other.added,
            changed: self.changed || other.changed,
            removed: self.removed || other.removed,
        }
    }
}

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The rules that tripped, in the order of [`Rule`].
    pub tripped: Vec<Trip>,
    /// The kinds that are held.
    pub held: HeldKinds,
}

const APPROVE: &str = "look at the model; if this is meant, `syncline approve` the run";

/// Judges a plan.
pub fn judge(spec: &GuardSpec, first_run: FirstRun, measured: &Measured) -> Verdict {
    let mut tripped = Vec::new();
    tripped.extend(ask(first_run, measured));
    tripped.extend(empty(spec, measured));
    tripped.extend(shares(spec, measured));
    tripped.extend(caps(spec, measured));
    let held = tripped.iter().fold(HeldKinds::default(), |held, trip: &Trip| held.and(trip.rule.holds()));
    Verdict { tripped, held }
}

fn ask(first_run: FirstRun, measured: &Measured) -> Option<Trip> {
    let rows = measured.added + measured.changed + measured.removed;
    let waits = first_run == FirstRun::Ask && !measured.first_run_complete && !measured.first_run_approved && rows > 0;
    waits.then(|| Trip {
        rule: Rule::FirstRun,
        measured: rows,
        snapshot_rows: measured.snapshot_rows,
        limit: Limit::None,
        message: format!("the first run would send {rows} rows and waits for approval"),
        hint: "look at `syncline plan`, then `syncline approve` the run; `first_run = \"backfill\"` does not ask",
    })
}

/// An empty result is approved with the removals that it means.
fn empty(spec: &GuardSpec, measured: &Measured) -> Option<Trip> {
    let approved = measured.removed == 0 && measured.approved_removed > 0;
    let empty = measured.result_rows == 0 && measured.snapshot_rows > 0;
    (spec.stop_on_empty && empty && !approved).then(|| Trip {
        rule: Rule::Empty,
        measured: 0,
        snapshot_rows: measured.snapshot_rows,
        limit: Limit::None,
        message: format!("the result is empty and the snapshot has {} keys", measured.snapshot_rows),
        hint: APPROVE,
    })
}

fn shares(spec: &GuardSpec, measured: &Measured) -> Vec<Trip> {
    let day = measured.removed + measured.removed_before;
    // Before a first run has closed, the snapshot says nothing about the size of the model.
    let base = if measured.first_run_complete { 0 } else { measured.result_rows };
    let base = measured.snapshot_rows.max(base);
    let added = if measured.first_run_complete { measured.added } else { 0 };
    let rules = [
        (Rule::MaxRemoved, measured.removed, spec.max_removed, measured.snapshot_rows),
        // Without a removal in this run there is nothing to hold.
        (Rule::MaxRemovedDay, if measured.removed > 0 { day } else { 0 }, spec.max_removed, measured.snapshot_rows),
        (Rule::MaxChanged, measured.changed, spec.max_changed, measured.snapshot_rows),
        (Rule::MaxAdded, added, spec.max_added, measured.snapshot_rows),
        (Rule::MaxInvalid, measured.invalid, spec.max_invalid, base),
    ];
    let over = rules.into_iter().filter(|&(rule, rows, limit, base)| {
        let repeats = rule == Rule::MaxRemovedDay && measured.removed_before == 0;
        !repeats && rows > spec.min_rows && limit < 100.0 && rows as f64 * 100.0 > limit * base as f64
    });
    over.map(|(rule, rows, limit, base)| Trip {
        rule,
        measured: rows,
        snapshot_rows: measured.snapshot_rows,
        limit: Limit::Share(limit),
        message: format!("{} {rows} of {base} rows, over {limit} %", what(rule)),
        hint: APPROVE,
    })
    .collect()
}

fn caps(spec: &GuardSpec, measured: &Measured) -> Vec<Trip> {
    let rules = [
        (Rule::MaxRemovedRows, measured.removed, spec.max_removed_rows),
        (Rule::MaxChangedRows, measured.changed, spec.max_changed_rows),
        (Rule::MaxAddedRows, measured.added, spec.max_added_rows),
        (Rule::MaxInvalidRows, measured.invalid, spec.max_invalid_rows),
    ];
    let over =
        rules.into_iter().filter_map(|(rule, rows, cap)| cap.filter(|cap| rows > *cap).map(|cap| (rule, rows, cap)));
    over.map(|(rule, rows, cap)| Trip {
        rule,
        measured: rows,
        snapshot_rows: measured.snapshot_rows,
        limit: Limit::Rows(cap),
        message: format!("{} {rows} rows, over {cap}", what(rule)),
        hint: APPROVE,
    })
    .collect()
}

const fn what(rule: Rule) -> &'static str {
    match rule {
        Rule::FirstRun => "the first run would send",
        Rule::Empty => "the result has",
        Rule::MaxRemoved | Rule::MaxRemovedRows => "the run would remove",
        Rule::MaxRemovedDay => "the run and those of the last 24 hours would remove",
        Rule::MaxChanged | Rule::MaxChangedRows => "the run would change",
        Rule::MaxAdded | Rule::MaxAddedRows => "the run would add",
        Rule::MaxInvalid | Rule::MaxInvalidRows => "invalid are",
    }
}
