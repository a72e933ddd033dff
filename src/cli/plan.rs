//! `syncline plan`: what a run would do, without doing it.

use clap::Args;
use serde_json::json;

use super::{
    Exit,
    context::Context,
    output::{self, thousands},
    progress::Rows,
    sync::known,
};
use crate::run::{Preview, SampleRow};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The sync.
    #[arg(value_name = "SYNC")]
    sync: String,
    /// At most so many rows in the sample.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Show the values that would be sent.
    #[arg(long)]
    show_values: bool,
}

/// Plans a sync and prints counts, the guard's verdict, the cost and a sample.
///
/// # Errors
/// When the configuration, the source or the state cannot be used, or a run would be refused.
pub(super) async fn execute(context: &Context, args: PlanArgs) -> anyhow::Result<Exit> {
    let setup = context.command()?;
    let reading = setup.reading().await?;
    known(&reading.engine, &args.sync)?;
    let progress = Rows::of(&args.sync);
    let watch = |rows| progress.read(rows);
    let preview = reading.engine.preview(&args.sync, args.limit, args.show_values, &watch).await?;
    drop(progress);
    if context.json() {
        output::json(&json!({ "plan": preview }))?;
    } else {
        print(&preview);
    }
    Ok(if is_held(&preview) { Exit::Guarded } else { Exit::Ok })
}

/// Whether a run would end as guarded.
fn is_held(preview: &Preview) -> bool {
    !preview.trips.is_empty() || preview.counts.guarded > 0 || preview.withheld
}

fn print(preview: &Preview) {
    let counts = &preview.counts;
    let first = if preview.first_run { " (first run)" } else { "" };
    output::line(output::bold(&format!("plan of {}{first}", preview.sync)));
    let headers =
        ["read", "unchanged", "added", "changed", "remapped", "removed", "invalid", "waiting", "guarded", "requests"];
    let mut table = output::table(&headers, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let waiting = counts.waiting + counts.waiting_removals;
    table.add_row(
        [
            counts.read,
            counts.unchanged,
            counts.added,
            counts.changed,
            counts.remapped,
            counts.removed,
            counts.invalid,
            waiting,
            counts.guarded,
            preview.requests,
        ]
        .map(thousands),
    );
    output::print_table(&table);
    verdict(preview);
    sample(&preview.sample);
}

fn verdict(preview: &Preview) {
    for trip in &preview.trips {
        output::line(format!("guard `{}`: {}", trip.rule, trip.message));
    }
    if preview.withheld {
        output::line("removals would wait: a row has a null or unusable key, so absence proves nothing");
    }
    match &preview.hint {
        Some(hint) => output::line(format!("hint: {hint}")),
        None if !is_held(preview) => output::line("the guard would let this plan pass"),
        None => {}
    }
}

fn sample(rows: &[SampleRow]) {
    if rows.is_empty() {
        return;
    }
    let mut table = output::table(&["key", "kind", "operation", "held", "fields"], &[]);
    for row in rows {
        let held = if row.held { "yes" } else { "" };
        table.add_row([row.key.as_str(), row.kind, row.operation.unwrap_or("nothing"), held, &fields(row)]);
    }
    output::line("");
    output::print_table(&table);
}

fn fields(row: &SampleRow) -> String {
    let texts = row.fields.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    });
    texts.collect::<Vec<_>>().join(", ")
}
