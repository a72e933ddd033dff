//! One thread's engine over its state, source and vendor, used by one history after the other.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use syncline::{
    clock::Clock,
    model::{
        Timestamp,
        spec::{
            Constant, DestinationSpec, FieldSource, FieldSpec, FirstRun, GuardSpec, HttpSpec, Mode, ModelBodySpec,
            ModelSpec, OnRemoved, Schedule, SchedulerSettings, SecretSpec, SourceKind, SourceSpec, Specs, SyncSpec,
            TextSpec, VendorSpec, WhenNull,
        },
    },
    run::{Engine, EngineParts, SecretFailure, Secrets},
    shutdown::Shutdown,
    state::{Access, Location, OpenOptions, State},
};

use super::{
    op::Shape,
    source::ModelSource,
    vendor::Vendor,
    world::{LATE_WINDOW, Shared},
};

/// Histories on one state; after that it has grown too large to be quick.
const HISTORIES_PER_STATE: u32 = 100;
/// Share of the snapshot that a guarded history may remove or change in one run, in percent.
pub(super) const GUARD_SHARE: f64 = 50.0;
/// Rows that a guarded history may remove or change whatever the share.
pub(super) const GUARD_ROWS: u64 = 1;

/// One thread's engine and what it stands between.
pub(super) struct Bench {
    pub(super) world: Shared,
    pub(super) vendor: Arc<Vendor>,
    pub(super) engine: Arc<Engine>,
    source: Arc<ModelSource>,
    clock: Clock,
    shift: Arc<AtomicI64>,
    workers: usize,
    histories: u32,
    folder: tempfile::TempDir,
}

struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, _secret: &SecretSpec) -> Result<SecretString, SecretFailure> {
        Ok(SecretString::from("secret"))
    }
}

/// Memory, where there is a folder for it: nothing of this has to outlive the machine.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

impl Bench {
    pub(super) async fn new() -> Self {
        let shift = Arc::new(AtomicI64::new(0));
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let clock = Clock::following_tokio(start).shifted(shift.clone());
        let world = Shared::new(clock.clone());
        let (source, vendor) = (Arc::new(ModelSource::new(world.clone())), Arc::new(Vendor::new(world.clone())));
        let folder = folder();
        let state = open(folder.path(), &clock).await;
        let engine = engine(state, folder.path(), &clock, &source, &vendor);
        Self { world, vendor, engine, source, clock, shift, workers: 1, histories: 0, folder }
    }

    /// An empty world and a sync of its own for the next history.
    pub(super) async fn begin(&mut self, shape: &Shape, traced: bool) {
        self.histories += 1;
        if self.histories.is_multiple_of(HISTORIES_PER_STATE) {
            self.close().await;
            self.folder = folder();
            self.engine = self.open_engine().await;
        }
        self.world.lock().reset(traced);
        self.vendor.rows.store(usize::from(shape.batch), Ordering::Relaxed);
        *self.vendor.instance.lock().expect("no panic") = None;
        self.configure(shape, 0);
    }

    /// Goes on with another mapping.
    pub(super) fn configure(&mut self, shape: &Shape, tag: u8) {
        let sync = sync(&self.sync_name(), shape, tag);
        self.workers = usize::from(shape.workers);
        let scheduler = SchedulerSettings { max_runs: 2, workers_per_run: self.workers };
        self.engine = Arc::new(self.engine.reconfigured(specs(sync), scheduler));
    }

    pub(super) fn sync_name(&self) -> String {
        format!("s{}", self.histories)
    }

    /// The process ends and another one opens the state.
    pub(super) async fn reopen(&mut self) {
        let specs = self.engine.specs().clone();
        self.close().await;
        let scheduler = SchedulerSettings { max_runs: 2, workers_per_run: self.workers };
        self.engine = Arc::new(self.open_engine().await.reconfigured(specs, scheduler));
    }

    async fn close(&mut self) {
        *self.vendor.instance.lock().expect("no panic") = None;
        self.engine.state().clone().close().await.expect("the state can be closed");
    }

    async fn open_engine(&self) -> Arc<Engine> {
        let state = open(self.folder.path(), &self.clock).await;
        engine(state, self.folder.path(), &self.clock, &self.source, &self.vendor)
    }

    /// Time passes.
    pub(super) async fn advance(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    /// The wall clock is set back.
    pub(super) fn set_back(&self, seconds: u32) {
        self.shift.fetch_sub(i64::from(seconds) * 1_000_000, Ordering::SeqCst);
    }
}

async fn open(folder: &Path, clock: &Clock) -> State {
    let location = Location::Sqlite(folder.join("state.db"));
    let options = OpenOptions { clock: clock.clone(), ..OpenOptions::new(location, Access::Runner) };
    State::open(options).await.expect("the state can be opened")
}

fn engine(state: State, folder: &Path, clock: &Clock, source: &Arc<ModelSource>, vendor: &Arc<Vendor>) -> Arc<Engine> {
    let shape = Shape { keys: 1, emails: 1, names: 1, batch: 1, workers: 1, guard: false };
    let parts = EngineParts {
        specs: specs(sync("none", &shape, 0)),
        scheduler: SchedulerSettings { max_runs: 2, workers_per_run: 1 },
        state,
        secrets: Arc::new(NoSecrets),
        spool_dir: PathBuf::from(folder),
        clock: clock.clone(),
        shutdown: Shutdown::new(),
    };
    Arc::new(Engine::new(parts).with_stand_ins(source.clone(), vendor.clone()))
}

fn sync(name: &str, shape: &Shape, tag: u8) -> SyncSpec {
    let field = |name: &str, source| FieldSpec { name: name.to_owned(), source, when_null: WhenNull::Skip };
    let column = |column: &str| FieldSource::Column { column: column.to_owned(), cast: None };
    let off = GuardSpec {
        stop_on_empty: false,
        max_removed: 100.0,
        max_changed: 100.0,
        max_added: 100.0,
        max_invalid: 100.0,
        max_emptied: 100.0,
        max_remapped: 100.0,
        ..GuardSpec::default()
    };
    let tight = GuardSpec {
        stop_on_empty: true,
        max_removed: GUARD_SHARE,
        max_changed: GUARD_SHARE,
        min_rows: GUARD_ROWS,
        ..off.clone()
    };
    SyncSpec {
        mode: Mode::Mirror,
        match_fields: vec!["email".to_owned()],
        on_removed: OnRemoved::Delete,
        first_run: FirstRun::Backfill,
        schedule: Schedule::Manual,
        guard: if shape.guard { tight } else { off },
        fields: vec![
            field("email", column("email")),
            field("key", column("id")),
            field("name", column("name")),
            field("tag", FieldSource::Constant(Constant::Text(format!("t{tag}")))),
        ],
        late_window: Some(LATE_WINDOW),
        ..SyncSpec::new(name, "m", "d", "contacts")
    }
}

fn specs(sync: SyncSpec) -> Specs {
    Specs {
        environment: None,
        sources: vec![SourceSpec {
            name: "w".to_owned(),
            kind: SourceKind::Sqlite { path: TextSpec::Plain("none".to_owned()) },
            statement_timeout: Duration::from_secs(60),
        }],
        models: vec![ModelSpec::new("m", "w", vec!["id".to_owned()], ModelBodySpec::Table("t".to_owned()))],
        destinations: vec![DestinationSpec {
            base_url: Some("http://127.0.0.1:9".to_owned()),
            allow_private: vec!["127.0.0.1/32".to_owned()],
            request_timeout: Duration::from_secs(40),
            ..DestinationSpec::new("d", VendorSpec::Http(Box::new(HttpSpec::new("/"))))
        }],
        syncs: vec![sync],
    }
}
