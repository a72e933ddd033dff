//! The command line: one file for each command, with its arguments and its printing; no logic.
//!
//! `docs/commands.md` documents every command, its JSON and the exit codes.

mod approve;
mod beside;
mod check;
mod completions;
mod config_show;
mod context;
mod demo;
mod exit;
mod health;
mod init;
mod output;
mod pause;
mod plan;
mod progress;
mod rejected;
mod reload;
mod reports;
mod resync;
mod run;
mod runs;
pub mod simulate;
mod status;
mod sync;
mod validate;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use exit::{Exit, overdue, report};

use crate::shutdown::Shutdown;

/// Reverse ETL that accounts for every row: warehouse models to CRM and marketing APIs.
#[derive(Debug, Parser)]
#[command(name = "syncline", version, max_term_width = 110)]
pub struct Cli {
    /// Folder of configuration files; may be repeated, a later folder overrides keys of an earlier one.
    #[arg(long = "config", global = true, value_name = "DIR", default_value = "config")]
    config: Vec<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Break one rule on purpose, to show that the tests notice.
    #[cfg(feature = "proof")]
    #[arg(long, global = true, hide = true, value_parser = rule)]
    break_rule: Option<crate::proof::Rule>,
    /// Fail at a boundary: BOUNDARY=panic|error|stall|kill[@PASS].
    #[cfg(feature = "proof")]
    #[arg(long, global = true, hide = true)]
    failpoint: Vec<crate::proof::Armed>,
    /// Seconds that intents live: 30 without this.
    #[cfg(feature = "proof")]
    #[arg(long, global = true, hide = true, value_name = "SECONDS")]
    intent_life: Option<u64>,
    #[command(subcommand)]
    command: Command,
}

/// How results are printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences.
    Text,
    /// One JSON document.
    Json,
}

#[cfg(feature = "proof")]
fn rule(name: &str) -> Result<crate::proof::Rule, String> {
    crate::proof::Rule::named(name).ok_or_else(|| "no rule has this name".to_owned())
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a documented starter configuration and the installation key.
    Init(init::InitArgs),
    /// Check the configuration without any network.
    Validate,
    /// Show the configuration that is in force after all layers.
    Config(config_show::ConfigArgs),
    /// Print the JSON Schema of configuration files, for editors.
    Schema,
    /// Connect: sources, models, credentials, accounts, fields.
    Check(check::CheckArgs),
    /// Show what a run would do, without doing it.
    Plan(plan::PlanArgs),
    /// Run syncs now and wait.
    Sync(sync::SyncArgs),
    /// Run the daemon.
    Run,
    /// How every sync stands.
    Status,
    /// The latest runs.
    Runs(runs::RunsArgs),
    /// Rejected and invalid rows, and why.
    Rejected(rejected::RejectedArgs),
    /// Let a guarded run's changes through.
    Approve(approve::ApproveArgs),
    /// Send rows again, whatever the destination acknowledged.
    Resync(resync::ResyncArgs),
    /// Keep a sync from running.
    Pause(pause::PauseArgs),
    /// Let a paused sync run again.
    Resume(pause::PauseArgs),
    /// Ask the running daemon whether it is well.
    Health(health::HealthArgs),
    /// Write a shell's completion script.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages.
    Man(completions::ManArgs),
    /// Serve a stand-in for a vendor's API.
    Simulate(Box<simulate::SimulateArgs>),
    /// The whole loop on embedded defaults, with nothing installed.
    Demo(demo::DemoArgs),
}

/// Runs one command.
///
/// # Errors
/// What stopped it; [`report`] prints it and gives the exit code.
pub async fn execute(cli: Cli, shutdown: Shutdown) -> anyhow::Result<Exit> {
    #[cfg(feature = "proof")]
    cli.obey_the_harness();
    let context = cli.context(shutdown);
    match cli.command {
        Command::Init(args) => init::execute(&context, &args),
        Command::Validate => validate::execute(&context),
        Command::Config(args) => config_show::execute(&context, &args),
        Command::Schema => output::json(&crate::config::schema()).map(|()| Exit::Ok),
        Command::Check(args) => check::execute(&context, args).await,
        Command::Plan(args) => plan::execute(&context, args).await,
        Command::Sync(args) => sync::execute(&context, args).await,
        Command::Run => run::execute(&context).await,
        Command::Status => status::execute(&context).await,
        Command::Runs(args) => runs::execute(&context, args).await,
        Command::Rejected(args) => rejected::execute(&context, args).await,
        Command::Approve(args) => approve::execute(&context, args).await,
        Command::Resync(args) => resync::execute(&context, args).await,
        Command::Pause(args) => pause::execute(&context, args, true).await,
        Command::Resume(args) => pause::execute(&context, args, false).await,
        Command::Health(args) => health::execute(&context, args).await,
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
        Command::Simulate(args) => simulate::run(*args, context.shutdown).await.map(|()| Exit::Ok),
        Command::Demo(args) => demo::execute(&context, args).await,
    }
}

impl Cli {
    /// How results, and errors, are printed.
    pub fn format(&self) -> Format {
        self.output
    }

    #[cfg(feature = "proof")]
    fn obey_the_harness(&self) {
        crate::proof::arm(self.failpoint.clone());
        self.intent_life.map(std::time::Duration::from_secs).into_iter().for_each(crate::proof::live_for);
        self.break_rule.into_iter().for_each(crate::proof::break_rule);
    }

    fn context(&self, shutdown: Shutdown) -> context::Context {
        context::Context { folders: self.config.clone(), format: self.output, shutdown }
    }
}
