//! `syncline runs`: the latest runs.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Exit,
    context::Context,
    output::{self, duration, thousands},
};
use crate::{
    model::Counts,
    state::{RunRow, RunStatus, State},
};

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Only runs of this sync.
    #[arg(value_name = "SYNC")]
    sync: Option<String>,
    /// How many, the newest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

/// One run, as printed. The fields are documented in `docs/commands.md`.
#[derive(Debug, Serialize)]
pub(super) struct RunLine {
    pub(super) run: i64,
    sync: String,
    trigger: String,
    pub(super) status: RunStatus,
    pub(super) started_at: String,
    ended_at: Option<String>,
    counts: Counts,
    summary: Value,
    pub(super) error: Option<String>,
}

impl RunLine {
    /// A run of the sync of that name.
    pub(super) fn new(sync: &str, run: RunRow) -> Self {
        Self {
            run: run.id.0,
            sync: sync.to_owned(),
            trigger: run.trigger,
            status: run.status,
            started_at: run.started_at.to_string(),
            ended_at: run.ended_at.map(|at| at.to_string()),
            counts: run.counts,
            summary: run.summary,
            error: run.error,
        }
    }
}

/// Prints the latest runs.
///
/// # Errors
/// When the configuration or the state cannot be used, or the state knows no such sync.
pub(super) async fn execute(context: &Context, args: RunsArgs) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    let reader = setup.reader().await?;
    let lines = match &reader {
        Some(engine) => latest(engine.state(), &args).await?,
        None => Vec::new(),
    };
    if context.json() {
        output::json(&json!({ "runs": lines }))?;
    } else if lines.is_empty() {
        output::line("nothing has run yet");
    } else {
        print(&lines);
    }
    Ok(Exit::Ok)
}

async fn latest(state: &State, args: &RunsArgs) -> anyhow::Result<Vec<RunLine>> {
    let only = match &args.sync {
        Some(name) => Some(super::rejected::record(state, name).await?.id),
        None => None,
    };
    let names: BTreeMap<_, _> = state.syncs().await?.into_iter().map(|sync| (sync.id, sync.name)).collect();
    let name = |run: &RunRow| names.get(&run.sync).map(String::as_str).unwrap_or_default().to_owned();
    let runs = state.runs(only, args.limit).await?;
    Ok(runs.into_iter().map(|run| RunLine::new(&name(&run), run)).collect())
}

fn print(lines: &[RunLine]) {
    let headers = [
        "run",
        "sync",
        "status",
        "started",
        "time",
        "read",
        "added",
        "changed",
        "remapped",
        "removed",
        "delivered",
        "rejected",
        "guarded",
    ];
    let mut table = output::table(&headers, &[0, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    for line in lines {
        let counts = &line.counts;
        let total = line.summary.pointer("/durations/total_ms").and_then(Value::as_u64);
        table.add_row([
            line.run.to_string(),
            line.sync.clone(),
            line.status.name().to_owned(),
            line.started_at.clone(),
            total.map_or_else(|| "-".to_owned(), duration),
            thousands(counts.read),
            thousands(counts.added),
            thousands(counts.changed),
            thousands(counts.remapped),
            thousands(counts.removed),
            thousands(counts.delivered),
            thousands(counts.rejected),
            thousands(counts.guarded),
        ]);
    }
    output::print_table(&table);
    for line in lines {
        if let Some(error) = &line.error {
            output::line(format!("run {}: {error}", line.run));
        }
    }
}
