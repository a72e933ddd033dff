//! The five steps: what happens to the warehouse, what Syncline makes of it, and what must have come of it.

use serde::Serialize;

use super::{
    Exit, Narrator, Promise, Stage,
    stage::{CUSTOMERS, Rejected, Traffic},
};
use crate::{model::Counts, run::RunReport, state::RunStatus};

/// One run of the demo.
#[derive(Serialize)]
pub(super) struct Step {
    /// What it shows.
    pub(super) title: &'static str,
    /// The exit code that `syncline sync` ends with.
    pub(super) exit: u8,
    /// How the run ended.
    pub(super) run: RunReport,
    /// What HubSpot saw of it.
    pub(super) requests: Traffic,
    /// Contacts that HubSpot holds afterwards.
    pub(super) contacts: u64,
    /// What `syncline rejected` lists afterwards, in the steps that ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rejected: Vec<Rejected>,
}

/// What a run must come to.
struct Expected {
    status: RunStatus,
    counts: Counts,
    requests: Traffic,
    contacts: u64,
}

const ALL: u64 = CUSTOMERS as u64;
/// Rows that a batch of HubSpot's API holds.
const BATCH: u64 = 100;
/// Asking the account for its name, once in a process that has something to send.
const ASKING: u64 = 1;
const CHANGED: u64 = 200;
const READDRESSED: u64 = 20;
const ADDED: u64 = 50;
const REMOVED: u64 = 30;
const LEFT: u64 = ALL + ADDED - REMOVED;
const CHANGED_MEANWHILE: u64 = 25;
const RAISED: u64 = 40;
/// The customer who is put on a plan that HubSpot does not know.
const POISONED: u32 = 1_102;

/// Plays every step.
///
/// # Errors
/// At the first step that is not as promised.
pub(super) async fn all(stage: &mut Stage, narrator: &Narrator) -> anyhow::Result<Vec<Step>> {
    let mut steps = vec![first_run(stage, narrator).await?, second_run(stage, narrator).await?];
    steps.push(changes(stage, narrator).await?);
    steps.push(accident(stage, narrator).await?);
    steps.push(repaired_model(stage, narrator).await?);
    steps.push(poison(stage, narrator).await?);
    steps.push(repaired_row(stage, narrator).await?);
    Ok(steps)
}

async fn first_run(stage: &Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    narrator.heading(1, "The first run sends everything");
    narrator.say(
        "HubSpot is empty, so every customer is new. Rows travel 100 to a request, and a row counts as delivered \
         only when HubSpot has acknowledged that very row.",
    );
    let expected = Expected {
        status: RunStatus::Ok,
        counts: Counts { read: ALL, added: ALL, delivered: ALL, ..Counts::default() },
        requests: Traffic { total: ALL / BATCH + ASKING, upserts: ALL / BATCH, ..Traffic::default() },
        contacts: ALL,
    };
    sync(stage, narrator, "first run", expected).await
}

async fn second_run(stage: &Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    narrator.heading(2, "A run without changes sends nothing");
    narrator.say(
        "The state keeps a fingerprint of each record that was acknowledged. All of them match, so HubSpot is not \
         asked anything, and nothing of its quota is spent.",
    );
    let expected = Expected {
        status: RunStatus::Ok,
        counts: Counts { read: ALL, unchanged: ALL, ..Counts::default() },
        requests: Traffic::default(),
        contacts: ALL,
    };
    sync(stage, narrator, "second run", expected).await
}

async fn changes(stage: &mut Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    narrator.heading(3, "Exactly the changed rows go");
    let warehouse = &mut stage.warehouse;
    let mut made = Promise::of("changes in the warehouse");
    made.that("changed", warehouse.raise(50, 7).await?, CHANGED);
    made.that("readdressed", warehouse.readdress(500, 7).await?, READDRESSED);
    made.that("removed", warehouse.remove(333, 101).await?, REMOVED);
    made.that("added", warehouse.add(CUSTOMERS + 1, CUSTOMERS + 50).await?, ADDED);
    made.keep()?;
    narrator.say(
        "In the warehouse 200 customers change, 50 are added and 30 are removed. 20 of the changed ones even get \
         a new e-mail address, by which HubSpot finds them: each keeps its contact, because Syncline remembers \
         HubSpot's id. Removed customers are archived (mode = \"mirror\").",
    );
    let changed = CHANGED + ADDED + REMOVED;
    let expected = Expected {
        status: RunStatus::Ok,
        counts: Counts {
            read: LEFT,
            unchanged: LEFT - CHANGED - ADDED,
            added: ADDED,
            changed: CHANGED,
            removed: REMOVED,
            delivered: changed,
            ..Counts::default()
        },
        requests: Traffic { total: 4 + ASKING, upserts: 1, updates: CHANGED / BATCH, archives: 1 },
        contacts: LEFT,
    };
    let step = sync(stage, narrator, "changes", expected).await?;
    // A contact with a new address is the old one, not a second one.
    Promise::of("changes").that("contacts ever created", stage.created(), ALL + ADDED).keep()?;
    Ok(step)
}

async fn accident(stage: &mut Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    narrator.heading(4, "The guard stops an accident");
    let mut made = Promise::of("accident in the warehouse");
    made.that("rewritten", stage.warehouse.set_status("ACTIVE").await?, LEFT).keep()?;
    narrator.say(
        "A job upstream now writes the status as 'ACTIVE'. The model's `where status = 'active'` returns nothing, \
         which in mirror mode means: archive every contact. No error anywhere, only a wrong result.",
    );
    let expected = Expected {
        status: RunStatus::Guarded,
        counts: Counts { removed: LEFT, guarded: LEFT, ..Counts::default() },
        requests: Traffic::default(),
        contacts: LEFT,
    };
    let step = sync(stage, narrator, "accident", expected).await?;
    let tripped = step.run.trips.iter().any(|trip| trip.rule == "empty");
    Promise::of("accident").that("rule `empty` tripped", tripped, true).keep()?;
    narrator.say("Nothing was archived. Had it been meant, `syncline approve` would let it through.");
    Ok(step)
}

async fn repaired_model(stage: &mut Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    let mut made = Promise::of("repair in the warehouse");
    made.that("rewritten", stage.warehouse.set_status("active").await?, LEFT);
    made.that("changed", stage.warehouse.raise(400, 102).await?, CHANGED_MEANWHILE);
    made.keep()?;
    narrator.say(
        "The job is repaired; meanwhile 25 customers have changed. The next run goes on by itself, with these 25 \
         only:",
    );
    sync(stage, narrator, "repaired model", updates(CHANGED_MEANWHILE, LEFT)).await
}

async fn poison(stage: &mut Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    narrator.heading(5, "One bad row does not stop the others");
    let mut made = Promise::of("bad row in the warehouse");
    made.that("changed", stage.warehouse.raise(250, 102).await?, RAISED);
    made.that("poisoned", stage.warehouse.set_plan(POISONED, "platinum").await?, 1).keep()?;
    narrator.say(
        "40 customers change. One of them is now on the plan 'platinum', which this HubSpot does not know. The \
         other 39 are delivered by the same request.",
    );
    let mut expected = updates(RAISED, LEFT);
    expected.status = RunStatus::Partial;
    (expected.counts.delivered, expected.counts.rejected) = (RAISED - 1, 1);
    let mut step = sync(stage, narrator, "bad row", expected).await?;
    step.rejected = stage.rejected().await?;
    narrator.rejected(&step.rejected);
    check_rejected(&step.rejected)?;
    Ok(step)
}

fn check_rejected(rows: &[Rejected]) -> anyhow::Result<()> {
    let mut promise = Promise::of("rejected row");
    promise.that("rejected rows", rows.len(), 1);
    for row in rows {
        promise.that("key", row.key.as_str(), &POISONED.to_string());
        promise.that("code", row.code.as_str(), "VALIDATION_ERROR/INVALID_OPTION");
        promise.that("the value in the message", row.message.contains("platinum"), false);
        promise.that("the reason in the message", row.message.contains("allowed options"), true);
    }
    promise.keep()
}

async fn repaired_row(stage: &mut Stage, narrator: &Narrator) -> anyhow::Result<Step> {
    let mut made = Promise::of("repaired row in the warehouse");
    made.that("repaired", stage.warehouse.set_plan(POISONED, "business").await?, 1).keep()?;
    narrator.say("The customer is put on 'business'. A rejected row is tried again as soon as its record changes:");
    let step = sync(stage, narrator, "repaired row", updates(1, LEFT)).await?;
    let left = stage.rejected().await?;
    Promise::of("repaired row").that("rejected rows", left.len(), 0).keep()?;
    Ok(step)
}

/// A run that updates a few records, at most a batch, of `all`.
fn updates(changed: u64, all: u64) -> Expected {
    Expected {
        status: RunStatus::Ok,
        counts: Counts { read: all, unchanged: all - changed, changed, delivered: changed, ..Counts::default() },
        requests: Traffic { total: 1 + ASKING, updates: 1, ..Traffic::default() },
        contacts: all,
    }
}

async fn sync(stage: &Stage, narrator: &Narrator, title: &'static str, expected: Expected) -> anyhow::Result<Step> {
    narrator.command(&format!("sync {}", super::stage::SYNC));
    let (run, requests) = stage.sync().await?;
    let exit = Exit::from(run.status).code();
    let step = Step { title, exit, run, requests, contacts: stage.live(), rejected: Vec::new() };
    narrator.ran(&step);
    check(&step, &expected)?;
    Ok(step)
}

fn check(step: &Step, expected: &Expected) -> anyhow::Result<()> {
    let (got, want) = (&step.run.counts, &expected.counts);
    let mut promise = Promise::of(step.title);
    promise
        .that("status", step.run.status.name(), expected.status.name())
        .that("read", got.read, want.read)
        .that("unchanged", got.unchanged, want.unchanged)
        .that("added", got.added, want.added)
        .that("changed", got.changed, want.changed)
        .that("removed", got.removed, want.removed)
        .that("delivered", got.delivered, want.delivered)
        .that("rejected", got.rejected, want.rejected)
        .that("guarded", got.guarded, want.guarded)
        .that("everything else", others(got), 0)
        .that("upsert requests", step.requests.upserts, expected.requests.upserts)
        .that("update requests", step.requests.updates, expected.requests.updates)
        .that("archive requests", step.requests.archives, expected.requests.archives)
        .that("requests", step.requests.total, expected.requests.total)
        .that("contacts", step.contacts, expected.contacts);
    promise.keep()
}

/// Counts that no step of the demo may have.
const fn others(counts: &Counts) -> u64 {
    counts.invalid
        + counts.waiting
        + counts.waiting_removals
        + counts.skipped
        + counts.unknown
        + counts.pending
        + counts.left_over
}
