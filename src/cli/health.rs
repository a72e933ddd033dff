//! `syncline health`: asks the running daemon whether it is well, for containers that have no other client.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Exit, context::Context, exit::CliError, output};
use crate::http;

/// A daemon that is well answers at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Ask whether it can run syncs, not only whether it is alive.
    #[arg(long)]
    ready: bool,
}

/// Asks the address of `[http] listen`.
///
/// # Errors
/// When nothing answers there, or the daemon is stuck or not ready.
pub(super) async fn execute(context: &Context, args: HealthArgs) -> anyhow::Result<Exit> {
    let Some(address) = context.load()?.settings.http.listen else {
        return Err(
            CliError::usage("`[http] listen` is off, so the daemon cannot be asked", "give it an address").into()
        );
    };
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let answer = tokio::time::timeout(PATIENCE, http::probe(address, path)).await;
    let status = match answer {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(silent(format!("nothing answers at `{address}`: {error}"))),
        Err(_) => return Err(silent(format!("`{address}` does not answer within {} s", PATIENCE.as_secs()))),
    };
    if context.json() {
        output::json(&json!({ "health": { "path": path, "status": status } }))?;
    }
    if status == 200 { Ok(Exit::Ok) } else { Err(silent(format!("`{path}` answers {status}"))) }
}

fn silent(message: String) -> anyhow::Error {
    CliError::failed(message, "see the daemon's log; `syncline run` starts it").into()
}
