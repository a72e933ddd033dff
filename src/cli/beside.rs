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
    state::{Location, StateError},
};

/// What the daemon announces in the lock file; it alone carries out requests.
pub(super) const DAEMON: &str = "run";

/// Who carries a command out.
pub(super) enum Place {
    /// This process: it holds the lock.
    Here(Engine),
    /// The daemon that holds it.
    Daemon(Daemon),
}

/// A daemon on the same state, and an engine to read the state beside it.
pub(super) struct Daemon(pub(super) Engine);

impl Setup<'_> {
    /// Takes the lock, or finds the daemon that holds it.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another process holds the lock that carries out no requests.
    pub(super) async fn here_or_daemon(&self, command: &str) -> anyhow::Result<Place> {
        if let Location::Postgres { .. } = self.location().await? {
            return self.here_or_beside(command).await;
        }
        let error = match self.runner(command).await {
            Ok(engine) => return Ok(Place::Here(engine)),
            Err(error) => error,
        };
        // Whatever else is wrong with the state, looking for a daemon would hide it.
        match error.downcast_ref::<StateError>().and_then(StateError::holder) {
            Some(holder) if holder == DAEMON => {
                self.reader().await?.map(|engine| Place::Daemon(Daemon(engine))).ok_or(error)
            }
            Some(_) | None => Err(error),
        }
    }
}

impl Setup<'_> {
    /// The same where nothing is locked as a whole: leases keep the syncs of several processes apart.
    async fn here_or_beside(&self, command: &str) -> anyhow::Result<Place> {
        if let Some(engine) = self.reader().await?
            && engine.state().has_daemon().await?
        {
            return Ok(Place::Daemon(Daemon(engine)));
        }
        self.runner(command).await.map(Place::Here)
    }
}

impl Daemon {
    /// Asks the daemon and waits for its answer.
    ///
    /// # Errors
    /// When the daemon refuses or ends, the state fails, or this process is asked to stop.
    pub(super) async fn ask(&self, context: &Context, kind: &RequestKind) -> anyhow::Result<Value> {
        let id = scheduler::post(self.0.state(), kind).await?;
        tokio::select! {
            answer = scheduler::wait_for(self.0.state(), id) => answer.map_err(refused),
            () = context.shutdown.cancelled() => Err(CliError {
                message: format!("this command was stopped before request {id} was answered"),
                hint: Some("the request stands: the daemon carries it out; see `syncline runs`".to_owned()),
                exit: Exit::Partial,
            }
            .into()),
        }
    }
}

fn refused(error: RequestError) -> anyhow::Error {
    match error {
        RequestError::Refused(reason) => {
            CliError::failed(format!("the running daemon refused: {reason}"), "see the daemon's log").into()
        }
        RequestError::NoDaemon => CliError::failed(
            "the daemon stopped before it answered",
            "see its log for how far it came; the command given again carries it out by itself",
        )
        .into(),
        RequestError::State(error) => error.into(),
    }
}

/// Says on stderr that the daemon does it.
pub(super) fn say_who(context: &Context) {
    if !context.json() {
        eprintln!("a daemon runs on this state; it was asked and is waited for");
    }
}
