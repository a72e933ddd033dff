//! Why a delivery ends before its plan does.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::{
    model::Timestamp,
    state::StateError,
    wire::{Fault, FaultKind, HoldReason, HoldState},
};

/// Why no further batch is begun.
#[derive(Debug)]
pub enum StopReason {
    /// The day's quota is used up.
    Quota {
        /// When it begins anew, if known.
        until: Option<Timestamp>,
    },
    /// The account is on hold for longer than a run waits.
    Hold(HoldState),
    /// Retries are spent: the vendor cannot be reached, or answers with errors.
    Outage(Box<Fault>),
    /// The daemon is stopping.
    Shutdown,
    /// The plan is older than `max_plan_age`.
    PlanTooOld,
    /// The first batches were mostly refused: a wrong mapping, most likely.
    TooManyRejects {
        /// Rows refused so far.
        rejected: u64,
        /// Rows judged so far.
        judged: u64,
    },
    /// Configuration or credentials need a person.
    Fault(Box<Fault>),
    /// The state store failed (promise P7).
    Storage(StateError),
}

impl StopReason {
    /// What a fault that ends the run means.
    pub fn of_fault(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::QuotaSpent { until } => Self::Quota { until },
            FaultKind::Held(HoldState::Shut(HoldReason::Credentials)) => Self::Fault(Box::new(fault)),
            FaultKind::Held(state) => Self::Hold(state),
            FaultKind::Stopped => Self::Shutdown,
            FaultKind::Connect
            | FaultKind::TimedOut
            | FaultKind::Dropped
            | FaultKind::Throttled
            | FaultKind::Server
            | FaultKind::Protocol => Self::Outage(Box::new(fault)),
            FaultKind::Tls
            | FaultKind::Blocked
            | FaultKind::Credentials
            | FaultKind::Forbidden
            | FaultKind::NotFound
            | FaultKind::BatchRefused
            | FaultKind::TooLarge
            | FaultKind::Budget
            | FaultKind::Expired
            | FaultKind::Settings => Self::Fault(Box::new(fault)),
        }
    }
}

/// The first reason to stop wins; everybody sees it at once.
#[derive(Debug, Default)]
pub struct Stop {
    reason: Mutex<Option<StopReason>>,
    token: CancellationToken,
}

impl Stop {
    /// Asks every worker to begin nothing new.
    pub fn request(&self, reason: StopReason) {
        let mut slot = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        // A storage error outranks everything: it decides how the run ends.
        if slot.is_none() || matches!(reason, StopReason::Storage(_)) {
            *slot = Some(reason);
        }
        self.token.cancel();
    }

    /// Whether to begin nothing new.
    pub fn requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends when a stop is requested.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The reason, if there is one.
    pub fn take(&self) -> Option<StopReason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_wins_unless_the_state_fails() {
        let stop = Stop::default();
        assert!(!stop.requested() && stop.take().is_none());
        stop.request(StopReason::PlanTooOld);
        stop.request(StopReason::Shutdown);
        assert!(stop.requested() && stop.token().is_cancelled());
        assert!(matches!(stop.take(), Some(StopReason::PlanTooOld)));
        stop.request(StopReason::Shutdown);
        stop.request(StopReason::Storage(StateError::Stopped));
        stop.request(StopReason::PlanTooOld);
        assert!(matches!(stop.take(), Some(StopReason::Storage(StateError::Stopped))));
    }
}
