//! What starts a run.

use crate::model::Timestamp;

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Its time had come.
    Schedule {
        /// When: a run of the sync that began later than this has done what was due.
        due: Timestamp,
    },
    /// A command.
    Command,
    /// A command beside a running daemon.
    Request,
}

impl Trigger {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule { .. } => "schedule",
            Self::Command => "command",
            Self::Request => "request",
        }
    }

    /// When it was due, if its time had come.
    pub const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Schedule { due } => Some(due),
            Self::Command | Self::Request => None,
        }
    }
}
