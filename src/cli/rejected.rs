//! `syncline rejected`: rejected and invalid rows, and why.

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    Exit,
    context::Context,
    exit::CliError,
    output::{self, thousands},
};
use crate::{
    model::{InvalidRow, Key, RejectedMark},
    state::{Standing, State, StateError, SyncRecord},
};

/// Arguments of `rejected`.
#[derive(Debug, Args)]
pub(super) struct RejectedArgs {
    /// The sync.
    #[arg(value_name = "SYNC")]
    sync: String,
    /// At most so many rows of each kind, in key order.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// A row that the destination refused. The fields are documented in `docs/commands.md`.
#[derive(Debug, Serialize)]
struct RejectedLine {
    key: String,
    operation: &'static str,
    code: String,
    message: String,
    attempts: u32,
    next_try: Option<String>,
    first_at: String,
    last_at: String,
    run: i64,
}

/// A row that cannot be sent.
#[derive(Debug, Serialize)]
struct InvalidLine {
    key: Option<String>,
    code: &'static str,
    field: Option<String>,
    detail: String,
    others: Vec<String>,
}

/// Prints the rejected and the invalid rows of a sync.
///
/// # Errors
/// When the configuration or the state cannot be used, or nothing knows such a sync.
pub(super) async fn execute(context: &Context, args: RejectedArgs) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    let Some(engine) = setup.reader().await? else {
        return Err(StateError::Missing { path: setup.location().await?.label() }.into());
    };
    let state = engine.state();
    let sync = record(state, &args.sync).await?;
    let standing = state.standing(sync.id).await?;
    let rejected = state.rejected(sync.id, None, args.limit).await?;
    let rejected = rejected.iter().map(|(key, mark)| rejected_line(state, key, mark)).collect::<Vec<_>>();
    let invalid: Vec<_> = state.invalid(sync.id, args.limit).await?.iter().map(invalid_line).collect();
    if context.json() {
        output::json(&json!({
            "sync": sync.name, "rejected": rejected, "invalid": invalid,
            "rejected_total": standing.rejected, "invalid_total": standing.invalid,
        }))?;
    } else {
        print(&standing, &rejected, &invalid);
    }
    Ok(Exit::Ok)
}

/// The sync of that name in the state.
///
/// # Errors
/// When there is none.
pub(super) async fn record(state: &State, name: &str) -> anyhow::Result<SyncRecord> {
    state.sync(name).await?.ok_or_else(|| {
        let hint = "`syncline status` lists the syncs; one that never ran has nothing to show";
        CliError::usage(format!("the state knows no sync named `{name}`"), hint).into()
    })
}

/// A key as text; keys of another version of the encoding cannot be shown.
fn text(key: &Key) -> String {
    key.to_text().unwrap_or_else(|| "(not readable)".to_owned())
}

fn rejected_line(state: &State, key: &Key, mark: &RejectedMark) -> RejectedLine {
    let message = state.unseal("message", &mark.sealed_message);
    RejectedLine {
        key: text(key),
        operation: mark.operation.name(),
        code: mark.code.clone(),
        message: message
            .map_or_else(|_| "(cannot be unsealed)".to_owned(), |words| String::from_utf8_lossy(&words).into_owned()),
        attempts: mark.attempts,
        next_try: mark.next_try.map(|at| at.to_string()),
        first_at: mark.first_at.to_string(),
        last_at: mark.last_at.to_string(),
        run: mark.run.0,
    }
}

fn invalid_line(row: &InvalidRow) -> InvalidLine {
    InvalidLine {
        key: row.key.as_ref().map(text),
        code: row.code.name(),
        field: row.field.clone(),
        detail: row.detail.clone(),
        others: row.others.iter().map(text).collect(),
    }
}

fn print(standing: &Standing, rejected: &[RejectedLine], invalid: &[InvalidLine]) {
    if rejected.is_empty() && invalid.is_empty() {
        output::line("no row is rejected or invalid");
        return;
    }
    if !rejected.is_empty() {
        output::line(output::bold(&shown("rejected by the destination", rejected.len(), standing.rejected)));
        let mut table = output::table(&["key", "operation", "code", "message", "attempts", "next try"], &[4]);
        for line in rejected {
            let next = line.next_try.clone().unwrap_or_else(|| "when it changes".to_owned());
            let attempts = line.attempts.to_string();
            table.add_row([&line.key, line.operation, &line.code, &line.message, &attempts, &next]);
        }
        output::print_table(&table);
    }
    if !invalid.is_empty() {
        output::line(output::bold(&shown("invalid", invalid.len(), standing.invalid)));
        let mut table = output::table(&["key", "code", "field", "detail", "other keys"], &[]);
        for line in invalid {
            let key = line.key.as_deref().unwrap_or("(none)");
            let field = line.field.as_deref().unwrap_or_default();
            table.add_row([key, line.code, field, &line.detail, &line.others.join("; ")]);
        }
        output::print_table(&table);
    }
}

fn shown(what: &str, shown: usize, total: u64) -> String {
    match u64::try_from(shown) {
        Ok(shown) if shown < total => format!("{what}: {} of {} rows", thousands(shown), thousands(total)),
        Ok(_) | Err(_) => format!("{what}: {} rows", thousands(total.max(shown as u64))),
    }
}
