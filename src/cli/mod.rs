//! The command line: one file for each command, with its arguments and its printing; no logic.

mod demo;
mod exit;
mod output;
pub mod simulate;

use clap::Parser;

pub use exit::Exit;

use crate::shutdown::Shutdown;

/// Minimal until the cli branch lands.
#[derive(Debug, Parser)]
#[command(name = "syncline")]
pub struct Cli {
    /// JSON
    #[arg(long, global = true)]
    output: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Demo
    Demo(demo::DemoArgs),
}

/// Runs one command.
///
/// # Errors
/// What stopped it.
pub async fn execute(cli: Cli, shutdown: Shutdown) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Demo(args) => demo::run(args, cli.output.as_deref() == Some("json"), shutdown).await,
    }
}

/// Prints an error.
pub fn report(error: &anyhow::Error) -> std::process::ExitCode {
    use std::io::Write as _;
    std::io::stderr().write_all(exit::render(error).as_bytes()).ok();
    exit::of_error(error).into()
}
