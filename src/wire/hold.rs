//! A pause of an account, seen by every sync that uses it.

use std::{fmt, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{clock::Clock, model::Timestamp};

/// Why an account is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The vendor asked to wait.
    RetryAfter,
    /// The vendor does not answer or answers with errors.
    Outage,
    /// The day's quota is used up.
    Quota,
    /// The credentials are refused.
    Credentials,
    /// An operator said so.
    Operator,
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RetryAfter => "the vendor asked to wait",
            Self::Outage => "outage",
            Self::Quota => "quota spent",
            Self::Credentials => "credentials refused",
            Self::Operator => "operator",
        })
    }
}

/// Whether an account may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// It may.
    Open,
    /// Not before this time.
    Until {
        /// When the hold ends.
        at: Timestamp,
        /// Why it began.
        reason: HoldReason,
    },
    /// Not before somebody releases it.
    Shut(HoldReason),
}

impl fmt::Display for HoldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Until { at, reason } => write!(f, "{reason}, until {at}"),
            Self::Shut(reason) => write!(f, "{reason}, until released"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Until(Instant, HoldReason),
    Shut(HoldReason),
}

/// The hold of one account. Times are tokio's; the wall clock is only for display.
#[derive(Debug)]
pub(super) struct Hold {
    gate: watch::Sender<Gate>,
}

impl Hold {
    pub(super) fn new() -> Self {
        Self { gate: watch::Sender::new(Gate::Open) }
    }

    /// Holds for at least `duration`; never shortens a hold and never opens a shut one.
    pub(super) fn hold_for(&self, duration: Duration, reason: HoldReason) -> bool {
        let until = Instant::now() + duration;
        self.gate.send_if_modified(|gate| {
            let longer = match gate {
                Gate::Open => true,
                Gate::Until(at, _) => *at < until,
                Gate::Shut(_) => false,
            };
            if longer {
                *gate = Gate::Until(until, reason);
            }
            longer
        })
    }

    pub(super) fn shut(&self, reason: HoldReason) {
        self.gate.send_replace(Gate::Shut(reason));
    }

    pub(super) fn release(&self) {
        self.gate.send_replace(Gate::Open);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    /// The gate with a hold that is over counted as open.
    pub(super) fn gate(&self) -> Gate {
        match *self.gate.borrow() {
            Gate::Until(at, _) if at <= Instant::now() => Gate::Open,
            gate => gate,
        }
    }

    pub(super) fn state(&self, clock: &Clock) -> HoldState {
        match self.gate() {
            Gate::Open => HoldState::Open,
            Gate::Until(at, reason) => {
                HoldState::Until { at: clock.now() + at.saturating_duration_since(Instant::now()), reason }
            }
            Gate::Shut(reason) => HoldState::Shut(reason),
        }
    }
}
