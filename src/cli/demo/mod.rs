//! `syncline demo`: the whole loop on embedded defaults, with nothing installed. Also a test: every figure is checked.

mod audit;
mod narrator;
mod promise;
mod stage;
mod steps;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use self::{audit::Audit, narrator::Narrator, promise::Promise, stage::Stage, steps::Step};
use super::{
    Exit,
    context::Context,
    exit::CliError,
    output::{self, millis},
};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Work in this new or empty folder and keep it, instead of in a temporary one
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Summary {
    passed: bool,
    elapsed_ms: u64,
    requests: u64,
    steps: Vec<Step>,
    audit: Audit,
}

/// Runs the demo.
///
/// # Errors
/// When a figure is not as promised, or the demo's folder, warehouse or simulator cannot be set up.
pub(super) async fn execute(context: &Context, args: DemoArgs) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let narrator = Narrator::new(context.json());
    let mut stage = Stage::set(args.keep, context.shutdown.clone()).await?;
    narrator.introduce(&stage);
    let steps = Box::pin(steps::all(&mut stage, &narrator)).await?;
    let audit = audit::audit(stage.warehouse.active().await?, &stage.contacts()?);
    let elapsed_ms = millis(began.elapsed());
    let requests = steps.iter().map(|step| step.requests.total).sum();
    narrator.conclude(&stage, &audit, requests, elapsed_ms);
    let passed = audit.is_clean();
    if context.json() {
        output::json(&Summary { passed, elapsed_ms, requests, steps, audit })?;
    }
    ensure!(passed, "the CRM is not what the model says");
    Ok(Exit::Ok)
}

/// A figure of a step that is not as promised: a defect, since nothing here depends on anything outside.
fn broken(step: &str, wrong: &[String]) -> anyhow::Error {
    let message = format!("the demo's step \"{step}\" is not as promised: {}", wrong.join(", "));
    CliError::failed(message, "this is a defect of Syncline; `--keep DIR` keeps everything for a look").into()
}
