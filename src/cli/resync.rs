//! `syncline resync`: sends rows again, whatever the destination acknowledged.

use clap::Args;
use serde_json::json;

use super::{Exit, beside::Place, context::Context, exit::CliError, output, sync::known};
use crate::{run::Resync, scheduler::RequestKind, state::StateError};

/// Arguments of `resync`.
#[derive(Debug, Args)]
pub(super) struct ResyncArgs {
    /// The sync.
    #[arg(value_name = "SYNC", required_unless_present = "all")]
    sync: Option<String>,
    /// Every enabled sync that has run.
    #[arg(long, conflicts_with_all = ["sync", "keys", "target"])]
    all: bool,
    /// Only these keys, as `rejected` prints them.
    #[arg(long, value_name = "KEY", num_args = 1.., conflicts_with_all = ["target", "trust"])]
    keys: Vec<String>,
    /// Accept the changed `match` of the configuration, and send every row again under it.
    #[arg(long, conflicts_with = "trust")]
    target: bool,
    /// Send nothing: take a suspect state as right, so that its removals go again.
    #[arg(long)]
    trust: bool,
}

/// Marks what is to be sent again, here or, when a daemon runs on this state, there.
///
/// # Errors
/// When the sync cannot be resynced so, or the state cannot be used.
pub(super) async fn execute(context: &Context, args: ResyncArgs) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    if setup.reader().await?.is_none() {
        return Err(StateError::Missing { path: setup.location().await?.label() }.into());
    }
    let place = setup.here_or_daemon("resync").await?;
    let engine = match &place {
        Place::Here(engine) => engine,
        Place::Daemon(daemon) => &daemon.0,
    };
    let names = match &args.sync {
        Some(name) => known(engine, name).map(|()| vec![name.clone()])?,
        None => {
            let records = engine.state().syncs().await?;
            let has_run = |name: &str| records.iter().any(|record| record.name == name);
            engine.syncs().map(|sync| sync.name.clone()).filter(|name| has_run(name)).collect()
        }
    };
    let what = what(&args);
    let done = mark(context, &place, &names, &what).await;
    if let Place::Here(engine) = &place {
        engine.state().clone().close().await?;
    }
    done?;
    if context.json() {
        output::json(&json!({ "resync": names, "what": what.name() }))?;
    } else {
        names.iter().for_each(|name| output::line(format!("{name}: {}", words(&what))));
    }
    Ok(Exit::Ok)
}

fn what(args: &ResyncArgs) -> Resync {
    if !args.keys.is_empty() {
        Resync::Keys(args.keys.clone())
    } else if args.target {
        Resync::Target
    } else if args.trust {
        Resync::Trust
    } else {
        Resync::Whole
    }
}

async fn mark(context: &Context, place: &Place, names: &[String], what: &Resync) -> anyhow::Result<()> {
    for name in names {
        match place {
            Place::Here(engine) => engine.resync(name, what).await.map_err(|error| {
                let hint = error.hint();
                CliError { message: error.to_string(), hint, exit: Exit::Failed }
            })?,
            Place::Daemon(daemon) => {
                let kind = RequestKind::Resync { sync: name.clone(), what: what.clone() };
                drop(daemon.ask(context, &kind).await?);
            }
        }
    }
    Ok(())
}

fn words(what: &Resync) -> &'static str {
    match what {
        Resync::Whole => "every row goes with its next run",
        Resync::Keys(_) => "these rows go with its next run",
        Resync::Target => "the new target is accepted; every row goes with its next run",
        Resync::Trust => "its state is taken as right; removals go again",
    }
}
