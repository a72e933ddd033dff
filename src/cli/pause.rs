//! `syncline pause` and `syncline resume`: keep a sync from running.

use clap::Args;
use serde_json::json;

use super::{Exit, beside::Place, context::Context, exit::CliError, output, sync::known};
use crate::{scheduler::RequestKind, state::StateError};

/// Arguments of `pause` and `resume`.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// The sync.
    #[arg(value_name = "SYNC")]
    sync: String,
}

/// Pauses or resumes a sync, here or, when a daemon runs on this state, there.
///
/// # Errors
/// When the sync has not run yet, or the state cannot be used.
pub(super) async fn execute(context: &Context, args: PauseArgs, paused: bool) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    if setup.reader().await?.is_none() {
        return Err(StateError::Missing { path: setup.location().await?.label() }.into());
    }
    let name = args.sync;
    match setup.here_or_daemon("pause").await? {
        Place::Here(engine) => {
            known(&engine, &name)?;
            let done = engine.pause(&name, paused).await;
            engine.state().clone().close().await?;
            done.map_err(|error| {
                let hint = error.hint();
                CliError { message: error.to_string(), hint, exit: Exit::Failed }
            })?;
        }
        Place::Daemon(daemon) => {
            known(&daemon.0, &name)?;
            drop(daemon.ask(context, &RequestKind::Pause { sync: name.clone(), paused }).await?);
        }
    }
    if context.json() {
        output::json(&json!({ "sync": name, "paused": paused }))?;
    } else if paused {
        output::line(format!("{name}: paused; a run under way ends. `syncline resume {name}` lets it run again"));
    } else {
        output::line(format!("{name}: runs again when it is due"));
    }
    Ok(Exit::Ok)
}
