//! `syncline validate`: the configuration, without any network.

use serde_json::{Value, json};

use super::{
    Exit,
    context::Context,
    exit::{CliError, diagnostic},
    output,
};
use crate::{
    config::Loaded,
    destination,
    model::spec::{DestinationSpec, Specs, SyncSpec},
};

/// Loads the configuration and asks every connector whether it can do what its syncs want.
///
/// # Errors
/// Every mistake of the configuration.
pub(super) fn execute(context: &Context) -> anyhow::Result<Exit> {
    let loaded = context.load()?;
    check_connectors(&loaded.specs)?;
    if context.json() {
        output::json(&document(&loaded))?;
    } else {
        output::line(format!("configuration is valid: {}", summary(&loaded.specs)));
    }
    Ok(Exit::Ok)
}

/// What only a connector knows of its settings.
fn check_connectors(specs: &Specs) -> anyhow::Result<()> {
    for spec in &specs.destinations {
        if let Err(error) = destination::open(spec) {
            let message = format!("destination `{}`: {error}", spec.name);
            return Err(CliError::usage(message, "correct the destination's settings").into());
        }
    }
    for sync in &specs.syncs {
        if let Some(spec) = specs.destinations.iter().find(|spec| spec.name == sync.destination) {
            check_sync(spec, sync)?;
        }
    }
    Ok(())
}

fn check_sync(spec: &DestinationSpec, sync: &SyncSpec) -> anyhow::Result<()> {
    destination::check_sync(spec, sync)
        .map_err(|problem| CliError::usage(format!("sync `{}`: {problem}", sync.name), problem.hint.clone()).into())
}

fn summary(specs: &Specs) -> String {
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    [
        count(specs.sources.len(), "source"),
        count(specs.models.len(), "model"),
        count(specs.destinations.len(), "destination"),
        count(specs.syncs.len(), "sync"),
    ]
    .join(", ")
}

fn document(loaded: &Loaded) -> Value {
    let Loaded { specs, warnings, .. } = loaded;
    json!({
        "valid": true,
        "sources": specs.sources.len(),
        "models": specs.models.len(),
        "destinations": specs.destinations.len(),
        "syncs": specs.syncs.len(),
        "warnings": warnings.iter().map(diagnostic).collect::<Vec<_>>(),
    })
}
