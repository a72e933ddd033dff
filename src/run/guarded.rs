//! Keeps what the guard holds, for an approval.

use crate::{
    model::{ChangeKind, Fingerprint, Key, RunId, SyncId},
    plan::{PlanItem, PlanReader, Rule},
    state::{GuardedSet, State},
};

use super::{
    RunError,
    deliver::held,
    judge::{Judged, Place, place},
};

/// Changes in one write.
const CHUNK: usize = 10_000;

/// Saves the changes that a tripped guard holds, in key order, and counts them. A set without changes stands too: what
/// was held may be a run for its invalid rows alone.
///
/// # Errors
/// When the state or a spool fails.
pub(super) async fn save(state: &State, sync: SyncId, run: RunId, judged: &Judged) -> Result<u64, RunError> {
    let tripped = &judged.verdict.tripped;
    if tripped.is_empty() {
        return Ok(0);
    }
    let set = GuardedSet {
        first_run: tripped.iter().any(|trip| trip.rule == Rule::FirstRun),
        of_invalid: tripped.iter().any(|trip| matches!(trip.rule, Rule::MaxInvalid | Rule::MaxInvalidRows)),
    };
    let (mut upserts, mut removals) = (Held::new(judged.plan.upserts()), Held::new(judged.plan.removals()));
    let (mut rows, mut total) = (Vec::new(), 0_u64);
    loop {
        let upsert_first = match (upserts.peek(judged)?, removals.peek(judged)?) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(upsert), Some(removal)) => upsert.0 < removal.0,
        };
        rows.extend(if upsert_first { upserts.ahead.take() } else { removals.ahead.take() });
        total += 1;
        if rows.len() >= CHUNK {
            state.writer().save_guarded(run, sync, set, std::mem::take(&mut rows)).await?;
        }
    }
    if !rows.is_empty() || total == 0 {
        state.writer().save_guarded(run, sync, set, rows).await?;
    }
    Ok(total)
}

/// One held change.
type HeldRow = (Key, ChangeKind, Option<Fingerprint>);

/// The held changes of one part of the plan.
struct Held {
    reader: PlanReader,
    ahead: Option<HeldRow>,
}

impl Held {
    fn new(reader: PlanReader) -> Self {
        Self { reader, ahead: None }
    }

    fn peek(&mut self, judged: &Judged) -> Result<Option<&HeldRow>, RunError> {
        while self.ahead.is_none() {
            let Some(item) = self.reader.next()? else { return Ok(None) };
            if place(&item, judged.withheld) == Place::Planned && held(&judged.verdict, &item) {
                let PlanItem { row, .. } = item;
                self.ahead = Some((row.key, row.planned.kind, row.fingerprint));
            }
        }
        Ok(self.ahead.as_ref())
    }
}
