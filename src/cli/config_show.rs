//! `syncline config show`: the configuration that is in force after all layers.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Exit, context::Context, output};

/// Arguments of `config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every value that files and environment give, later folders over earlier ones.
    Show {
        /// Say after each value where it stands.
        #[arg(long)]
        origin: bool,
    },
}

/// Prints the effective configuration; secrets as references.
///
/// # Errors
/// Every mistake of the configuration.
pub(super) fn execute(context: &Context, args: &ConfigArgs) -> anyhow::Result<Exit> {
    let ConfigCommand::Show { origin } = args.command;
    let loaded = context.load()?;
    if context.json() {
        let mut document = json!({ "config": loaded.given.to_json() });
        if origin {
            let places: BTreeMap<_, _> =
                loaded.origins.iter().map(|(path, origin)| (path, origin.to_string())).collect();
            document = json!({ "config": loaded.given.to_json(), "origins": places });
        }
        output::json(&document)?;
    } else {
        output::text(&loaded.given.to_toml(origin));
    }
    Ok(Exit::Ok)
}
