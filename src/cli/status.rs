//! `syncline status`: how every sync stands.

use serde::Serialize;
use serde_json::json;

use super::{
    Exit,
    context::{Context, Setup},
    output::{self, thousands},
    runs::RunLine,
};
use crate::{
    clock::Clock,
    model::spec::Schedule,
    state::{RunStatus, Standing, State, StateError, SyncRecord},
};

/// One sync, as printed. The fields are documented in `docs/commands.md`.
#[derive(Debug, Serialize)]
struct SyncStatus {
    sync: String,
    configured: bool,
    enabled: bool,
    schedule: Option<String>,
    last_ok_at: Option<String>,
    entries: u64,
    tombstones: u64,
    dirty: u64,
    oldest_dirty: Option<String>,
    rejected: u64,
    invalid: u64,
    approved_run: Option<i64>,
    paused: bool,
    resync: bool,
    suspect: bool,
    max_age_ms: Option<u64>,
    overdue: bool,
    last_run: Option<RunLine>,
}

/// Prints how every sync stands, those of the configuration and those that only the state knows.
///
/// # Errors
/// When the configuration or the state cannot be used.
pub(super) async fn execute(context: &Context) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    let reader = setup.reader().await?;
    let (lines, suspect) = match &reader {
        Some(engine) => (all(&setup, engine.state()).await?, engine.state().is_suspect().await?),
        None => (setup.loaded.specs.syncs.iter().map(|sync| configured(&setup, &sync.name)).collect(), false),
    };
    if context.json() {
        output::json(&json!({ "status": lines, "suspect": suspect }))?;
        return Ok(Exit::Ok);
    }
    if reader.is_none() {
        output::line("there is no state yet: nothing has run. `syncline plan SYNC` shows what a first run would do");
    }
    if suspect {
        output::line(
            "the state is older than it once was (restored?): it is suspect, and each sync's removals wait until a run has sent all its rows again",
        );
    }
    print(&lines);
    Ok(Exit::Ok)
}

async fn all(setup: &Setup<'_>, state: &State) -> Result<Vec<SyncStatus>, StateError> {
    let records = state.syncs().await?;
    let known = |name: &str| records.iter().any(|record| record.name == name);
    let mut lines = Vec::new();
    for sync in setup.loaded.specs.syncs.iter().filter(|sync| !known(&sync.name)) {
        lines.push(configured(setup, &sync.name));
    }
    for record in &records {
        lines.push(of_record(setup, state, record).await?);
    }
    lines.sort_by(|a, b| a.sync.cmp(&b.sync));
    Ok(lines)
}

/// A sync as far as the configuration tells.
fn configured(setup: &Setup<'_>, name: &str) -> SyncStatus {
    let spec = setup.loaded.specs.syncs.iter().find(|sync| sync.name == name);
    SyncStatus {
        sync: name.to_owned(),
        configured: spec.is_some(),
        enabled: spec.is_some_and(|sync| sync.enabled),
        schedule: spec.map(|sync| match &sync.schedule {
            Schedule::Manual => "manual".to_owned(),
            Schedule::Every(every) => format!("every {}", output::duration(output::millis(*every))),
            Schedule::Cron(cron) => format!("cron {cron}"),
            Schedule::After(names) => format!("after {}", names.join(", ")),
        }),
        last_ok_at: None,
        entries: 0,
        tombstones: 0,
        dirty: 0,
        oldest_dirty: None,
        rejected: 0,
        invalid: 0,
        approved_run: None,
        paused: false,
        resync: false,
        suspect: false,
        max_age_ms: spec.and_then(|sync| sync.max_age).map(output::millis),
        overdue: false,
        last_run: None,
    }
}

async fn of_record(setup: &Setup<'_>, state: &State, record: &SyncRecord) -> Result<SyncStatus, StateError> {
    let Standing { entries, tombstones, dirty, oldest_dirty, rejected, invalid } = state.standing(record.id).await?;
    let last = state.runs(Some(record.id), 1).await?.into_iter().next();
    let max_age = setup.loaded.specs.sync(&record.name).and_then(|sync| sync.max_age);
    let age = Clock::system().now().since(record.last_ok_at.unwrap_or(record.created_at));
    Ok(SyncStatus {
        overdue: max_age.is_some_and(|max_age| age > max_age),
        last_ok_at: record.last_ok_at.map(|at| at.to_string()),
        entries,
        tombstones,
        dirty,
        oldest_dirty: oldest_dirty.map(|at| at.to_string()),
        rejected,
        invalid,
        approved_run: state.approved(record.id).await?.map(|approval| approval.run.0),
        paused: record.paused,
        resync: record.resync_open,
        suspect: record.suspect,
        last_run: last.map(|run| RunLine::new(&record.name, run)),
        ..configured(setup, &record.name)
    })
}

fn print(lines: &[SyncStatus]) {
    let headers = ["sync", "schedule", "last run", "at", "last ok", "in sync", "dirty", "rejected", "invalid"];
    let mut table = output::table(&headers, &[5, 6, 7, 8]);
    for line in lines {
        let last = line.last_run.as_ref();
        let dash = || "-".to_owned();
        table.add_row([
            line.sync.clone(),
            line.schedule.clone().unwrap_or_else(|| "not configured".to_owned()),
            last.map_or_else(|| "never".to_owned(), |run| run.status.name().to_owned()),
            last.map_or_else(dash, |run| run.started_at.clone()),
            line.last_ok_at.clone().unwrap_or_else(dash),
            thousands(line.entries),
            thousands(line.dirty),
            thousands(line.rejected),
            thousands(line.invalid),
        ]);
    }
    output::print_table(&table);
    for line in lines {
        remarks(line);
    }
}

fn remarks(line: &SyncStatus) {
    if line.paused {
        output::line(format!("{}: paused; `syncline resume {}` lets it run again", line.sync, line.sync));
    }
    if line.suspect {
        output::line(format!("{}: suspect, its removals wait until every row has been sent again", line.sync));
    } else if line.resync {
        output::line(format!("{}: a resync is open until every row has been delivered", line.sync));
    }
    if let Some(max_age) = line.max_age_ms.filter(|_| line.overdue) {
        output::line(format!("{}: overdue: no good run for more than {}", line.sync, output::duration(max_age)));
    }
    let Some(run) = &line.last_run else { return };
    if run.status == RunStatus::Guarded && line.approved_run.is_none() {
        output::line(format!("{}: run {} waits: `syncline approve {}` lets it through", line.sync, run.run, run.run));
    }
    if let Some(approved) = line.approved_run {
        output::line(format!("{}: run {approved} is approved", line.sync));
    }
    if let Some(error) = &run.error {
        output::line(format!("{}: {error}", line.sync));
    }
}
