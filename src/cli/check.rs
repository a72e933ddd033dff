//! `syncline check`: connects to everything and compares it with the configuration.

use clap::Args;
use serde_json::json;

use super::{Exit, context::Context, exit::CliError, output};
use crate::{model::spec::Specs, run::Checked};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Names of sources, models, destinations or syncs; all without one.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Checks and prints what was found.
///
/// # Errors
/// When the configuration or the state cannot be used, or nothing has a name that was given.
pub(super) async fn execute(context: &Context, args: CheckArgs) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    for name in &args.names {
        if !is_named(&setup.loaded.specs, name) {
            let hint = "give names of sources, models, destinations or syncs, or none to check everything";
            return Err(CliError::usage(format!("nothing in the configuration is named `{name}`"), hint).into());
        }
    }
    let reading = setup.reading().await?;
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|given| given == name);
    let checked = reading.engine.check(&wanted).await;
    let failed = checked.iter().any(|item| !item.ok);
    if context.json() {
        output::json(&json!({ "ok": !failed, "check": checked }))?;
    } else {
        print(&checked);
    }
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

fn is_named(specs: &Specs, name: &str) -> bool {
    specs.sources.iter().any(|spec| spec.name == name)
        || specs.models.iter().any(|spec| spec.name == name)
        || specs.destinations.iter().any(|spec| spec.name == name)
        || specs.syncs.iter().any(|spec| spec.name == name)
}

fn print(checked: &[Checked]) {
    let mut table = output::table(&["what", "name", "result", "found"], &[]);
    for item in checked {
        let result = match (item.ok, item.warnings.is_empty()) {
            (false, _) => "failed",
            (true, false) => "warning",
            (true, true) => "ok",
        };
        table.add_row([item.kind, &item.name, result, &item.facts.join("; ")]);
    }
    output::print_table(&table);
    for item in checked {
        for warning in &item.warnings {
            output::line(format!("warning: {} `{}`: {warning}", item.kind, item.name));
        }
        for problem in &item.problems {
            output::line(format!("error: {} `{}`: {}", item.kind, item.name, problem.message));
            if let Some(hint) = &problem.hint {
                output::line(format!("hint: {hint}"));
            }
        }
    }
    output::line("the uniqueness of keys and match values is not sampled: a run lists duplicates as invalid");
}
