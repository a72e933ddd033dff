//! What a run came to, before it is closed.

use std::time::Duration;

use crate::{
    delivery::{Context, StopReason},
    model::{Counts, InvalidRow, RunId},
    plan::Verdict,
    state::{CursorRecord, MappingRecord, NullShare},
    wire::{AccountStats, Fault, WindowUse},
};

use super::{Durations, Requests, RunError, earlier, judge::Judged, prepare::Prepared, report::millis};

/// What a run came to before it is closed.
pub(super) struct Outcome {
    pub(super) counts: Counts,
    pub(super) verdict: Verdict,
    /// Removals wait.
    pub(super) withheld: bool,
    /// They would because the sync is suspect.
    pub(super) suspect: bool,
    pub(super) used_approval: Option<RunId>,
    pub(super) invalid: Vec<InvalidRow>,
    pub(super) stop: Option<StopReason>,
    /// What ended the run once its delivery had begun.
    pub(super) failure: Option<RunError>,
    pub(super) durations: Durations,
    pub(super) requests: Requests,
    /// How often each field is null.
    pub(super) nulls: Vec<NullShare>,
    /// The mappings that entries may stand under after a complete run.
    pub(super) settled_mapping: MappingRecord,
    /// The same after a run that did not see to all rows.
    pub(super) open_mapping: MappingRecord,
    /// Delivered operations that gave up a match value.
    pub(super) released: u64,
    /// Where the cursor of a sync that appends stands after this run.
    pub(super) cursor: Option<CursorRecord>,
}

impl Outcome {
    /// A judged plan of which nothing has been sent yet.
    pub(super) fn planned(judged: &Judged, guarded: u64, durations: Durations, prepared: &Prepared<'_>) -> Self {
        let (present, earlier) = (&prepared.mapping_record, prepared.earlier.as_slice());
        Self {
            counts: Counts { guarded, ..judged.counts },
            withheld: judged.withheld.removals() && judged.plan.has_removals(),
            suspect: judged.withheld.suspect,
            used_approval: judged.approved,
            verdict: judged.verdict.clone(),
            invalid: Vec::new(),
            stop: None,
            failure: None,
            durations,
            requests: Requests::default(),
            nulls: judged.nulls.clone(),
            settled_mapping: earlier::left(present, earlier, Some(&judged.standing)),
            open_mapping: earlier::left(present, earlier, None),
            released: 0,
            cursor: None,
        }
    }

    /// The destination could not even be asked: everything that would have been sent is left over.
    pub(super) fn nothing_sent(&mut self, fault: Fault) {
        self.leave_rest();
        self.stop = Some(StopReason::of_fault(fault));
    }

    /// An error ended the delivery: what it did not come to is left over.
    pub(super) fn failed(&mut self, error: RunError) {
        self.leave_rest();
        self.failure = Some(error);
    }

    fn leave_rest(&mut self) {
        let counts = &mut self.counts;
        let planned = counts.added + counts.changed + counts.removed;
        let ended = counts.delivered + counts.rejected + counts.skipped + counts.unknown + counts.pending;
        counts.left_over = planned.saturating_sub(ended + counts.guarded);
    }

    /// After a run that was mostly refused the cursor stays: those events are to be sent again once the mapping is repaired.
    pub(super) const fn is_mostly_refused(&self) -> bool {
        matches!(self.stop, Some(StopReason::TooManyRejects { .. }))
    }

    pub(super) fn count(&mut self, context: &Context, before: &AccountStats, took: Duration) {
        let tally = context.tally.get();
        self.counts.delivered = tally.delivered;
        self.counts.rejected = tally.rejected;
        self.counts.skipped = tally.skipped;
        self.counts.unknown = tally.unknown;
        self.counts.left_over = tally.left_over;
        self.released = tally.released;
        let after = context.account.stats();
        self.requests = Requests {
            sent: after.requests - before.requests,
            batches: tally.batches,
            retries: tally.retries,
            throttled: after.throttled - before.throttled,
            limiter_wait_ms: millis(after.limiter_wait.saturating_sub(before.limiter_wait)),
            utilisation: utilisation(after.requests - before.requests, &after.windows, took),
        };
    }
}

/// How much of the fullest window was used: a window that has begun counts whole.
fn utilisation(sent: u64, windows: &[WindowUse], took: Duration) -> Option<f64> {
    let allowed = |window: &WindowUse| f64::from(window.limit) * took.div_duration_f64(window.per).max(1.0);
    let least = windows.iter().filter(|window| window.class.is_none()).map(allowed).min_by(f64::total_cmp)?;
    Some((sent as f64 / least * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_the_narrowest_window_is_told() {
        let window = |limit, secs| WindowUse { class: None, per: Duration::from_secs(secs), used: 0, limit };
        let windows = [window(100, 10), window(1_000, 60)];
        assert_eq!(utilisation(50, &windows, Duration::from_secs(1)), Some(0.5));
        assert_eq!(utilisation(594, &windows, Duration::from_secs(60)), Some(0.99));
        assert_eq!(utilisation(594, &[], Duration::from_secs(60)), None);
    }
}
