//! How a run ended, for logs, tables and JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Counts, RunId, Timestamp},
    state::RunStatus,
};

/// How one run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// The sync's name.
    pub sync: String,
    /// The run's id in the state.
    pub run: Option<RunId>,
    /// How it ended.
    pub status: RunStatus,
    /// Every term of promise P6.
    pub counts: Counts,
    /// Rules of the guard that tripped.
    pub trips: Vec<TripLine>,
    /// Why it failed, was refused or stopped early, without any value.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// When it is worth trying again, if that is known (RFC 3339).
    pub until: Option<String>,
    /// Nothing was done here, because another process does it or has just done it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
    /// Delivery stopped because the plan was too old: a fresh run follows at once.
    #[serde(skip)]
    pub plan_too_old: bool,
    /// Where the time went.
    pub durations: Durations,
    /// What the account did for it.
    pub requests: Requests,
}

/// Where a sync runs, or ran, instead.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Elsewhere {
    /// Another instance runs it now.
    Running,
    /// A run of it began after the time that this one was due.
    Ran,
}

/// One tripped rule.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct TripLine {
    /// The rule's name in the configuration.
    pub rule: String,
    /// What was measured against which limit.
    pub message: String,
}

/// Durations in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Durations {
    /// Reading, mapping, diffing and spooling.
    pub plan_ms: u64,
    /// Ownership, approvals and guard.
    pub judge_ms: u64,
    /// Delivering and settling.
    pub deliver_ms: u64,
    /// The whole run.
    pub total_ms: u64,
}

/// The account's figures for this run; other syncs of the account may share in them.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Requests {
    /// Requests sent.
    pub sent: u64,
    /// Batches begun.
    pub batches: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Answers "too many requests".
    pub throttled: u64,
    /// Time spent waiting for limits, in milliseconds, summed over requests.
    pub limiter_wait_ms: u64,
    /// Share of the requests that the account's windows allowed while delivering, 0 to 1; `None` without a window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub utilisation: Option<f64>,
}

impl RunReport {
    /// A report of a run that has not counted anything yet.
    pub fn new(sync: &str, run: Option<RunId>, status: RunStatus) -> Self {
        Self {
            sync: sync.to_owned(),
            run,
            status,
            counts: Counts::default(),
            trips: Vec::new(),
            reason: None,
            hint: None,
            until: None,
            elsewhere: None,
            plan_too_old: false,
            durations: Durations::default(),
            requests: Requests::default(),
        }
    }

    /// Sets why it ended as it did, and what to do.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>, hint: Option<String>) -> Self {
        self.reason = Some(reason.into());
        self.hint = hint;
        self
    }

    /// Sets what it has done.
    #[must_use]
    pub(super) const fn having_done(mut self, counts: &Counts, durations: Durations, requests: Requests) -> Self {
        self.counts = *counts;
        self.durations = durations;
        self.requests = requests;
        self
    }

    /// Sets when it is worth trying again.
    #[must_use]
    pub fn until(mut self, until: Option<Timestamp>) -> Self {
        self.until = until.map(|at| at.to_string());
        self
    }
}

/// Milliseconds, saturating.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
