//! The one summary line of a run.

use std::time::Duration;

use super::{event, events};
use crate::model::Counts;

/// What `run.finished` says. Durations are logged in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct RunFinished<'a> {
    /// The sync's name.
    pub sync: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// How it ended: `ok`, `partial`, `guarded`, `deferred`, ….
    pub outcome: &'a str,
    /// Every term of promise P6.
    pub counts: Counts,
    /// Reading the model, mapping and diff, which go on together.
    pub read: Duration,
    /// Ownership, counts and guard.
    pub plan: Duration,
    /// From the first to the last request.
    pub deliver: Duration,
    /// The whole run.
    pub total: Duration,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
    /// Answers with status 429.
    pub throttled: u64,
    /// Time that requests waited for the account's limiter, summed.
    pub limiter_wait: Duration,
    /// Share of the requests that the account's windows allowed while delivering, 0 to 1; `None` without a window.
    pub utilisation: Option<f64>,
}

impl RunFinished<'_> {
    /// Writes the line.
    pub fn log(&self) {
        let Counts {
            read,
            unchanged,
            invalid,
            waiting,
            added,
            changed,
            remapped,
            removed,
            waiting_removals,
            delivered,
            rejected,
            skipped,
            unknown,
            pending,
            guarded,
            left_over,
        } = self.counts;
        event!(
            events::RUN_FINISHED,
            sync = self.sync,
            run = self.run,
            outcome = self.outcome,
            read,
            unchanged,
            invalid,
            waiting,
            added,
            changed,
            remapped,
            removed,
            waiting_removals,
            delivered,
            rejected,
            skipped,
            unknown,
            pending,
            guarded,
            left_over,
            read_ms = millis(self.read),
            plan_ms = millis(self.plan),
            deliver_ms = millis(self.deliver),
            total_ms = millis(self.total),
            requests = self.requests,
            retries = self.retries,
            throttled = self.throttled,
            limiter_wait_ms = millis(self.limiter_wait),
            utilisation = self.utilisation,
        );
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
