//! What a run's end is called: its status, and the sentences of its report.

use crate::{
    delivery::StopReason,
    model::{Counts, Timestamp},
    plan::Rule,
    state::RunStatus,
    wire::FaultKind,
};

use super::{RunError, RunReport, outcome::Outcome, report::TripLine};

/// The error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

pub(super) fn failed_report(name: &str, error: &RunError) -> RunReport {
    let status = if matches!(error, RunError::Stopped) {
        RunStatus::Interrupted
    } else if error.is_refusal() {
        RunStatus::Refused
    } else {
        RunStatus::Failed
    };
    RunReport::new(name, None, status).because(chain(error), error.hint())
}

/// The gravest of what happened.
pub(super) fn status_of(outcome: &Outcome, standing_rejects: u64) -> RunStatus {
    let counts = &outcome.counts;
    let mut deferred = false;
    match &outcome.stop {
        Some(StopReason::Quota { .. } | StopReason::Hold(_)) => deferred = true,
        // The vendor has asked to come later before anything could be sent.
        Some(StopReason::Outage(fault)) if fault.kind == FaultKind::Throttled => deferred = true,
        Some(
            StopReason::Storage(_) | StopReason::Fault(_) | StopReason::Outage(_) | StopReason::TooManyRejects { .. },
        ) => return RunStatus::Failed,
        Some(StopReason::Shutdown) => return RunStatus::Interrupted,
        Some(StopReason::PlanTooOld) | None => {}
    }
    let open = counts.rejected + counts.invalid + counts.unknown + counts.pending + counts.left_over;
    if !outcome.verdict.tripped.is_empty() || outcome.withheld {
        RunStatus::Guarded
    } else if deferred {
        RunStatus::Deferred
    } else if open > 0 || standing_rejects > 0 {
        RunStatus::Partial
    } else {
        RunStatus::Ok
    }
}

pub(super) fn report_of(name: &str, outcome: Outcome, status: RunStatus) -> RunReport {
    let mut report = RunReport::new(name, None, status);
    report.counts = outcome.counts;
    report.durations = outcome.durations;
    report.requests = outcome.requests;
    for trip in &outcome.verdict.tripped {
        report.trips.push(TripLine { rule: trip.rule.name().to_owned(), message: trip.message.clone() });
        if report.hint.is_none() || trip.rule == Rule::FirstRun {
            report.hint = Some(trip.hint.to_owned());
        }
    }
    match outcome.stop {
        Some(stop) => {
            report.plan_too_old = matches!(stop, StopReason::PlanTooOld);
            let (reason, hint, until) = explain(&stop);
            report.because(reason, hint.or_else(|| outcome_hint(&outcome.counts))).until(until)
        }
        None if outcome.withheld && outcome.suspect => report.because(
            "removals wait: the state was restored or lost writes, and not every row has been sent again since",
            Some(
                "they go once a run has delivered every row (`syncline rejected` lists those that it could not), or after \
                 `syncline resync SYNC --trust`"
                    .to_owned(),
            ),
        ),
        None if outcome.withheld => report.because(
            "removals wait: absence proves nothing while a row has no usable key",
            Some("repair the model's key columns: `syncline rejected` lists the rows".to_owned()),
        ),
        None => report,
    }
}

fn outcome_hint(counts: &Counts) -> Option<String> {
    (counts.left_over > 0).then(|| "the next run goes on with what is left".to_owned())
}

fn explain(stop: &StopReason) -> (String, Option<String>, Option<Timestamp>) {
    match stop {
        StopReason::Quota { until } => ("the account's quota of the day is spent".to_owned(), None, *until),
        StopReason::Hold(state) => (format!("the account is on hold: {state}"), None, state.until()),
        StopReason::Outage(fault) | StopReason::Fault(fault) => {
            let code = fault.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            let status = fault.status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
            let text = format!("the destination cannot be written to: {}{status}{code}", fault.kind);
            (text, Some(fault.kind.hint().to_owned()), None)
        }
        StopReason::Shutdown => ("the process was asked to stop".to_owned(), None, None),
        StopReason::PlanTooOld => ("the plan grew older than `max_plan_age`".to_owned(), None, None),
        StopReason::TooManyRejects { rejected, judged } => (
            format!("the destination refused {rejected} of the first {judged} rows"),
            Some("look at `syncline rejected`: most likely the mapping does not fit the destination".to_owned()),
            None,
        ),
        StopReason::Storage(error) => (chain(error), error.hint().map(str::to_owned), None),
    }
}
