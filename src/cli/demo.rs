//! `syncline demo`: the whole loop on embedded defaults, with nothing installed.

use clap::Args;

use super::{Exit, context::Context, exit::CliError};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {}

/// Placeholder.
///
/// # Errors
/// Always.
#[allow(clippy::unused_async, reason = "replaced by the demo")]
pub(super) async fn execute(_context: &Context, _args: DemoArgs) -> anyhow::Result<Exit> {
    Err(CliError::failed("the demo is not part of this build", "build from the main branch").into())
}
