//! The `syncline` binary: parses arguments, runs one command and turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use syncline::{
    cli::{self, Cli},
    shutdown::{self, Shutdown},
    telemetry,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    telemetry::forbid_core_dumps();
    let format = cli.format();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::report(&anyhow::Error::new(error).context("cannot start the runtime"), format),
    };
    let shutdown = Shutdown::new();
    let ended = runtime.block_on(async {
        shutdown::on_signals(&shutdown);
        let executing = cli::execute(cli, shutdown.clone());
        shutdown.within(shutdown::PROCESS, executing).await.unwrap_or_else(|| Err(cli::overdue()))
    });
    // Whatever still blocks (a statement being cancelled) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => cli::report(&error, format),
    }
}
