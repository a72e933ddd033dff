//! Commands beside a running daemon: they leave a request in the state and wait for the answer.
#![allow(clippy::print_stderr, reason = "says on stderr what is waited for")]

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    context::{Context, Setup},
    exit::{CliError, Exit},
};
use crate::{
    run::Engine,
    scheduler::{self, RequestError, RequestKind},
    state::{self, StateError},
};

/// What the daemon announces in the lock file; it alone carries out requests.
pub(super) const DAEMON: &str = "run";
/// How often a waiting command asks whether the daemon still runs.
const WATCH: Duration = Duration::from_secs(5);
/// An answer that was given right before the daemon ended is found within this time.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Who carries a command out.
pub(super) enum Place {
    /// This process: it holds the lock.
    Here(Engine),
    /// The daemon that holds it.
    Daemon(Daemon),
}

/// A daemon on the same state.
pub(super) struct Daemon {
    /// To read the state beside it.
    pub(super) engine: Engine,
    lock: PathBuf,
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
        let Some(StateError::Locked { path }) = error.downcast_ref() else { return Err(error) };
        let holder = error.downcast_ref::<StateError>().and_then(StateError::holder);
        match self.reader().await? {
            Some(engine) if holder.as_deref() == Some(DAEMON) => {
                Ok(Place::Daemon(Daemon { engine, lock: path.clone() }))
            }
            Some(_) | None => Err(error),
        }
    }
}

impl Daemon {
    /// Asks the daemon and waits for its answer.
    ///
    /// # Errors
    /// When the daemon refuses or ends, the state fails, or this process is asked to stop; the request then stands.
    pub(super) async fn ask(&self, context: &Context, kind: &RequestKind) -> anyhow::Result<Value> {
        let id = scheduler::post(self.engine.state(), kind).await?;
        let mut answer = std::pin::pin!(scheduler::wait_for(self.engine.state(), id));
        let mut watch = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                answer = answer.as_mut() => return answer.map_err(refused),
                () = context.shutdown.cancelled() => return Err(unanswered("this command was stopped", id, Exit::Partial)),
                _ = watch.tick() => {}
            }
            if !state::is_locked(&self.lock)? {
                let last = tokio::time::timeout(LAST_LOOK, answer.as_mut()).await;
                let ended = |_| Err(unanswered("the daemon ended", id, Exit::Failed));
                return last.map_or_else(ended, |answer| answer.map_err(refused));
            }
        }
    }
}

fn refused(error: RequestError) -> anyhow::Error {
    match error {
        RequestError::Refused(reason) => {
            CliError::failed(format!("the running daemon refused: {reason}"), "see the daemon's log").into()
        }
        RequestError::NoDaemon => CliError::failed(
            "the daemon stopped before it answered; nothing was done for this request",
            "give the command again: it is carried out by itself now",
        )
        .into(),
        RequestError::State(error) => error.into(),
    }
}

fn unanswered(what: &str, id: i64, exit: Exit) -> anyhow::Error {
    let message = format!("{what} before request {id} was answered");
    let hint = "the request stands: a daemon carries it out; see the daemon's log and `syncline runs`".to_owned();
    CliError { message, hint: Some(hint), exit }.into()
}

/// Says on stderr that the daemon does it.
pub(super) fn say_who(context: &Context) {
    if !context.json() {
        eprintln!("a daemon runs on this state; it was asked and is waited for");
    }
}
