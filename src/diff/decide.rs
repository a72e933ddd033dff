//! The decision for one key (design sections 3.3 and 4).

use super::{Context, Decision, Planned, Reform, Row, WaitReason, once};
use crate::model::{
    ChangeKind, DirtyMark, Entry, Held, IntentId, Operation, Timestamp,
    spec::{Mode, OnRemoved},
};
use crate::proof::{Rule, is_broken};

/// Code of a reject that stands because the record belongs to another key.
const CONFLICT: &str = "conflict";

/// Decides one key: `row` is its valid record in the model (`None` when the key is absent from the complete result),
/// `held` is what the state holds for it. An invalid row is not decided at all: its key counts as present.
pub fn decide(row: Option<&Row>, held: Option<&Held>, context: &Context) -> Decision {
    match (row, held) {
        (None, None) => Decision::Nothing,
        (Some(_), None) => Decision::Upsert(Planned::new_row(context.mode)),
        (Some(row), Some(held)) if context.mode.creates_once() => once::decide_present(row, held, context),
        (Some(row), Some(held)) => decide_present(row, held, context),
        (None, Some(held)) if context.mode == Mode::Append => once::decide_absent(held, context),
        (None, Some(held)) => decide_absent(held, context),
    }
}

fn decide_present(row: &Row, held: &Held, context: &Context) -> Decision {
    let live = live_entry(held);
    if held.dirty.is_empty()
        && let Some(entry) = live.filter(|entry| context.resync_through < Some(entry.run))
        && row.is(entry.fingerprint)
    {
        return if entry.fingerprint == row.fingerprint { Decision::Unchanged } else { Decision::Rewrite };
    }
    let record_id = known_id(held);
    let operation = context.mode.operation(record_id.is_some());
    let agrees = |mark: &DirtyMark| sends(mark, row);
    let refused = is_refused(row, held);
    if let Some(reason) = refused.then(|| backoff(held, context)).flatten() {
        return Decision::Waiting(reason);
    }
    let acknowledged = live.is_some_and(|entry| row.is(entry.fingerprint));
    if let Some(until) = late_until(held, context, agrees, acknowledged) {
        return Decision::Waiting(WaitReason::LateWindow { until });
    }
    let resend = held.dirty.iter().any(agrees);
    Decision::Upsert(Planned {
        kind: if live.is_some() { ChangeKind::Changed } else { ChangeKind::Added },
        operation: Some(operation),
        resend,
        counts_for_guard: !(resend || refused || acknowledged),
        loaded: loaded(held),
        id_from_mark: id_from_mark(held),
        find_first: find_first(held, agrees),
        unanswered: None,
        reform: reform(held, |mark| {
            agrees(mark) && mark.operation == operation && mark.record_id.as_deref() == record_id
        }),
        record_id: record_id.map(Into::into),
    })
}

fn decide_absent(held: &Held, context: &Context) -> Decision {
    if !may_stand(held) {
        let tombstone = held.entry.is_some();
        let open = !held.dirty.is_empty() || (held.rejected.is_some() && !tombstone);
        return if open { Decision::Forget { loaded: loaded(held) } } else { Decision::Nothing };
    }
    if !context.removals_allowed {
        return Decision::WaitingRemoval(WaitReason::Withheld);
    }
    let operation = match context.on_removed {
        OnRemoved::Keep => None,
        OnRemoved::Clear => Some(Operation::Clear),
        OnRemoved::Delete => Some(Operation::Delete),
    };
    let agrees = |mark: &DirtyMark| Some(mark.operation) == operation;
    let refused = held.rejected.as_ref().is_some_and(|reject| Some(reject.operation) == operation);
    if let Some(reason) = refused.then(|| backoff(held, context)).flatten() {
        return Decision::WaitingRemoval(reason);
    }
    if let Some(until) = late_until(held, context, agrees, live_entry(held).is_none()) {
        return Decision::WaitingRemoval(WaitReason::LateWindow { until });
    }
    let record_id = known_id(held);
    Decision::Removal(Planned {
        kind: ChangeKind::Removed,
        operation,
        resend: held.dirty.iter().any(agrees),
        counts_for_guard: true,
        loaded: loaded(held),
        find_first: if operation.is_some() { find_first(held, |_| false) } else { Vec::new() },
        unanswered: None,
        reform: reform(held, |mark| agrees(mark) && mark.record_id.as_deref() == record_id),
        id_from_mark: id_from_mark(held),
        record_id: record_id.map(Into::into),
    })
}

impl Planned {
    fn new_row(mode: Mode) -> Self {
        Self {
            kind: ChangeKind::Added,
            operation: Some(mode.operation(false)),
            resend: false,
            counts_for_guard: true,
            loaded: Vec::new(),
            record_id: None,
            id_from_mark: false,
            find_first: Vec::new(),
            unanswered: None,
            reform: None,
        }
    }
}

/// Whether a mark is of an operation that sends this very record.
pub(super) fn sends(mark: &DirtyMark, row: &Row) -> bool {
    !mark.operation.is_removal() && mark.fingerprint.is_some_and(|sent| row.is(sent))
}

/// Whether this very record stands rejected.
pub(super) fn is_refused(row: &Row, held: &Held) -> bool {
    let reject = held.rejected.as_ref().filter(|reject| !reject.operation.is_removal());
    reject.is_some_and(|reject| reject.fingerprint.is_some_and(|sent| row.is(sent)))
}

fn live_entry(held: &Held) -> Option<&Entry> {
    held.entry.as_ref().filter(|entry| !entry.tombstone)
}

/// Whether a record of this absent key may stand at the destination that is not kept on purpose: an acknowledged one, or
/// one that an unanswered upsert may have made. A removal mark proves that there was one.
fn may_stand(held: &Held) -> bool {
    live_entry(held).is_some()
        || held.dirty.iter().any(|mark| mark.ambiguous_at.is_some() || mark.operation.is_removal())
}

/// The vendor's record id: the entry's, else that of the newest mark that has one; none when nothing stood there any more.
fn known_id(held: &Held) -> Option<&str> {
    if newest_unanswered(held).is_some_and(is_by_match) {
        return None;
    }
    entry_id(held).or_else(|| newest_first(held).into_iter().find_map(|mark| mark.record_id.as_deref()))
}

/// The entry's id, unless the newest unanswered operation went elsewhere: then nothing stood there any more, for somebody
/// else had deleted it, and the record is the one that was sent to, or is to be found by the match value that was sent.
fn entry_id(held: &Held) -> Option<&str> {
    let own = held.entry.as_ref().and_then(|entry| entry.record_id.as_deref())?;
    let elsewhere = |mark: &DirtyMark| is_by_match(mark) || mark.record_id.as_deref().is_some_and(|id| id != own);
    Some(own).filter(|_| !newest_unanswered(held).is_some_and(elsewhere))
}

fn newest_unanswered(held: &Held) -> Option<&DirtyMark> {
    held.dirty.iter().filter(|mark| mark.ambiguous_at.is_some()).max_by_key(|mark| mark.intent)
}

/// Whether what was sent may have made a record of which only the match value is known.
fn is_by_match(mark: &DirtyMark) -> bool {
    mark.record_id.is_none() && mark.sealed_match.is_some() && !mark.operation.is_removal()
}

fn id_from_mark(held: &Held) -> bool {
    entry_id(held).is_none() && known_id(held).is_some()
}

pub(super) fn loaded(held: &Held) -> Vec<IntentId> {
    held.dirty.iter().map(|mark| mark.intent).collect()
}

pub(super) fn newest_first(held: &Held) -> Vec<&DirtyMark> {
    let mut marks: Vec<_> = held.dirty.iter().collect();
    marks.sort_unstable_by_key(|mark| std::cmp::Reverse(mark.intent));
    marks
}

/// How long the standing reject of the same change holds it back; `None` when it is due.
pub(super) fn backoff(held: &Held, context: &Context) -> Option<WaitReason> {
    let reject = held.rejected.as_ref()?;
    let conflict = reject.code == CONFLICT;
    let freed = conflict && context.last_removal.is_some_and(|removal| removal >= reject.last_at);
    match reject.next_try {
        Some(next) if next <= context.now => None,
        _ if freed => None,
        Some(next) => Some(WaitReason::Rejected { until: Some(next) }),
        None if conflict => Some(WaitReason::Conflict),
        None => Some(WaitReason::Rejected { until: None }),
    }
}

/// When nothing that may still be applied late disagrees with the change any more; `None` when nothing does now.
/// `acknowledged`: the change is what the destination acknowledged last, which a quiet time lets through.
pub(super) fn late_until(
    held: &Held,
    context: &Context,
    agrees: impl Fn(&DirtyMark) -> bool,
    acknowledged: bool,
) -> Option<Timestamp> {
    if is_broken(Rule::LateWindow) {
        return None;
    }
    let quiet = held.quiet_until.filter(|_| !acknowledged);
    let others = held.dirty.iter().filter(|mark| !agrees(mark));
    let late = others.filter_map(|mark| mark.ambiguous_at).map(|at| at + context.late_window);
    late.chain(quiet).filter(|until| *until > context.now).max()
}

/// Sealed match values of unanswered operations that sent something else than what is to be sent now.
pub(super) fn find_first(held: &Held, agrees: impl Fn(&DirtyMark) -> bool) -> Vec<Box<[u8]>> {
    if entry_id(held).is_some() {
        return Vec::new();
    }
    let unanswered = newest_first(held).into_iter().filter(|mark| mark.ambiguous_at.is_some() && !agrees(mark));
    unanswered.filter(|mark| mark.record_id.is_none()).filter_map(|mark| mark.sealed_match.clone()).collect()
}

pub(super) fn reform(held: &Held, same: impl Fn(&DirtyMark) -> bool) -> Option<Reform> {
    let newest = newest_first(held).into_iter().find(|mark| same(mark))?;
    newest.batch_key.map(|key| Reform { intent: newest.intent, key })
}
