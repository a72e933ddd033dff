//! What the lanes measured.

use std::time::Duration;

use super::lane::Blow;
use crate::support::pair::Audit;

/// What the lanes measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Blows to a daemon in a run, with the time until the other's first run.
    took: Vec<(Blow, Duration)>,
    /// Comparisons of simulator and model at a quiet point.
    pub(super) checks: u64,
    /// Such comparisons that found a difference.
    pub(super) failed_checks: u64,
    /// What all of them found.
    pub(super) audit: Audit,
    /// Rows written at the simulator.
    pub(super) writes: u64,
    /// Of those, the ones that repeated the write before them.
    pub(super) identical: u64,
    /// Rows that arrived while another operation on their record was unanswered, with another content.
    pub(super) overlaps: u64,
    /// Requests in the fullest window of the account's limit.
    pub(super) fullest: u64,
    /// Answers 429.
    pub(super) too_many: u64,
}

impl Figures {
    /// Adds a blow.
    pub(super) fn struck(&mut self, blow: Blow, took: Duration) {
        self.took.push((blow, took));
    }

    /// Blows so far.
    pub(super) fn blows(&self) -> u64 {
        self.took.len() as u64
    }

    /// The times after blows of a kind, shortest first.
    pub(super) fn times(&self, blow: Blow) -> Vec<Duration> {
        let mut times: Vec<_> = self.took.iter().filter(|(kind, _)| *kind == blow).map(|(_, took)| *took).collect();
        times.sort();
        times
    }

    /// Adds a comparison.
    pub(super) fn check(&mut self, found: Audit) {
        self.checks += 1;
        self.failed_checks += u64::from(found != Audit::default());
        self.audit.wrong += found.wrong;
        self.audit.missing += found.missing;
        self.audit.orphans += found.orphans;
    }

    /// Adds what another lane measured.
    pub(super) fn add(&mut self, other: Self) {
        self.took.extend(other.took);
        self.checks += other.checks;
        self.failed_checks += other.failed_checks;
        self.audit.wrong += other.audit.wrong;
        self.audit.missing += other.audit.missing;
        self.audit.orphans += other.audit.orphans;
        self.writes += other.writes;
        self.identical += other.identical;
        self.overlaps += other.overlaps;
        self.fullest = self.fullest.max(other.fullest);
        self.too_many += other.too_many;
    }
}
