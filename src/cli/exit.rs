//! Exit codes and how errors are printed.

use std::process::ExitCode;

/// How a command ended. The numbers are documented and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done; also nothing to do, or rows that only wait.
    Ok,
    /// 1: failed or refused.
    Failed,
    /// 2: bad usage or configuration.
    Usage,
    /// 3: partial: rejected, invalid, unknown, pending or left over.
    Partial,
    /// 4: guarded.
    Guarded,
    /// 5: deferred by a quota or hold.
    Deferred,
    /// 6: another process runs syncs on this state.
    Locked,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Guarded => 4,
            Self::Deferred => 5,
            Self::Locked => 6,
        }
    }

    /// The graver of two, for commands on several syncs: 1, 2, 6, 4, 5, 3, 0.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Ok => 0,
            Self::Partial => 1,
            Self::Deferred => 2,
            Self::Guarded => 3,
            Self::Locked => 4,
            Self::Usage => 5,
            Self::Failed => 6,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with an exit code and advice, for the outermost layer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: Exit,
    /// What it comes from.
    #[source]
    pub source: Option<anyhow::Error>,
}

impl CliError {
    /// An error of use or configuration.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), exit: Exit::Usage, source: None }
    }

    /// A failure with advice.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), exit: Exit::Failed, source: None }
    }
}

/// The exit code of an error.
pub fn of_error(error: &anyhow::Error) -> Exit {
    error.chain().find_map(|cause| cause.downcast_ref::<CliError>()).map_or(Exit::Failed, |error| error.exit)
}

/// The error as text: `error: …`, its causes, then `hint: …`.
pub fn render(error: &anyhow::Error) -> String {
    let mut out = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        out.push_str(&format!("  caused by: {cause}\n"));
    }
    if let Some(hint) = error.chain().find_map(|cause| cause.downcast_ref::<CliError>()?.hint.as_deref()) {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_wins() {
        let order = [Exit::Ok, Exit::Partial, Exit::Deferred, Exit::Guarded, Exit::Locked, Exit::Usage, Exit::Failed];
        for (low, high) in order.iter().zip(&order[1..]) {
            assert_eq!(low.and(*high), *high);
            assert_eq!(high.and(*low), *high);
        }
    }
}
