//! Records that are created once and never touched again: modes `insert` and `append`.

use super::{
    Context, Decision, Planned, Row, WaitReason,
    decide::{backoff, find_first, is_refused, late_until, loaded, newest_first, reform, sends},
};
use crate::model::{ChangeKind, DirtyMark, Held, Operation};

/// A key whose record was created is unchanged whatever its row has become, also when it comes back.
pub(super) fn decide_present(row: &Row, held: &Held, context: &Context) -> Decision {
    if let Some(entry) = &held.entry {
        // What another mode left unanswered may have changed the record, which counts when that mode is back.
        let inserts = held.dirty.iter().filter(|mark| mark.operation == Operation::Insert);
        let loaded: Vec<_> = inserts.map(|mark| mark.intent).collect();
        let plain = !entry.tombstone && loaded.is_empty() && held.rejected.is_none();
        return if plain { Decision::Unchanged } else { Decision::Stands { loaded } };
    }
    let agrees = |mark: &DirtyMark| sends(mark, row);
    let refused = is_refused(row, held);
    if let Some(reason) = refused.then(|| backoff(held, context)).flatten() {
        return Decision::Waiting(reason);
    }
    if let Some(until) = late_until(held, context, agrees, false) {
        return Decision::Waiting(WaitReason::LateWindow { until });
    }
    let resend = held.dirty.iter().any(agrees);
    let unanswered = newest_first(held).into_iter().find(|mark| is_in_doubt(mark)).and_then(|mark| mark.fingerprint);
    Decision::Upsert(Planned {
        kind: ChangeKind::Added,
        operation: Some(Operation::Insert),
        resend,
        counts_for_guard: !(resend || refused),
        loaded: loaded(held),
        record_id: None,
        id_from_mark: false,
        // Also of what agrees: a second insert of the same record would be a second record.
        find_first: find_first(held, |_| false),
        unanswered,
        reform: reform(held, |mark| agrees(mark) && mark.operation == Operation::Insert),
    })
}

/// An event that the read does not hold. Nothing is removed for it: what is past the read range is forgotten, and a reject
/// stays listed.
pub(super) fn decide_absent(held: &Held, context: &Context) -> Decision {
    let past = match &held.entry {
        // An entry without a place is of another mode.
        Some(entry) => entry.cursor.is_none_or(|place| context.read_from.is_some_and(|from| place < from)),
        // An event that vanished unsettled: nothing can be done for it. What may yet be applied is waited for, in case that
        // it comes back.
        None => {
            held.rejected.is_none() && !held.dirty.is_empty() && late_until(held, context, |_| false, true).is_none()
        }
    };
    if past { Decision::Forget { loaded: loaded(held) } } else { Decision::Nothing }
}

fn is_in_doubt(mark: &DirtyMark) -> bool {
    mark.ambiguous_at.is_some() && !mark.operation.is_removal()
}
