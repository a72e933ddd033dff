//! `syncline sync`: runs syncs now and waits.
#![allow(clippy::print_stderr, reason = "remarks go to stderr, the result to stdout")]

use anyhow::Context as _;
use clap::Args;
use futures_util::future::join_all;
use serde_json::json;

use super::{
    Exit,
    beside::{self, Daemon, Place},
    context::Context,
    exit::CliError,
    output,
    progress::Rows,
    reports,
};
use crate::{
    model::{RunId, nearest},
    run::{Engine, RunReport, Trigger},
    scheduler::RequestKind,
    shutdown,
    state::{RunStatus, State, StateError},
};

/// Runs of a sync that are looked at for the newest guarded one.
const RUNS_LOOKED_AT: u32 = 50;

/// Arguments of `sync`.
#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// Names of syncs, in the order to run them.
    #[arg(value_name = "SYNC", required_unless_present = "all")]
    syncs: Vec<String>,
    /// All enabled syncs, by model and name; those of one model share its read.
    #[arg(long, conflicts_with = "syncs")]
    all: bool,
    /// Approve the newest guarded run of each sync first.
    #[arg(long)]
    approve: bool,
}

/// Runs the syncs here or, when a daemon runs on this state, there.
///
/// # Errors
/// When the configuration or the state cannot be used, or another `sync` is under way.
pub(super) async fn execute(context: &Context, args: SyncArgs) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    let place = setup.here_or_daemon("sync").await?;
    let reports = match &place {
        Place::Here(engine) => {
            let names = names(engine, &args).await?;
            let reports = run_here(context, engine, &names, args.approve).await;
            context.shutdown.within(shutdown::TOKENS, engine.settle_tokens()).await;
            // A storage error of a run is in its report already.
            let closed = engine.state().clone().close().await;
            reports.and_then(|reports| closed.map(|()| reports).map_err(Into::into))
        }
        Place::Daemon(daemon) => run_there(context, daemon, &names(&daemon.0, &args).await?, args.approve).await,
    }?;
    if context.json() {
        output::json(&json!({ "syncs": reports }))?;
    } else {
        reports::print(&reports);
    }
    let graves = reports.iter().map(Exit::from);
    Ok(graves.fold(Exit::Ok, Exit::and))
}

/// The names that were asked for, each of which must exist; of all, those that nobody paused.
async fn names(engine: &Engine, args: &SyncArgs) -> anyhow::Result<Vec<String>> {
    if args.all {
        let records = engine.state().syncs().await?;
        let paused = |name: &str| records.iter().any(|record| record.paused && record.name == name);
        let mut syncs: Vec<_> = engine.syncs().collect();
        syncs.sort_by(|a, b| (&a.model, &a.name).cmp(&(&b.model, &b.name)));
        let (left_out, names): (Vec<_>, Vec<_>) =
            syncs.into_iter().map(|sync| sync.name.clone()).partition(|name| paused(name));
        left_out.iter().for_each(|name| eprintln!("{name}: paused; `syncline resume {name}` lets it run again"));
        return Ok(names);
    }
    args.syncs.iter().map(|name| known(engine, name).map(|()| name.clone())).collect()
}

/// Refuses a name that no sync of the configuration has.
///
/// # Errors
/// Then.
pub(super) fn known(engine: &Engine, name: &str) -> anyhow::Result<()> {
    if engine.sync(name).is_some() {
        return Ok(());
    }
    let names = engine.specs().syncs.iter().map(|sync| sync.name.as_str());
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the configuration has: {}", names.collect::<Vec<_>>().join(", ")),
    };
    Err(CliError::usage(format!("there is no sync named `{name}`"), hint).into())
}

async fn run_here(
    context: &Context,
    engine: &Engine,
    names: &[String],
    approve: bool,
) -> anyhow::Result<Vec<RunReport>> {
    let mut reports = Vec::with_capacity(names.len());
    for lot in lots(engine, names) {
        if context.shutdown.is_cancelled() {
            break;
        }
        if approve {
            for name in &lot {
                if let Some(run) = to_approve(engine.state(), name).await? {
                    engine.approve(run).await?;
                }
            }
        }
        let runs = lot.iter().zip(engine.tickets(&lot)).map(async |(name, ticket)| {
            let progress = Rows::of(name);
            engine.run_sync_watched(name, Trigger::Command, ticket, &|rows| progress.read(rows)).await
        });
        reports.extend(join_all(runs).await);
    }
    Ok(reports)
}

/// Neighbours of one model run together, because they share a read; all others one after the other, in the order given.
fn lots(engine: &Engine, names: &[String]) -> Vec<Vec<String>> {
    let model = |name: &String| engine.sync(name).map(|sync| sync.model.as_str());
    let mut lots: Vec<Vec<String>> = Vec::new();
    for name in names {
        let fits = |lot: &&mut Vec<String>| {
            lot.len() < engine.max_runs() && !lot.contains(name) && lot.last().and_then(model) == model(name)
        };
        match lots.last_mut().filter(fits) {
            Some(lot) => lot.push(name.clone()),
            None => lots.push(vec![name.clone()]),
        }
    }
    lots
}

async fn run_there(
    context: &Context,
    daemon: &Daemon,
    names: &[String],
    approve: bool,
) -> anyhow::Result<Vec<RunReport>> {
    beside::say_who(context);
    let mut reports = Vec::with_capacity(names.len());
    for name in names {
        if approve && let Some(run) = to_approve(daemon.0.state(), name).await? {
            daemon.ask(context, &RequestKind::Approve { run }).await?;
        }
        let answer = daemon.ask(context, &RequestKind::Sync { sync: name.clone() }).await?;
        reports.push(serde_json::from_value(answer).context("the daemon's answer cannot be read")?);
    }
    Ok(reports)
}

/// The newest guarded run of a sync, unless a later run has shown that the guard is content again.
async fn to_approve(state: &State, name: &str) -> Result<Option<RunId>, StateError> {
    let Some(record) = state.sync(name).await? else {
        eprintln!("{name}: nothing to approve: it has not run yet");
        return Ok(None);
    };
    let runs = state.runs(Some(record.id), RUNS_LOOKED_AT).await?;
    let content = |status| matches!(status, RunStatus::Ok | RunStatus::Partial | RunStatus::Skipped);
    let guarded = runs.iter().take_while(|run| !content(run.status)).find(|run| run.status == RunStatus::Guarded);
    if guarded.is_none() {
        eprintln!("{name}: nothing to approve: its last runs were not guarded");
    }
    Ok(guarded.map(|run| run.id))
}
