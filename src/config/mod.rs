//! Files and environment to validated plain data. Every mistake at once, each with file, line and column.
//!
//! [`load`] reads folders of TOML files into [`Settings`] (the daemon's own) and [`Specs`] (sources, models,
//! destinations, syncs). `docs/configuration.md` is the reference of every key. [`SecretReader`] resolves references to
//! secrets. This is the only module that reads the process environment.

mod after;
mod auth;
mod changes;
mod check;
mod cursor;
mod destination;
mod diagnostic;
mod environment;
mod fields;
mod guard;
mod layers;
mod limits;
mod operation;
mod reader;
mod scalar;
mod schedule;
mod schema;
mod secret;
mod secret_reader;
mod settings;
mod show;
mod source;
mod sync;
#[cfg(test)]
mod tests;
mod tree;
mod vendor;

use std::{collections::BTreeMap, path::PathBuf};

pub use changes::Changes;
pub use diagnostic::{ConfigErrors, Diagnostic, Origin};
pub use environment::Environment;
pub use schema::schema;
pub use secret_reader::{SecretError, SecretReader};
pub use show::Given;

use crate::model::spec::{Settings, Specs};

/// A whole configuration, valid.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The daemon's own settings.
    pub settings: Settings,
    /// Sources, models, destinations and syncs, each sorted by name.
    pub specs: Specs,
    /// What is legal but looks wrong.
    pub warnings: Vec<Diagnostic>,
    /// Where each given value stands, by its dotted path (`syncs.crm.schedule.every`).
    pub origins: BTreeMap<String, Origin>,
    /// Every given value itself, to be shown.
    pub given: Given,
}

/// Reads the `.toml` files of `folders` (not recursive, sorted), a later folder over the earlier ones, and
/// `SYNCLINE__…` variables of `environment` over the daemon's own settings. Reads no secret and connects to nothing.
///
/// # Errors
/// [`ConfigErrors`] with every mistake of every file.
pub fn load(folders: &[PathBuf], environment: &Environment) -> Result<Loaded, ConfigErrors> {
    let sink = diagnostic::Sink::default();
    let mut tree = layers::read(folders, &sink);
    environment.overlay(&mut tree.top, &sink);
    let settings = settings::decode(&tree, &sink);
    let defaults = sync::defaults(&tree, &sink);
    let decode_syncs = |(name, entry): (&String, &tree::Entry)| sync::sync(name, entry, &defaults, &sink);
    let specs = Specs {
        environment: settings::environment(&tree, &sink),
        sources: tree.items("sources").filter_map(|(name, entry)| source::source(name, entry, &sink)).collect(),
        models: tree.items("models").filter_map(|(name, entry)| source::model(name, entry, &sink)).collect(),
        destinations: tree
            .items("destinations")
            .filter_map(|(name, entry)| destination::destination(name, entry, &sink))
            .collect(),
        syncs: tree.items("syncs").filter_map(decode_syncs).collect(),
    };
    check::check(&tree, &specs, &sink);
    after::check(&tree, &specs, &sink);
    let (origins, given) = (tree.origins(), Given::new(&tree));
    sink.finish().map(|warnings| Loaded { settings, specs, warnings, origins, given })
}
