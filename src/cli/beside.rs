//! Commands beside a running daemon: they leave a request in the state and wait for the answer.
#![allow(clippy::print_stderr, reason = "says on stderr what is waited for")]

use serde_json::Value;

use super::{
    context::{Context, Setup},
    exit::{CliError, Exit},
};
use crate::{
    run::Engine,
    scheduler::{self, RequestError, RequestKind},
    state::{State, StateError},
};

/// What the daemon announces in the lock file; it alone carries out requests.
pub(super) const DAEMON: &str = "run";

/// Who carries a command out.
pub(super) enum Place {
    /// This process: it holds the lock.
    Here(Engine),
    /// The daemon that holds it.
    Daemon(Engine),
}

impl Setup<'_> {
    /// Takes the lock, or finds the daemon that holds it.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another process holds the lock that carries out no requests.
    pub(super) async fn here_or_daemon(&self, command: &str) -> anyhow::Result<Place> {
        let error = match self.runner(command).await {
            Ok(engine) => return Ok(Place::Here(engine)),
            Err(error) => error,
        };
        let holder = error.downcast_ref::<StateError>().and_then(StateError::holder);
        if holder.as_deref() != Some(DAEMON) {
            return Err(error);
        }
        self.reader().await?.map(Place::Daemon).ok_or(error)
    }
}

/// Asks the daemon and waits for its answer.
///
/// # Errors
/// When the daemon refuses, the state fails, or the process is asked to stop; the request then stands.
pub(super) async fn ask(context: &Context, state: &State, kind: &RequestKind) -> anyhow::Result<Value> {
    let id = scheduler::post(state, kind).await?;
    answer(context, state, id).await
}

/// Waits for the answer to a request.
///
/// # Errors
/// As [`ask`].
pub(super) async fn answer(context: &Context, state: &State, id: i64) -> anyhow::Result<Value> {
    let answer = tokio::select! {
        answer = scheduler::wait_for(state, id) => answer,
        () = context.shutdown.cancelled() => {
            return Err(CliError {
                message: format!("stopped before the daemon answered request {id}"),
                hint: Some("the request stands: the daemon carries it out; see `syncline runs`".to_owned()),
                exit: Exit::Partial,
            }
            .into());
        }
    };
    answer.map_err(|error| match error {
        RequestError::Refused(reason) => {
            CliError::failed(format!("the running daemon refused: {reason}"), "see the daemon's log").into()
        }
        RequestError::NoDaemon => CliError::failed(
            "the daemon stopped before it answered; nothing was done for this request",
            "give the command again: it is carried out by itself now",
        )
        .into(),
        RequestError::State(error) => error.into(),
    })
}

/// Says on stderr that the daemon does it.
pub(super) fn say_who(json: bool) {
    if !json {
        eprintln!("a daemon runs on this state; it was asked and is waited for");
    }
}
