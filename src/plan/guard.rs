//! The guard: the rules that stop a plan before anything is sent (design section 3.5). Pure.

use std::time::Duration;

use super::{HeldKinds, Rule};
use crate::model::spec::{FirstRun, FreshSpec, GuardSpec};

/// What the guard judges. Changes that are approved are in none of the counts but `approved_removed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured<'a> {
    /// Entries of the snapshot before the run, tombstones left out: what shares are of.
    pub snapshot_rows: u64,
    /// Rows of the result.
    pub result_rows: u64,
    /// Planned additions that count.
    pub added: u64,
    /// Planned changes of data that count: no re-sends, reject retries or resync.
    pub changed: u64,
    /// Planned changes that a new mapping alone makes.
    pub remapped: u64,
    /// Planned removals, also of dirty keys and under `keep`.
    pub removed: u64,
    /// Unapproved removals that earlier runs of the last 24 hours settled.
    pub removed_before: u64,
    /// Invalid rows; 0 when the approved run was held for its invalid rows.
    pub invalid: u64,
    /// Planned removals that are approved.
    pub approved_removed: u64,
    /// Fields that were filled and would become null, with the rows concerned.
    pub emptied: &'a [Emptied],
    /// How old the newest data is, where `fresh` asks.
    pub age: DataAge,
    /// A first run has closed complete.
    pub first_run_complete: bool,
    /// The first run is approved.
    pub first_run_approved: bool,
}

/// A field that was filled and would become null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptied {
    /// The destination field.
    pub field: String,
    /// Changed rows in which it becomes null, as far as it is known (see [`judge`]).
    pub rows: u64,
}

/// How old the newest data of a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataAge {
    /// Nobody asked, or the result is empty.
    #[default]
    Unknown,
    /// The newest value of the column is this old.
    Of(Duration),
    /// No row has a value in the column.
    NoValue,
}

/// The bound that was passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Percent of the snapshot.
    Share(f64),
    /// A number of rows.
    Rows(u64),
    /// An age.
    Age(Duration),
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

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The rules that tripped, in the order of [`Rule`].
    pub tripped: Vec<Trip>,
    /// The kinds that are held.
    pub held: HeldKinds,
}

/// Judges a plan.
pub fn judge(spec: &GuardSpec, first_run: FirstRun, measured: &Measured<'_>) -> Verdict {
    let mut tripped = Vec::new();
    tripped.extend(ask(first_run, measured));
    tripped.extend(empty(spec, measured));
    tripped.extend(shares(spec, measured));
    tripped.extend(emptied(spec, measured));
    tripped.extend(spec.fresh.as_ref().and_then(|fresh| stale(fresh, measured)));
    tripped.extend(caps(spec, measured));
    let held = tripped.iter().fold(HeldKinds::NONE, |held, trip: &Trip| held.and(trip.rule.holds()));
    Verdict { tripped, held }
}

impl Measured<'_> {
    /// Changes that nobody has approved.
    const fn judged(&self) -> u64 {
        self.added + self.changed + self.remapped + self.removed
    }

    fn trip(&self, rule: Rule, rows: u64, limit: Limit, message: String) -> Trip {
        Trip { rule, measured: rows, snapshot_rows: self.snapshot_rows, limit, message, hint: rule.hint() }
    }
}

fn ask(first_run: FirstRun, measured: &Measured<'_>) -> Option<Trip> {
    let rows = measured.judged();
    let waits = first_run == FirstRun::Ask && !measured.first_run_complete && !measured.first_run_approved && rows > 0;
    let message = || format!("the first run would send {rows} rows and waits for approval");
    waits.then(|| measured.trip(Rule::FirstRun, rows, Limit::None, message()))
}

/// An empty result is approved with the removals that it means.
fn empty(spec: &GuardSpec, measured: &Measured<'_>) -> Option<Trip> {
    let approved = measured.removed == 0 && measured.approved_removed > 0;
    let empty = measured.result_rows == 0 && measured.snapshot_rows > 0;
    let message = || format!("the result is empty and the snapshot has {} keys", measured.snapshot_rows);
    (spec.stop_on_empty && empty && !approved).then(|| measured.trip(Rule::Empty, 0, Limit::None, message()))
}

fn shares(spec: &GuardSpec, measured: &Measured<'_>) -> Vec<Trip> {
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
        (Rule::MaxRemapped, measured.remapped, spec.max_remapped, measured.snapshot_rows),
    ];
    let over = rules.into_iter().filter(|&(rule, rows, limit, base)| {
        let repeats = rule == Rule::MaxRemovedDay && measured.removed_before == 0;
        !repeats && is_over(spec, rows, limit, base)
    });
    over.map(|(rule, rows, limit, base)| {
        let message = format!("{} {rows} of {base} rows, over {limit} %", what(rule));
        measured.trip(rule, rows, Limit::Share(limit), message)
    })
    .collect()
}

fn is_over(spec: &GuardSpec, rows: u64, limit: f64, base: u64) -> bool {
    rows > spec.min_rows && limit < 100.0 && rows as f64 * 100.0 > limit * base as f64
}

/// One trip for each bound, naming every field that passes it, the worst first.
fn emptied(spec: &GuardSpec, measured: &Measured<'_>) -> Vec<Trip> {
    let base = measured.snapshot_rows;
    let share = |field: &&Emptied| is_over(spec, field.rows, spec.max_emptied, base);
    let cap = |field: &&Emptied| spec.max_emptied_rows.is_some_and(|cap| field.rows > cap);
    let share = worst_first(measured.emptied.iter().filter(share).collect());
    let cap = worst_first(measured.emptied.iter().filter(cap).collect());
    let limit = spec.max_emptied;
    let by_share = share.first().map(|worst| {
        let message = format!("{} of {base} rows where it was not, over {limit} %", turns_null(&share));
        measured.trip(Rule::MaxEmptied, worst.rows, Limit::Share(limit), message)
    });
    let by_cap = cap.first().zip(spec.max_emptied_rows).map(|(worst, limit)| {
        let message = format!("{} rows where it was not, over {limit}", turns_null(&cap));
        measured.trip(Rule::MaxEmptiedRows, worst.rows, Limit::Rows(limit), message)
    });
    by_share.into_iter().chain(by_cap).collect()
}

fn worst_first(mut fields: Vec<&Emptied>) -> Vec<&Emptied> {
    fields.sort_by_key(|field| std::cmp::Reverse(field.rows));
    fields
}

fn turns_null(fields: &[&Emptied]) -> String {
    let texts: Vec<_> =
        fields.iter().map(|field| format!("`{}` would become null in {}", field.field, field.rows)).collect();
    texts.join(", ")
}

/// Old data holds what nobody has approved; with nothing to send there is nothing to hold.
fn stale(spec: &FreshSpec, measured: &Measured<'_>) -> Option<Trip> {
    let (column, limit) = (&spec.column, text(spec.within));
    let message = match measured.age {
        DataAge::Of(age) if age > spec.within => format!("the newest `{column}` is {} old, over {limit}", text(age)),
        DataAge::NoValue => format!("no row has a value in `{column}`, which should be newer than {limit}"),
        DataAge::Of(_) | DataAge::Unknown => return None,
    };
    let rows = measured.judged();
    (rows > 0).then(|| measured.trip(Rule::Fresh, rows, Limit::Age(spec.within), message))
}

/// An age in its two largest units.
fn text(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{} s", age.as_secs()),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn caps(spec: &GuardSpec, measured: &Measured<'_>) -> Vec<Trip> {
    let rules = [
        (Rule::MaxRemovedRows, measured.removed, spec.max_removed_rows),
        (Rule::MaxChangedRows, measured.changed, spec.max_changed_rows),
        (Rule::MaxAddedRows, measured.added, spec.max_added_rows),
        (Rule::MaxInvalidRows, measured.invalid, spec.max_invalid_rows),
        (Rule::MaxRemappedRows, measured.remapped, spec.max_remapped_rows),
    ];
    let over =
        rules.into_iter().filter_map(|(rule, rows, cap)| cap.filter(|cap| rows > *cap).map(|cap| (rule, rows, cap)));
    over.map(|(rule, rows, cap)| {
        measured.trip(rule, rows, Limit::Rows(cap), format!("{} {rows} rows, over {cap}", what(rule)))
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
        Rule::MaxRemapped | Rule::MaxRemappedRows => "the new mapping alone would change",
        Rule::MaxEmptied | Rule::MaxEmptiedRows => "a field would become null in",
        Rule::Fresh => "the data is too old for",
    }
}
