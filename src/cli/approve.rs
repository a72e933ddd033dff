//! `syncline approve`: lets a guarded run's changes through.

use clap::Args;
use serde_json::json;

use super::{Exit, beside::Place, context::Context, output};
use crate::{model::RunId, scheduler::RequestKind, state::StateError};

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The guarded run, as `runs` and `status` show it.
    #[arg(value_name = "RUN")]
    run: i64,
}

/// Approves here, or asks the daemon that runs on this state.
///
/// # Errors
/// When the run holds nothing, or the state cannot be used.
pub(super) async fn execute(context: &Context, args: ApproveArgs) -> anyhow::Result<Exit> {
    let run = RunId(args.run);
    let setup = context.command()?;
    if setup.reader().await?.is_none() {
        return Err(StateError::NothingToApprove { run }.into());
    }
    match setup.here_or_daemon("approve").await? {
        Place::Here(engine) => {
            let approved = engine.approve(run).await;
            let closed = engine.state().clone().close().await;
            approved.and(closed)?;
        }
        Place::Daemon(daemon) => drop(daemon.ask(context, &RequestKind::Approve { run }).await?),
    }
    if context.json() {
        output::json(&json!({ "approved": run }))?;
    } else {
        output::line(format!("run {run} is approved for 24 hours: its changes go with the sync's next run"));
    }
    Ok(Exit::Ok)
}
