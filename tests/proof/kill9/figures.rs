//! What a proof loop measured.

use crate::support::pair::Audit;

/// What a proof loop measured.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Processes killed while they were under way.
    pub(super) kills: u64,
    /// Of those, the ones that killed themselves at a boundary.
    pub(super) at_boundaries: u64,
    /// Comparisons of simulator and model at a quiet point.
    pub(super) checks: u64,
    /// Such comparisons that found a difference.
    pub(super) failed_checks: u64,
    /// Quiet points at which the state was suspect, or had dirty keys.
    pub(super) unclean: u64,
    /// What all of them found.
    pub(super) audit: Audit,
    /// Rows written at the simulator.
    pub(super) writes: u64,
    /// Of those, the ones that repeated the write before them.
    pub(super) identical: u64,
    /// Rows that arrived while another operation on their record was unanswered, with another content.
    pub(super) overlaps: u64,
}

impl Figures {
    /// Adds a comparison.
    pub(super) fn check(&mut self, found: Audit) {
        self.checks += 1;
        self.failed_checks += u64::from(found != Audit::default());
        self.audit.wrong += found.wrong;
        self.audit.missing += found.missing;
        self.audit.orphans += found.orphans;
    }

    /// Adds what another lane measured.
    pub(super) fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.at_boundaries += other.at_boundaries;
        self.unclean += other.unclean;
        self.checks += other.checks;
        self.failed_checks += other.failed_checks;
        self.audit.wrong += other.audit.wrong;
        self.audit.missing += other.audit.missing;
        self.audit.orphans += other.audit.orphans;
        self.writes += other.writes;
        self.identical += other.identical;
        self.overlaps += other.overlaps;
    }
}
