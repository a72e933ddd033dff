//! A pause of an account, seen by every sync that uses it.

use std::{fmt, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{clock::Clock, model::Timestamp};

use super::locked;

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

impl HoldState {
    /// When the hold ends, if that is known.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Until { at, .. } => Some(*at),
            Self::Open | Self::Shut(_) => None,
        }
    }
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

/// The hold after "too many requests" when the vendor names no time.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(10);
/// Longest hold; longer ones are shut holds in disguise.
const MAX_HOLD: Duration = Duration::from_secs(366 * 86_400);

/// The hold of one account. Times are tokio's; the wall clock is only for display.
#[derive(Debug)]
pub(super) struct Hold {
    gates: Mutex<Gates>,
}

/// One end for each reason, so that the end of one hold does not end another.
#[derive(Debug, Default)]
struct Gates {
    shut: Option<HoldReason>,
    /// Kept when they are over, until they are released.
    ends: Vec<(HoldReason, Instant)>,
}

impl Gates {
    /// A hold that is over counts as open.
    fn gate(&self) -> Gate {
        let now = Instant::now();
        let latest = self.ends.iter().filter(|(_, at)| *at > now).max_by_key(|(_, at)| *at);
        match (self.shut, latest) {
            (Some(reason), _) => Gate::Shut(reason),
            (None, Some((reason, at))) => Gate::Until(*at, *reason),
            (None, None) => Gate::Open,
        }
    }
}

impl Hold {
    pub(super) fn new() -> Self {
        Self { gates: Mutex::default() }
    }

    /// Holds for at least `duration`; never shortens a hold and never opens a shut one. Whether it was open before.
    pub(super) fn hold_for(&self, duration: Duration, reason: HoldReason) -> bool {
        let until = Instant::now() + duration.min(MAX_HOLD);
        let mut gates = locked(&self.gates);
        let opened = gates.gate() == Gate::Open;
        match gates.ends.iter_mut().find(|(of, _)| *of == reason) {
            Some((_, at)) => *at = until.max(*at),
            None => gates.ends.push((reason, until)),
        }
        opened
    }

    /// Whether it was not shut before.
    pub(super) fn shut(&self, reason: HoldReason) -> bool {
        locked(&self.gates).shut.replace(reason).is_none()
    }

    /// Opens what was shut for this reason; holds with an end go on. Whether it was shut so.
    pub(super) fn open(&self, reason: HoldReason) -> bool {
        locked(&self.gates).shut.take_if(|shut| *shut == reason).is_some()
    }

    /// Ends a hold of this reason, if it has an end; holds of other reasons go on. Whether there was one.
    pub(super) fn release_timed(&self, reason: HoldReason) -> bool {
        let mut gates = locked(&self.gates);
        let before = gates.ends.len();
        gates.ends.retain(|(of, _)| *of != reason);
        gates.ends.len() < before
    }

    /// The gate, where a hold that is over counts as open.
    pub(super) fn gate(&self) -> Gate {
        locked(&self.gates).gate()
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
