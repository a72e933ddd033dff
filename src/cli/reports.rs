//! How runs are printed: one row each, and what there is to say about it.

use comfy_table::Table;

use super::output::{self, duration, thousands};
use crate::{model::Counts, run::RunReport};

/// Headers of the counts, as `docs/commands.md` explains them.
const COUNTS: [&str; 13] = [
    "read",
    "added",
    "changed",
    "remapped",
    "removed",
    "delivered",
    "rejected",
    "invalid",
    "waiting",
    "guarded",
    "unknown",
    "left over",
    "skipped",
];

/// Prints runs that have ended.
pub(super) fn print(reports: &[RunReport]) {
    let mut headers = vec!["sync", "status"];
    headers.extend(COUNTS);
    headers.extend(["requests", "time"]);
    let numeric: Vec<usize> = (2..headers.len()).collect();
    let mut table = output::table(&headers, &numeric);
    for report in reports {
        add(&mut table, report);
    }
    output::print_table(&table);
    for report in reports {
        explain(report);
    }
}

fn add(table: &mut Table, report: &RunReport) {
    let mut row = vec![report.sync.clone(), report.status.name().to_owned()];
    row.extend(counts(&report.counts));
    row.extend([thousands(report.requests.sent), duration(report.durations.total_ms)]);
    table.add_row(row);
}

fn counts(counts: &Counts) -> [String; 13] {
    [
        counts.read,
        counts.added,
        counts.changed,
        counts.remapped,
        counts.removed,
        counts.delivered,
        counts.rejected,
        counts.invalid,
        counts.waiting + counts.waiting_removals,
        counts.guarded,
        counts.unknown,
        counts.left_over + counts.pending,
        counts.skipped,
    ]
    .map(thousands)
}

/// Why a run ended as it did, and what to do.
fn explain(report: &RunReport) {
    let name = &report.sync;
    for trip in &report.trips {
        output::line(format!("{name}: guard `{}`: {}", trip.rule, trip.message));
    }
    if let Some(reason) = &report.reason {
        output::line(format!("{name}: {reason}"));
    }
    if let Some(until) = &report.until {
        output::line(format!("{name}: to be tried again at {until}"));
    }
    if report.counts.guarded > 0
        && let Some(run) = report.run
    {
        output::line(format!("{name}: run {run} holds {} rows", thousands(report.counts.guarded)));
    }
    if let Some(hint) = &report.hint {
        output::line(format!("hint: {hint}"));
    }
}
