//! `syncline completions` and `syncline man`: what a package installs beside the binary.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Exit};

/// The name of the binary.
const NAME: &str = "syncline";

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder for one page per command; without it the page of `syncline` itself goes to stdout.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Writes the completion script of a shell to stdout.
///
/// # Errors
/// When stdout is closed.
pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    to_stdout(&script)
}

/// Writes manual pages.
///
/// # Errors
/// When the folder cannot be written or stdout is closed.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    let command = Cli::command().disable_help_subcommand(true);
    if let Some(folder) = &args.folder {
        pages(command, folder).with_context(|| format!("cannot write manual pages to `{}`", folder.display()))?;
        return Ok(Exit::Ok);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    to_stdout(&page)
}

fn pages(command: clap::Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}

/// A reader that wants no more, such as `head`, is no error.
fn to_stdout(bytes: &[u8]) -> anyhow::Result<Exit> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}
