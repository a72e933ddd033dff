//! One simulated day: the daemon's scheduler, engine, delivery, wire and state over the stand-ins.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fastrand::Rng;
use secrecy::SecretString;
use syncline::{
    clock::Clock,
    model::{
        Cron, Timestamp,
        spec::{
            AuthSpec, DestinationSpec, FieldSource, FieldSpec, FirstRun, GuardSpec, HttpIdentitySpec, HttpResultsSpec,
            HttpSpec, LimitsSpec, Mode, ModelBodySpec, ModelSpec, OAuthSpec, OnRemoved, Schedule, SchedulerSettings,
            SecretSpec, SourceKind, SourceSpec, Specs, SyncSpec, TextSpec, VendorSpec, WhenNull, WindowSpec,
        },
    },
    run::{Engine, EngineParts, SecretFailure, Secrets},
    scheduler::{Heartbeat, Scheduler},
    shutdown::Shutdown,
    state::{Access, Location, OpenOptions, State, keep_in_step},
    wire::install_transport,
};

use super::{
    model::Models,
    script::{AccountScript, Script, SyncScript, When},
    tokens::SECRETS,
    trace::Trace,
    vendor::Vendor,
};

/// A request that takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest simulated time of a call of the state.
const STATE_LATENCY: Duration = Duration::from_millis(12);

/// What a simulated day leaves.
pub(super) struct Day {
    pub(super) trace: Trace,
    pub(super) vendor: Vendor,
    pub(super) models: Models,
    /// Why the scheduler ended, if it should not have.
    pub(super) failure: Option<String>,
}

/// Runs a script to its end, with everything random drawn from the seed.
pub(super) fn run(script: &Arc<Script>, seed: u64, folder: &Path) -> Day {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let day = runtime.block_on(simulate(script, seed, folder));
    install_transport(None);
    keep_in_step(None);
    day
}

async fn simulate(script: &Arc<Script>, seed: u64, folder: &Path) -> Day {
    let trace = Trace::new();
    let _log = tracing::subscriber::set_default(trace.clone());
    let vendor = Vendor::new(script, &trace, Rng::with_seed(seed ^ 1));
    install_transport(Some(Arc::new(vendor.clone())));
    let models = Models::new(script, &trace, Rng::with_seed(seed ^ 2));
    let jump = Arc::new(AtomicI64::new(0));
    let clock = Clock::following_tokio(Timestamp::from_micros(script.start * 1_000_000)).shifted(jump.clone());
    let shutdown = Shutdown::new();
    keep_in_step(Some(STATE_LATENCY));
    let state = open(folder, &clock).await;
    let parts = EngineParts {
        specs: specs(script),
        scheduler: SchedulerSettings { max_runs: 64, workers_per_run: 2 },
        state: state.clone(),
        secrets: Arc::new(Operator { script: script.clone(), trace: trace.clone() }),
        spool_dir: folder.to_owned(),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    };
    let engine = Arc::new(Engine::new(parts).with_source(Arc::new(models.clone())));
    let daemon = tokio::spawn(Scheduler::new(engine.clone(), shutdown.clone(), Arc::new(Silent)).run());
    let changes = tokio::spawn(models.clone().change());
    for (at, ahead) in &script.jumps {
        tokio::time::sleep_until(tokio::time::Instant::now() + at.saturating_sub(trace.now())).await;
        jump.store(ahead.saturating_mul(1_000_000), Ordering::SeqCst);
        trace.add("clock", [("ahead".to_owned(), ahead.to_string())].into());
    }
    tokio::time::sleep(script.end.saturating_sub(trace.now())).await;
    shutdown.cancel();
    let ended = daemon.await.unwrap();
    changes.await.unwrap();
    engine.settle_tokens().await;
    let closed = state.close().await;
    let failure = ended.and(closed).err().map(|error| error.to_string());
    Day { trace, vendor, models, failure }
}

async fn open(folder: &Path, clock: &Clock) -> State {
    let location = Location::Sqlite(folder.join("state.db"));
    let options = OpenOptions {
        clock: clock.clone(),
        key: Some(SecretString::from("0123456789abcdef0123456789abcdef0123456789abcdef")),
        ..OpenOptions::new(location, Access::Runner)
    };
    State::open(options).await.unwrap()
}

struct Silent;

impl Heartbeat for Silent {
    fn beat(&self) {}
}

/// Gives the secrets, and new ones when the vendor has refused the old long enough.
struct Operator {
    script: Arc<Script>,
    trace: Trace,
}

#[async_trait]
impl Secrets for Operator {
    async fn read(&self, secret: &SecretSpec) -> Result<SecretString, SecretFailure> {
        let late = self.trace.now() >= self.script.token_refused.end && !self.script.token_refused.is_empty();
        Ok(SecretString::from(match secret {
            SecretSpec::Env(name) if name == "CLIENT_SECRET" => SECRETS[usize::from(late)],
            SecretSpec::Env(_) | SecretSpec::File(_) | SecretSpec::Command(_) => "refresh-0",
        }))
    }
}

fn specs(script: &Script) -> Specs {
    let mut models: Vec<ModelSpec> = Vec::new();
    for sync in &script.syncs {
        if !models.iter().any(|model| model.name == sync.model) {
            let body = ModelBodySpec::Table(sync.model.clone());
            models.push(ModelSpec::new(&sync.model, "warehouse", vec!["id".to_owned()], body));
        }
    }
    Specs {
        environment: None,
        sources: vec![SourceSpec {
            name: "warehouse".to_owned(),
            kind: SourceKind::Sqlite { path: TextSpec::Plain("none".to_owned()) },
            statement_timeout: Duration::from_secs(60),
        }],
        models,
        destinations: script.accounts.iter().map(destination).collect(),
        syncs: script.syncs.iter().map(|sync| sync_spec(script, sync)).collect(),
    }
}

fn destination(account: &AccountScript) -> DestinationSpec {
    let results = HttpResultsSpec {
        rows: "/results".to_owned(),
        key: Some("/id".to_owned()),
        status: "/status".to_owned(),
        success: vec!["\"ok\"".to_owned()],
        record_id: None,
        error_code: None,
        error_message: None,
    };
    let http = HttpSpec {
        batch_size: 10,
        envelope: Some("rows".to_owned()),
        delete_path: Some("/{object}/{match}".to_owned()),
        results: Some(results),
        identity: Some(HttpIdentitySpec { path: "/me".to_owned(), pointer: "/account".to_owned() }),
        ..HttpSpec::new("/{object}")
    };
    let base_url = format!("http://127.0.0.1:{}", account.port);
    let secret = |name: &str| SecretSpec::Env(name.to_owned());
    let oauth = OAuthSpec {
        token_url: Some(format!("{base_url}/token")),
        refresh_token: Some(secret("REFRESH_TOKEN")),
        ..OAuthSpec::new(TextSpec::Plain("client".to_owned()), secret("CLIENT_SECRET"))
    };
    let windows =
        account.window.iter().map(|(requests, per)| WindowSpec { requests: *requests, per: *per, smooth: false });
    DestinationSpec {
        base_url: Some(base_url),
        allow_private: vec!["127.0.0.1/32".to_owned()],
        auth: if account.oauth { AuthSpec::OAuth(Box::new(oauth)) } else { AuthSpec::None },
        limits: LimitsSpec {
            windows: windows.collect(),
            concurrent: account.concurrent,
            daily: account.daily.map(u64::from),
            reserve_percent: None,
        },
        request_timeout: REQUEST_TIMEOUT,
        ..DestinationSpec::new(account.name, VendorSpec::Http(Box::new(http)))
    }
}

fn sync_spec(script: &Script, sync: &SyncScript) -> SyncSpec {
    let field = |name: &str| {
        let source = FieldSource::Column { column: name.to_owned(), cast: None };
        FieldSpec { name: name.to_owned(), source, when_null: WhenNull::Skip }
    };
    SyncSpec {
        mode: Mode::Mirror,
        match_fields: vec!["id".to_owned()],
        on_removed: OnRemoved::Delete,
        first_run: FirstRun::Backfill,
        schedule: match &sync.when {
            When::Every(every) => Schedule::Every(*every),
            When::Cron(pattern, zone) => Schedule::Cron(Box::new(Cron::parse(pattern, zone).unwrap())),
            When::After(parents) => Schedule::After(parents.clone()),
        },
        // The removals of a whole day add up.
        guard: GuardSpec { max_removed: 100.0, ..GuardSpec::default() },
        fields: vec![field("id"), field("value")],
        ..SyncSpec::new(&sync.name, &sync.model, script.accounts[sync.account].name, &sync.name)
    }
}
