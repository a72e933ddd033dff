//! From the spooled plan to a verdict: ownership, approvals, counts, guard.

use std::{path::Path, time::Duration};

use crate::{
    diff::{Annotation, Was},
    model::{
        ChangeKind, Counts, InvalidCode, InvalidRow, Key, RecordRef, RunId, SyncId, Timestamp,
        spec::{GuardSpec, Mode, SyncSpec},
    },
    plan::{Absent, ApprovedWriter, DataAge, Measured, Plan, PlanItem, Verdict, judge},
    proof::{Rule, is_broken},
    state::{NullShare, OwnerSpace, State, SyncRecord},
};

use super::{RunError, doubt::InDoubt, nulls::NullCounts, passed::Passed};

/// Values further past the run's start, in microseconds, are no measure of how new the data are.
const AHEAD: i64 = 86_400_000_000;

/// Unapproved removals are summed over this long.
const REMOVALS_SUMMED: Duration = Duration::from_secs(24 * 3600);

/// A plan that the guard has judged.
pub(super) struct Judged {
    pub(super) plan: Plan,
    pub(super) counts: Counts,
    pub(super) verdict: Verdict,
    pub(super) invalid: Vec<InvalidRow>,
    /// Why removals wait, if they do.
    pub(super) withheld: Withheld,
    /// The run whose standing approval was used.
    pub(super) approved: Option<RunId>,
    /// Keys whose record must be found by an earlier match value before anything is sent.
    pub(super) to_find: Vec<ToFind>,
    /// Keys that the result does not have.
    pub(super) absent: Absent,
    /// Hashes of match values that an earlier request may still write, with the keys that sent them, by hash and key.
    pub(super) in_doubt: InDoubt,
    /// How often each field is null.
    pub(super) nulls: Vec<NullShare>,
    /// Rows that stand under each earlier mapping and are not sent.
    pub(super) standing: Vec<u64>,
}

/// Why removals wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Withheld {
    /// A row had no usable key, so absence proves nothing (promise P4).
    pub(super) unusable_keys: bool,
    /// The state was restored: it does not know what was sent since, so a record may be another key's by now.
    pub(super) suspect: bool,
}

impl Withheld {
    /// Whether they do.
    pub(super) const fn removals(self) -> bool {
        self.unusable_keys || self.suspect
    }
}

/// A key whose record must be found first.
pub(super) struct ToFind {
    pub(super) key: Key,
    pub(super) sealed: Vec<Box<[u8]>>,
    /// A record id that only an unanswered operation names: its record may be another key's.
    pub(super) unproven_id: Option<Box<str>>,
}

/// What the guard needs to know of the sync and its snapshot.
pub(super) struct Basis<'a> {
    pub(super) sync: &'a SyncSpec,
    pub(super) record: &'a SyncRecord,
    pub(super) state: &'a State,
    pub(super) entries: u64,
    pub(super) now: Timestamp,
    pub(super) spool_dir: &'a Path,
}

impl Basis<'_> {
    /// Judges a plan.
    ///
    /// # Errors
    /// When the state or a spool fails.
    pub(super) async fn judge(&self, passed: Passed) -> Result<Judged, RunError> {
        let mut plan = passed.plan;
        let withheld = Withheld { unusable_keys: passed.unusable_keys > 0, suspect: self.record.suspect };
        let mut tally = Tally::of(&passed.counts, passed.nulls, withheld);
        let standing = passed.standing;
        let mut invalid = passed.invalid;
        if let Some(mut resolver) = passed.ownership {
            if resolver.wants_owners() {
                feed_owners(self.state, self.record.id, &passed.in_doubt.owned, &mut resolver).await?;
            }
            let annotations = resolver.finish()?;
            tally.owned(annotations.invalid_unchanged(), annotations.invalid_waiting())?;
            list_conflicts(&annotations, &mut invalid)?;
            plan.annotate(annotations);
        }
        let absent = plan.absent(passed.gone, !withheld.unusable_keys);
        let approval = self.approve(&mut plan).await?;
        let mut to_find = Vec::new();
        for mut reader in [plan.upserts(), plan.removals()] {
            while let Some(item) = reader.next()? {
                tally.count(&item);
                to_find.extend(needs_finding(item));
            }
        }
        let emptied = tally.nulls.emptied(&self.state.null_shares(self.record.id).await?);
        let age = self.age(&tally.counts, passed.newest);
        let measured = Measured { emptied: &emptied, age, ..self.measured(&tally, approval).await? };
        let verdict = if is_broken(Rule::Guard) {
            Verdict::default()
        } else {
            judge(&self.guard(), self.sync.first_run, &measured)
        };
        let nulls = tally.nulls.shares();
        let Tally { counts, withheld, .. } = tally;
        Ok(Judged {
            plan,
            counts,
            verdict,
            invalid,
            withheld,
            approved: approval.run,
            to_find,
            absent,
            in_doubt: passed.in_doubt,
            nulls,
            standing,
        })
    }

    async fn approve(&self, plan: &mut Plan) -> Result<Approval, RunError> {
        let Some(mut approved) = self.state.approved(self.record.id).await? else { return Ok(Approval::default()) };
        let mut writer = ApprovedWriter::new(self.spool_dir);
        while let Some((key, kind, _)) = approved.scan.next().await? {
            writer.push(&key, kind)?;
        }
        plan.approve(writer.finish(approved.set.first_run)?);
        Ok(Approval { run: Some(approved.run), first_run: approved.set.first_run, of_invalid: approved.set.of_invalid })
    }

    /// How old the newest data is. An empty result has no age: another rule looks at it. Rows that all lie in the future
    /// have no value that counts.
    fn age(&self, counts: &Counts, newest: Option<i64>) -> DataAge {
        match newest {
            Some(newest) => {
                let micros = self.now.as_micros().saturating_sub(newest);
                DataAge::Of(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
            }
            None if counts.read > 0 && self.sync.guard.fresh.is_some() => DataAge::NoValue,
            None => DataAge::Unknown,
        }
    }

    /// The rules that apply. The snapshot of a sync that appends holds the lookback alone: it is no measure for shares of
    /// what is new, and an empty read is no accident.
    fn guard(&self) -> GuardSpec {
        let guard = self.sync.guard.clone();
        match self.sync.mode {
            Mode::Append => {
                GuardSpec { stop_on_empty: false, max_removed: 100.0, max_changed: 100.0, max_added: 100.0, ..guard }
            }
            Mode::Upsert | Mode::Mirror | Mode::Insert | Mode::Update => guard,
        }
    }

    async fn measured(&self, tally: &Tally, approval: Approval) -> Result<Measured<'static>, RunError> {
        let since = self.now - REMOVALS_SUMMED;
        Ok(Measured {
            snapshot_rows: if self.sync.mode == Mode::Append {
                self.entries.max(tally.counts.read)
            } else {
                self.entries
            },
            result_rows: tally.counts.read,
            added: tally.judged[0],
            changed: tally.judged[1],
            removed: tally.judged[2],
            remapped: tally.remapped,
            removed_before: self.state.removals_since(self.record.id, since).await?,
            invalid: if approval.of_invalid { 0 } else { tally.counts.invalid },
            approved_removed: tally.approved_removed,
            first_run_complete: self.record.first_run_closed,
            first_run_approved: approval.first_run,
            ..Measured::default()
        })
    }
}

/// Whether a value of the column of `fresh`, in microseconds since 1970, tells how new the data are: one row from the
/// future must not switch the rule off. A date stands for its end, a midnight, and may be tomorrow's where it is tomorrow
/// already, so that a midnight may lie a day further.
pub(super) const fn tells_age(at: i64, now: Timestamp) -> bool {
    let whole_day = if at % AHEAD == 0 { AHEAD } else { 0 };
    at <= now.as_micros().saturating_add(AHEAD + whole_day)
}

#[derive(Debug, Clone, Copy, Default)]
struct Approval {
    run: Option<RunId>,
    first_run: bool,
    of_invalid: bool,
}

/// A value that a request may still bring to a record counts as that key's already.
async fn feed_owners(
    state: &State,
    sync: SyncId,
    in_doubt: &[(u64, Key)],
    resolver: &mut crate::plan::OwnershipResolver,
) -> Result<(), RunError> {
    let mut in_doubt = in_doubt.iter().peekable();
    let mut owners = state.owners(sync, OwnerSpace::Match);
    while let Some(owner) = owners.next().await? {
        let place = (owner.hash, owner.key);
        while let Some((hash, key)) = in_doubt.next_if(|doubt| **doubt < place) {
            resolver.owner(*hash, key)?;
        }
        in_doubt.next_if(|doubt| **doubt == place);
        resolver.owner(place.0, &place.1)?;
    }
    in_doubt.try_for_each(|(hash, key)| Ok(resolver.owner(*hash, key)?))
}

fn list_conflicts(annotations: &crate::plan::Annotations, invalid: &mut Vec<InvalidRow>) -> Result<(), RunError> {
    let mut reader = annotations.reader();
    while let Some((key, annotation)) = reader.next()? {
        let Annotation::Invalid { others, .. } = annotation else { continue };
        if invalid.len() >= super::passed::MAX_LISTED {
            break;
        }
        let detail = "other rows have the same match value".to_owned();
        invalid.push(InvalidRow { key: Some(key), code: InvalidCode::MatchConflict, field: None, detail, others });
    }
    Ok(())
}

fn needs_finding(item: PlanItem) -> Option<ToFind> {
    let planned = &item.row.planned;
    let wanted = item.is_planned() && (planned.id_from_mark || !planned.find_first.is_empty());
    wanted.then(|| ToFind {
        key: item.row.key,
        sealed: item.row.planned.find_first,
        unproven_id: item.row.planned.record_id.filter(|_| item.row.planned.id_from_mark),
    })
}

/// Counts of P6 up to the plan, and what of them the guard judges.
struct Tally {
    counts: Counts,
    withheld: Withheld,
    /// Added, changed, removed.
    judged: [u64; 3],
    /// Of the changes, those that a new mapping alone makes; not in `judged`.
    remapped: u64,
    nulls: NullCounts,
    approved_removed: u64,
}

impl Tally {
    fn of(passed: &super::passed::PassCounts, nulls: NullCounts, withheld: Withheld) -> Self {
        let counts = Counts {
            read: passed.read,
            unchanged: passed.unchanged,
            invalid: passed.invalid,
            waiting: passed.waiting,
            waiting_removals: passed.waiting_removals,
            ..Counts::default()
        };
        Self { counts, withheld, judged: [0; 3], remapped: 0, nulls, approved_removed: 0 }
    }

    /// Keys outside the plan that turned out to be part of a colliding group.
    fn owned(&mut self, unchanged: u64, waiting: u64) -> Result<(), RunError> {
        let rest = self.counts.unchanged.checked_sub(unchanged).zip(self.counts.waiting.checked_sub(waiting));
        let broken = || RunError::Accounting("the owner index names keys that no row has".to_owned());
        (self.counts.unchanged, self.counts.waiting) = rest.ok_or_else(broken)?;
        self.counts.invalid += unchanged + waiting;
        Ok(())
    }

    fn count(&mut self, item: &PlanItem) {
        let kind = item.row.planned.kind;
        let removed = kind == ChangeKind::Removed;
        match place(item, self.withheld) {
            Place::Invalid => self.counts.invalid += 1,
            Place::Waits if removed => self.counts.waiting_removals += 1,
            Place::Waits => self.counts.waiting += 1,
            Place::Planned => {
                let term = match kind {
                    ChangeKind::Added => &mut self.counts.added,
                    ChangeKind::Changed => &mut self.counts.changed,
                    ChangeKind::Removed => &mut self.counts.removed,
                };
                *term += 1;
                self.counts.remapped += u64::from(item.row.remapped);
                self.approved_removed += u64::from(removed && item.approved);
                if item.row.planned.counts_for_guard && !item.approved {
                    self.judge(item);
                }
            }
        }
    }
}

impl Tally {
    fn judge(&mut self, item: &PlanItem) {
        let kind = item.row.planned.kind;
        let term = if item.row.remapped { &mut self.remapped } else { &mut self.judged[usize::from(kind.code())] };
        *term += 1;
        if kind == ChangeKind::Changed {
            self.nulls.change(RecordRef::new(&item.row.record));
        }
    }
}

/// Where a row of the spooled plan ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Planned,
    Invalid,
    Waits,
}

/// Whether a row of the spooled plan is still planned. Where a row of the result has no usable key, absence proves
/// nothing: removals wait, and nobody takes a record over. A suspect state does not know every record's owner, so that
/// removals wait; a takeover only writes, and it is how the owner becomes known again.
pub(super) fn place(item: &PlanItem, withheld: Withheld) -> Place {
    match &item.annotation {
        Some(Annotation::Invalid { was: Was::Planned(_) | Was::Unchanged | Was::Waiting, .. }) => Place::Invalid,
        Some(Annotation::Waits { .. }) => Place::Waits,
        Some(Annotation::TakesOver { .. }) if withheld.unusable_keys => Place::Waits,
        Some(Annotation::TakesOver { .. } | Annotation::TakenOver { .. } | Annotation::After { .. }) | None => {
            if withheld.removals() && item.row.planned.kind == ChangeKind::Removed {
                Place::Waits
            } else {
                Place::Planned
            }
        }
    }
}
