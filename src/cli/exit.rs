//! Exit codes and how errors are printed.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Format, output};
use crate::{
    config::{ConfigErrors, Diagnostic, SecretError},
    proof::{Rule, is_broken},
    run::{RunError, RunReport},
    state::{RunStatus, StateError},
    telemetry::LogError,
};

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

impl From<RunStatus> for Exit {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Ok | RunStatus::Skipped => Self::Ok,
            RunStatus::Failed | RunStatus::Refused => Self::Failed,
            RunStatus::Partial | RunStatus::Interrupted | RunStatus::Running => Self::Partial,
            RunStatus::Guarded => Self::Guarded,
            RunStatus::Deferred => Self::Deferred,
        }
    }
}

impl From<&RunReport> for Exit {
    fn from(report: &RunReport) -> Self {
        if report.elsewhere.is_some() { Self::Locked } else { report.status.into() }
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
pub(super) struct CliError {
    /// What went wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
    /// The exit code.
    pub(super) exit: Exit,
}

impl CliError {
    /// An error of use or configuration.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), exit: Exit::Usage }
    }

    /// A failure with advice.
    pub(super) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), exit: Exit::Failed }
    }
}

/// The error of a command that hangs after it was asked to stop.
pub fn overdue() -> anyhow::Error {
    let message =
        "what was under way did not end in time after the request to stop; most likely the state does not answer";
    let hint =
        "what was in flight is found and sent again by the next start; a lease that is still held ends by itself";
    CliError::failed(message, hint).into()
}

/// Prints an error and gives the exit code: as text on stderr, and as JSON also one document on stdout.
#[allow(clippy::print_stderr, reason = "the outermost layer tells what stopped the command")]
pub fn report(error: &anyhow::Error, format: Format) -> ExitCode {
    eprint!("{}", render(error));
    if format == Format::Json {
        // A closed stdout changes nothing: the error stands on stderr.
        drop(output::json(&document(error)));
    }
    of_error(error).into()
}

/// The exit code of an error.
fn of_error(error: &anyhow::Error) -> Exit {
    let known = error.chain().find_map(|cause| {
        let own = cause.downcast_ref::<CliError>().map(|error| error.exit);
        let state = cause.downcast_ref::<StateError>().filter(|error| matches!(error, StateError::Locked { .. }));
        let usage = cause.is::<ConfigErrors>() || cause.is::<LogError>();
        own.or(state.map(|_| Exit::Locked)).or(usage.then_some(Exit::Usage))
    });
    known.unwrap_or(Exit::Failed)
}

/// What to do about an error: the first advice of the chain.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let own = cause.downcast_ref::<CliError>().and_then(|error| error.hint.clone());
        let state = || cause.downcast_ref::<StateError>().and_then(StateError::hint).map(str::to_owned);
        let run = || cause.downcast_ref::<RunError>().and_then(RunError::hint);
        let secret = || cause.downcast_ref::<SecretError>().map(SecretError::hint);
        own.or_else(state).or_else(run).or_else(secret)
    })
}

/// The error as text: the mistakes of a configuration, else `error: …`, its causes, then `hint: …`.
fn render(error: &anyhow::Error) -> String {
    if let Some(errors) = config_errors(error) {
        let count = errors.0.len();
        let plural = if count == 1 { "" } else { "s" };
        return format!("{errors}\n\nerror: the configuration has {count} error{plural}\n");
    }
    let mut out = format!("error: {error}\n");
    if is_broken(Rule::CausesTold) {
        return out;
    }
    for cause in causes(error) {
        out.push_str(&format!("  caused by: {cause}\n"));
    }
    if let Some(hint) = hint(error) {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out
}

/// The causes, without those that only repeat what was said before.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
            said = text;
        }
    }
    causes
}

fn config_errors(error: &anyhow::Error) -> Option<&ConfigErrors> {
    error.chain().find_map(|cause| cause.downcast_ref::<ConfigErrors>())
}

/// The error as JSON: `{"error": {"message", "causes", "hint", "exit"}}`, with `problems` for a configuration.
fn document(error: &anyhow::Error) -> Value {
    let exit = of_error(error).code();
    let Some(errors) = config_errors(error) else {
        return json!({ "error": {
            "message": error.to_string(), "causes": causes(error), "hint": hint(error), "exit": exit,
        } });
    };
    let problems: Vec<Value> = errors.0.iter().map(diagnostic).collect();
    json!({ "error": {
        "message": "the configuration is not valid", "causes": [], "hint": null, "exit": exit, "problems": problems,
    } })
}

/// A mistake or warning of the configuration as JSON.
pub(super) fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let Diagnostic { origin, message, cause, hint } = diagnostic;
    json!({ "at": origin.to_string(), "message": message, "cause": cause, "hint": hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_its_causes_once_and_the_first_advice() {
        let inner = anyhow::Error::new(StateError::Locked { path: "state.lock".into() });
        let error = inner.context("cannot run");
        let text = render(&error);
        assert!(text.starts_with("error: cannot run\n  caused by: another process runs syncs"), "{text}");
        assert!(text.ends_with("let it finish\n"), "{text}");
        assert_eq!(of_error(&error), Exit::Locked);
        assert_eq!(document(&error)["error"]["exit"], 6);
        let usage = anyhow::Error::new(CliError::usage("no", "yes"));
        assert_eq!((of_error(&usage), render(&usage).as_str()), (Exit::Usage, "error: no\nhint: yes\n"));
    }

    #[test]
    fn the_gravest_wins() {
        let order = [Exit::Ok, Exit::Partial, Exit::Deferred, Exit::Guarded, Exit::Locked, Exit::Usage, Exit::Failed];
        for (low, high) in order.iter().zip(&order[1..]) {
            assert_eq!(low.and(*high), *high);
            assert_eq!(high.and(*low), *high);
        }
    }
}
