//! `syncline validate`: the configuration, without any network.

use serde_json::{Value, json};

use super::{Exit, context::Context, exit::diagnostic, output};
use crate::{
    config::{ConfigErrors, Diagnostic, Loaded, Origin},
    destination,
    model::spec::Specs,
};

/// Loads the configuration and asks every connector whether it can do what its syncs want.
///
/// # Errors
/// Every mistake of the configuration.
pub(super) fn execute(context: &Context) -> anyhow::Result<Exit> {
    let loaded = context.load()?;
    check_connectors(&loaded)?;
    if context.json() {
        output::json(&document(&loaded))?;
    } else {
        output::line(format!("configuration is valid: {}", summary(&loaded.specs)));
    }
    Ok(Exit::Ok)
}

/// What only a connector knows of its settings and its syncs.
pub(super) fn check_connectors(loaded: &Loaded) -> Result<(), ConfigErrors> {
    let specs = &loaded.specs;
    let mut errors = Vec::new();
    for spec in &specs.destinations {
        if let Err(error) = destination::open(spec) {
            errors.push(Diagnostic {
                origin: origin(loaded, &format!("destinations.{}", spec.name), "type"),
                message: format!("destination `{}` cannot be used", spec.name),
                cause: error.to_string(),
                hint: "correct the destination's settings".to_owned(),
            });
        }
    }
    for sync in &specs.syncs {
        let spec = specs.destinations.iter().find(|spec| spec.name == sync.destination);
        if let Some(Err(problem)) = spec.map(|spec| destination::check_sync(spec, sync)) {
            errors.push(Diagnostic {
                origin: origin(loaded, &format!("syncs.{}", sync.name), problem.key),
                message: format!("sync `{}` does not fit its destination `{}`", sync.name, sync.destination),
                cause: problem.to_string(),
                hint: problem.hint,
            });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}

/// Where a key stands; when it is not given, where its table begins.
fn origin(loaded: &Loaded, table: &str, key: &str) -> Origin {
    let below = format!("{table}.");
    let given = loaded.origins.get(&format!("{below}{key}"));
    let of_table = || loaded.origins.iter().find(|(path, _)| path.starts_with(&below)).map(|(_, origin)| origin);
    given.or_else(of_table).cloned().unwrap_or_else(|| Origin::Path(table.into()))
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn the_connectors_accept_the_default_and_every_example() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let examples = fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> = std::iter::once(root).chain(examples).collect();
        assert!(folders.len() >= 5, "{folders:?}");
        for folder in folders {
            let loaded = config::load(&[folder], &Environment::default()).unwrap();
            check_connectors(&loaded).unwrap_or_else(|errors| panic!("{errors}"));
        }
    }
}
