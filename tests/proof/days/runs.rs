//! The runs of a simulated day, as the log tells them.

use std::time::Duration;

use super::trace::Entry;

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) sync: String,
    id: String,
    pub(super) start: Duration,
    pub(super) end: Option<Duration>,
    /// `ok`, `partial`, `deferred`, …
    pub(super) outcome: String,
    /// Rows of the plan that it did not get to.
    left_over: u64,
}

impl Run {
    /// Whether it was under way.
    pub(super) fn covers(&self, at: Duration) -> bool {
        self.start <= at && self.end.is_none_or(|end| at <= end)
    }

    /// Whether its plan may have grown too old: then a new one is made at once.
    pub(super) fn goes_on(&self) -> bool {
        self.outcome == "partial" && self.left_over > 0
    }
}

/// All runs in the order of their starts, and what is wrong with how they are accounted for.
pub(super) fn runs(entries: &[Entry]) -> (Vec<Run>, Vec<String>) {
    let (mut runs, mut broken) = (Vec::<Run>::new(), Vec::new());
    for entry in entries {
        let (sync, id) = (entry.text("sync"), entry.text("run"));
        match entry.event.as_str() {
            "run.started" => {
                if let Some(other) = runs.iter().find(|run| run.sync == sync && run.end.is_none()) {
                    broken.push(format!("sync `{sync}` runs twice at once: {} and {id}", other.id));
                }
                let (sync, id) = (sync.to_owned(), id.to_owned());
                runs.push(Run { sync, id, start: entry.at, end: None, outcome: String::new(), left_over: 0 });
            }
            "run.finished" | "run.failed" | "run.refused" => {
                broken.extend(unequal(entry));
                let outcome = match entry.event.strip_prefix("run.") {
                    Some("finished") | None => entry.text("outcome"),
                    Some(other) => other,
                };
                match runs.iter_mut().find(|run| run.id == id) {
                    Some(run) if run.end.is_none() => {
                        (run.end, run.outcome) = (Some(entry.at), outcome.to_owned());
                        run.left_over = entry.number("left_over");
                    }
                    Some(_) => broken.push(format!("run {id} ended twice")),
                    // It failed before it began.
                    None => runs.push(Run {
                        sync: sync.to_owned(),
                        id: id.to_owned(),
                        start: entry.at,
                        end: Some(entry.at),
                        outcome: outcome.to_owned(),
                        left_over: 0,
                    }),
                }
            }
            _ => {}
        }
    }
    let open = runs.iter().filter(|run| run.end.is_none());
    broken.extend(open.map(|run| format!("run {} of `{}` never ended", run.id, run.sync)));
    (runs, broken)
}

/// Promise P6, from the log alone.
fn unequal(entry: &Entry) -> Option<String> {
    let sum = |names: &[&str]| names.iter().map(|name| entry.number(name)).sum::<u64>();
    let rows = sum(&["unchanged", "invalid", "waiting", "added", "changed"]);
    let planned = sum(&["added", "changed", "removed"]);
    let ended = sum(&["delivered", "rejected", "skipped", "unknown", "pending", "guarded", "left_over"]);
    let wrong = entry.number("read") != rows || planned != ended;
    wrong.then(|| format!("run {} does not add up: {}", entry.text("run"), entry.line()))
}
