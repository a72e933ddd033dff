//! `syncline init`: a documented starter configuration and the installation key.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Exit, context::Context, exit::CliError, output};
use crate::state;

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder; it is made, and must not hold a configuration yet.
    #[arg(value_name = "DIR", default_value = "config")]
    folder: PathBuf,
    /// Where rows come from.
    #[arg(long, value_enum, default_value_t = Source::Postgres)]
    source: Source,
    /// Where they go.
    #[arg(long, value_enum, default_value_t = Destination::Hubspot)]
    destination: Destination,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    Postgres,
    Mysql,
    Sqlite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Destination {
    Hubspot,
    Http,
    File,
}

/// The installation key beside the configuration.
const KEY: &str = "installation.key";
const SETTINGS: &str = include_str!("settings.toml");
const IGNORED: &str = "# The installation key is a secret. Keep it where your other secrets are.\n*.key\n";

impl Source {
    const fn text(self) -> &'static str {
        match self {
            Self::Postgres => include_str!("source-postgres.toml"),
            Self::Mysql => include_str!("source-mysql.toml"),
            Self::Sqlite => include_str!("source-sqlite.toml"),
        }
    }
}

impl Destination {
    /// The destination, and a sync that fits it.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Hubspot => (include_str!("destination-hubspot.toml"), include_str!("sync-hubspot.toml")),
            Self::Http => (include_str!("destination-http.toml"), include_str!("sync-http.toml")),
            Self::File => (include_str!("destination-file.toml"), include_str!("sync-file.toml")),
        }
    }
}

/// Writes the files; nothing that exists is touched.
///
/// # Errors
/// When the folder holds a configuration already or cannot be written.
pub(super) fn execute(context: &Context, args: &InitArgs) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    refuse_occupied(folder)?;
    let key = folder.join(KEY);
    let settings = SETTINGS.replace("KEY_FILE", &toml::Value::from(key.display().to_string()).to_string());
    let (destination, sync) = args.destination.texts();
    let files = [
        ("syncline.toml", settings.as_str()),
        ("sources.toml", args.source.text()),
        ("destinations.toml", destination),
        ("syncs.toml", sync),
        (".gitignore", IGNORED),
    ];
    let mut written = vec![key.clone()];
    state::make_key_file(&key)?;
    for (name, text) in files {
        let path = folder.join(name);
        create(&path).and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| cannot_write(&path))?;
        written.push(path);
    }
    tell(context, folder, &written)
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn refuse_occupied(folder: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let kept = path.extension().is_some_and(|extension| extension == "toml") || path.ends_with(KEY);
        if kept {
            let message = format!("`{}` is there already, and nothing is overwritten", path.display());
            return Err(CliError::usage(message, "name another folder: `syncline init DIR`").into());
        }
    }
    Ok(())
}

fn tell(context: &Context, folder: &Path, written: &[PathBuf]) -> anyhow::Result<Exit> {
    if context.json() {
        let files: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
        output::json(&json!({ "init": { "folder": folder.display().to_string(), "files": files } }))?;
        return Ok(Exit::Ok);
    }
    for path in written {
        output::line(format!("wrote {}", path.display()));
    }
    let config = folder.display();
    output::line("\nNext: edit the files (each key is explained there), then");
    output::line(format!("  syncline --config {config} validate   # no network: every mistake with its place"));
    output::line(format!("  syncline --config {config} check      # connects to both ends, writes nothing"));
    output::line(format!("  syncline --config {config} plan customers"));
    Ok(Exit::Ok)
}
