//! The real engine over a small SQLite state, between a source and a vendor that stand in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use syncline::{
    clock::Clock,
    destination::{
        Batch, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup,
        LookupKind, Outcome, RowCaps, Unacceptable,
    },
    mapping::to_text,
    model::{
        Column, ColumnKind, KeyKind, Operation, RecordRef, RowBatch, Schema, Timestamp, Value,
        spec::{
            Constant, DestinationSpec, FieldSource, FieldSpec, FirstRun, GuardSpec, HttpSpec, Mode, ModelBodySpec,
            ModelSpec, OnRemoved, Schedule, SchedulerSettings, SecretSpec, SourceKind, SourceSpec, Specs, SyncSpec,
            TextSpec, VendorSpec, WhenNull,
        },
    },
    run::{Engine, EngineParts, RunReport, SecretFailure, Secrets, Trigger},
    shutdown::Shutdown,
    source::{ModelQuery, RowStream, Source, SourceError, SourceReport},
    state::{Access, Location, OpenOptions, State},
    wire::{Account, Fault},
};

use super::case::Row;

/// Cases on one state; after that it has grown too large to be quick.
const CASES_PER_STATE: u32 = 200;

/// What is outside the program.
#[derive(Default)]
struct World {
    rows: Vec<Row>,
    /// The vendor's records: id and key.
    records: BTreeMap<String, i64>,
    last_id: u64,
    written: BTreeSet<i64>,
    removed: BTreeSet<i64>,
}

/// What a run sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) written: BTreeSet<i64>,
    pub(super) removed: BTreeSet<i64>,
}

/// How a sync of the bench is set up for a run.
pub(super) struct Setup<'a> {
    pub(super) guard: &'a GuardSpec,
    pub(super) tag: &'static str,
    pub(super) asks: bool,
}

/// One thread's engine and what it stands between.
pub(super) struct Bench {
    world: Arc<Mutex<World>>,
    engine: Engine,
    clock: Clock,
    cases: u32,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let clock = Clock::following_tokio(Timestamp::from_micros(1_700_000_000_000_000));
        let world = Arc::new(Mutex::new(World::default()));
        let folder = folder();
        let engine = engine(&world, &clock, folder.path()).await;
        Self { world, engine, clock, cases: 0, folder }
    }

    /// An empty world and a sync of its own for the next case.
    pub(super) async fn begin(&mut self) {
        self.cases += 1;
        *self.world.lock().expect("no panic") = World::default();
        if self.cases.is_multiple_of(CASES_PER_STATE) {
            self.engine.state().clone().close().await.expect("the state can be closed");
            self.folder = folder();
            self.engine = engine(&self.world, &self.clock, self.folder.path()).await;
        }
    }

    /// One run over these rows: the report, and what was sent.
    pub(super) async fn run(&mut self, rows: Vec<Row>, setup: &Setup<'_>) -> (RunReport, Sent) {
        {
            let mut world = self.world.lock().expect("no panic");
            (world.rows, world.written, world.removed) = (rows, BTreeSet::new(), BTreeSet::new());
        }
        let name = format!("s{}", self.cases);
        self.engine = self.engine.reconfigured(specs(sync(&name, setup)), scheduler());
        let report = self.engine.run_sync(&name, Trigger::Command).await;
        let world = self.world.lock().expect("no panic");
        (report, Sent { written: world.written.clone(), removed: world.removed.clone() })
    }
}

/// Memory, where there is a folder for it: nothing of this has to outlive the machine.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

const fn scheduler() -> SchedulerSettings {
    SchedulerSettings { max_runs: 1, workers_per_run: 1 }
}

async fn engine(world: &Arc<Mutex<World>>, clock: &Clock, folder: &Path) -> Engine {
    let location = Location::Sqlite(folder.join("state.db"));
    let options = OpenOptions { clock: clock.clone(), ..OpenOptions::new(location, Access::Runner) };
    let parts = EngineParts {
        specs: specs(SyncSpec::new("none", "m", "d", "contacts")),
        scheduler: scheduler(),
        state: State::open(options).await.expect("the state can be opened"),
        secrets: Arc::new(NoSecrets),
        spool_dir: folder.to_owned(),
        clock: clock.clone(),
        shutdown: Shutdown::new(),
    };
    let source = Arc::new(Model(world.clone()));
    let vendor = Arc::new(Vendor { world: world.clone(), capabilities: capabilities() });
    Engine::new(parts).with_stand_ins(source, vendor)
}

struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, _secret: &SecretSpec) -> Result<SecretString, SecretFailure> {
        Ok(SecretString::from("secret"))
    }
}

fn sync(name: &str, setup: &Setup<'_>) -> SyncSpec {
    let field = |name: &str, source| FieldSpec { name: name.to_owned(), source, when_null: WhenNull::Skip };
    let column = |column: &str| FieldSource::Column { column: column.to_owned(), cast: None };
    SyncSpec {
        mode: Mode::Mirror,
        match_fields: vec!["email".to_owned()],
        on_removed: OnRemoved::Delete,
        first_run: if setup.asks { FirstRun::Ask } else { FirstRun::Backfill },
        schedule: Schedule::Manual,
        guard: setup.guard.clone(),
        fields: vec![
            field("email", column("email")),
            field("key", column("id")),
            field("name", column("name")),
            field("note", column("note")),
            field("tag", FieldSource::Constant(Constant::Text(setup.tag.to_owned()))),
        ],
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
            ..DestinationSpec::new("d", VendorSpec::Http(Box::new(HttpSpec::new("/"))))
        }],
        syncs: vec![sync],
    }
}

/// The model, as a source hands it out.
struct Model(Arc<Mutex<World>>);

#[async_trait]
impl Source for Model {
    async fn describe(&self, _query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let column = |name: &str, kind, key_kind| Column {
            name: name.to_owned(),
            kind,
            key_kind: Some(key_kind),
            source_type: "stand-in".to_owned(),
        };
        let mut columns = vec![column("id", ColumnKind::Int, KeyKind::Integer)];
        columns.extend(["email", "name", "note"].map(|name| column(name, ColumnKind::Text, KeyKind::Text)));
        Ok(Arc::new(Schema { columns }))
    }

    fn read(&self, _query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        let (stream, sender, _returned) = RowStream::channel(2);
        let mut batch = RowBatch::new(schema.clone());
        for row in &self.0.lock().expect("no panic").rows {
            batch.push(row.id.map_or(Value::Null, Value::Int));
            batch.push(row.email.as_deref().map_or(Value::Null, Value::Text));
            batch.push(Value::Text(&row.name));
            batch.push(row.note.as_deref().map_or(Value::Null, Value::Text));
        }
        // Both fit into the channel; the reader may have given up.
        drop(sender.try_send(Ok(Some(batch))));
        drop(sender.try_send(Ok(None)));
        stream
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        Ok(SourceReport { server: "stand-in".to_owned(), warnings: Vec::new() })
    }
}

/// A vendor that takes everything.
struct Vendor {
    world: Arc<Mutex<World>>,
    capabilities: Capabilities,
}

fn capabilities() -> Capabilities {
    Capabilities {
        max_rows: RowCaps::new(100, 100),
        max_bytes: 1 << 20,
        operations: [Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear, Operation::Delete]
            .to_vec()
            .into(),
        correlation: Correlation::Position,
        record_ids: true,
        updates_by_id: false,
        idempotency: false,
        lookup: LookupKind::None,
        can_clear: true,
        max_match_fields: 1,
    }
}

impl World {
    fn take(&mut self, operation: Operation, record_id: Option<&str>, record: RecordRef<'_>) -> Outcome {
        if operation.is_removal() {
            let key = record_id.and_then(|id| self.records.remove(id));
            self.removed.extend(key);
            return if key.is_some() { Outcome::Delivered { record_id: None } } else { Outcome::Gone };
        }
        let key: i64 = record.get("key").and_then(|key| to_text(key).parse().ok()).expect("every record has its key");
        self.written.insert(key);
        let known = record_id
            .map(str::to_owned)
            .or_else(|| self.records.iter().find(|(_, other)| **other == key).map(|(id, _)| id.clone()));
        let id = known.unwrap_or_else(|| {
            self.last_id += 1;
            self.last_id.to_string()
        });
        self.records.insert(id.clone(), key);
        Outcome::Delivered { record_id: Some(id.into_boxed_str()) }
    }
}

#[async_trait]
impl Destination for Vendor {
    fn capabilities(&self, _object: &str) -> &Capabilities {
        &self.capabilities
    }

    async fn check(&self, _account: &Account) -> Result<Identity, Fault> {
        Ok(Identity { account: "1".to_owned(), time_zone: None })
    }

    async fn describe(&self, _account: &Account, _object: &str) -> Result<Vec<Field>, Fault> {
        Ok(Vec::new())
    }

    async fn lookup(&self, _account: &Account, _query: &Lookup) -> Result<Vec<Found>, Fault> {
        Ok(Vec::new())
    }

    async fn deliver(&self, _account: &Account, batch: &Batch) -> Result<Delivery, Fault> {
        let mut world = self.world.lock().expect("no panic");
        let take = |row: &syncline::destination::BatchRow| {
            world.take(batch.operation, row.record_id.as_deref(), RecordRef::new(&row.record))
        };
        Ok(Delivery::Rows(batch.rows.iter().map(take).collect()))
    }

    async fn poll(&self, _account: &Account, _job: &Job) -> Result<JobState, Fault> {
        Ok(JobState::Running)
    }

    fn accepts(&self, _object: &str, _record: RecordRef<'_>) -> Result<(), Unacceptable> {
        Ok(())
    }

    fn encoded_len(&self, _object: &str, _record: RecordRef<'_>) -> usize {
        100
    }

    fn normalise_match(&self, _object: &str, _field: &str, value: &str) -> String {
        value.to_owned()
    }

    fn match_is_exact(&self, _object: &str, _field: &str) -> bool {
        true
    }
}
