//! Operator requests: commands beside a running daemon leave them in the state and wait for the answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    model::RunId,
    proof::{Boundary, reach},
    run::{Engine, Resync, RunError, RunReport},
    state::{Request, State, StateError},
    telemetry::{event, events},
};

/// How often a waiting command asks for the answer.
const ANSWER_POLL: Duration = Duration::from_millis(200);

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKind {
    /// Run a sync now.
    Sync {
        /// The sync's name.
        sync: String,
    },
    /// Let a guarded run's changes through.
    Approve {
        /// The run.
        run: RunId,
    },
    /// Send keys of a sync again.
    Resync {
        /// The sync's name.
        sync: String,
        /// Which.
        what: Resync,
    },
    /// Keep a sync from running, or let it run again.
    Pause {
        /// The sync's name.
        sync: String,
        /// Which of the two.
        paused: bool,
    },
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The daemon refused it.
    #[error("{0}")]
    Refused(String),
    /// The daemon ended before it answered; the request is withdrawn.
    #[error("the daemon stopped before it answered")]
    NoDaemon,
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Leaves a request for whoever runs syncs on this state; the answer is fetched with [`wait_for`].
///
/// # Errors
/// When the state fails.
pub async fn post(state: &State, kind: &RequestKind) -> Result<i64, StateError> {
    match kind {
        RequestKind::Sync { sync } => state.post_request("sync", None, json!({ "sync": sync })).await,
        RequestKind::Approve { run } => state.post_request("approve", None, json!({ "run": run })).await,
        RequestKind::Resync { sync, what } => {
            state.post_request("resync", None, json!({ "sync": sync, "what": what })).await
        }
        RequestKind::Pause { sync, paused } => {
            state.post_request("pause", None, json!({ "sync": sync, "paused": paused })).await
        }
    }
}

/// Waits until a request is answered.
///
/// # Errors
/// When it was refused, or the state fails.
pub async fn wait_for(state: &State, id: i64) -> Result<Value, RequestError> {
    loop {
        // Before the answer is looked for: a daemon that answered and ended has answered.
        let alone = !state.has_daemon().await?;
        if let Some(answer) = state.request(id).await?.and_then(|request| request.result) {
            return match answer.get("error").and_then(Value::as_str) {
                Some(error) => Err(RequestError::Refused(error.to_owned())),
                None => Ok(answer),
            };
        }
        if alone {
            // Withdrawn, so that the next daemon does not carry out what nobody waits for.
            state.finish_request(id, json!({ "error": "withdrawn: no daemon runs any more" })).await?;
            return Err(RequestError::NoDaemon);
        }
        tokio::time::sleep(ANSWER_POLL).await;
    }
}

/// The sync that a request wants to run, if that is what it wants and the sync exists and is enabled.
pub(super) fn read(engine: &Engine, request: &Request) -> Option<String> {
    let name = request.args.get("sync").and_then(Value::as_str).filter(|_| request.kind == "sync");
    if let Some(name) = name
        && engine.syncs().any(|sync| sync.name == name)
    {
        event!(events::REQUEST_RECEIVED, request = request.id, kind = request.kind, sync = name);
        return Some(name.to_owned());
    }
    None
}

/// Carries out a request that is not a run, or refuses it.
pub(super) async fn execute(engine: &Engine, request: &Request) -> Result<(), StateError> {
    event!(events::REQUEST_RECEIVED, request = request.id, kind = request.kind);
    let result = match request.kind.as_str() {
        "approve" => approve(engine, request).await,
        "resync" => resync(engine, request).await,
        "pause" => pause(engine, request).await,
        "sync" => Err("the running daemon's configuration has no such sync, or it is not enabled".to_owned()),
        _ => Err(format!("the running daemon does not know the request `{}`", request.kind)),
    };
    let answer = result.unwrap_or_else(|error| json!({ "error": error }));
    reach(Boundary::RequestDone).await?;
    engine.state().finish_request(request.id, answer).await?;
    event!(events::REQUEST_DONE, request = request.id, kind = request.kind);
    Ok(())
}

async fn approve(engine: &Engine, request: &Request) -> Result<Value, String> {
    let run = request.args.get("run").and_then(Value::as_i64).ok_or("the request names no run")?;
    engine.approve(RunId(run)).await.map_err(|error| error.to_string())?;
    Ok(json!({ "approved": run }))
}

fn sync_of(request: &Request) -> Result<&str, String> {
    request.args.get("sync").and_then(Value::as_str).ok_or_else(|| "the request names no sync".to_owned())
}

async fn resync(engine: &Engine, request: &Request) -> Result<Value, String> {
    let what: Option<Resync> = request.args.get("what").and_then(|what| serde_json::from_value(what.clone()).ok());
    let what = what.ok_or("the running daemon does not know this kind of resync")?;
    engine.resync(sync_of(request)?, &what).await.map_err(|error| refusal(&error))?;
    Ok(json!({ "resync": what.name() }))
}

async fn pause(engine: &Engine, request: &Request) -> Result<Value, String> {
    let paused = request.args.get("paused").and_then(Value::as_bool).ok_or("the request does not say what to do")?;
    engine.pause(sync_of(request)?, paused).await.map_err(|error| refusal(&error))?;
    Ok(json!({ "paused": paused }))
}

fn refusal(error: &RunError) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}

/// Answers a request for a run with the run's report.
pub(super) async fn answer(engine: &Engine, request: i64, report: &RunReport) -> Result<(), StateError> {
    let answer = serde_json::to_value(report).unwrap_or_else(|error| json!({ "error": error.to_string() }));
    reach(Boundary::RequestDone).await?;
    engine.state().finish_request(request, answer).await?;
    event!(events::REQUEST_DONE, request = request, kind = "sync");
    Ok(())
}
