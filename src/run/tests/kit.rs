//! A state in a temporary folder, one sync, and short ways to run it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

use super::{destination::ScriptedDestination, source::FakeSource};
use crate::{
    clock::Clock,
    model::{
        Timestamp,
        spec::{
            DestinationSpec, FieldSource, FieldSpec, FirstRun, GuardSpec, HttpSpec, Mode, ModelBodySpec, ModelSpec,
            OnRemoved, Schedule, SchedulerSettings, SecretSpec, SourceKind, SourceSpec, Specs, SyncSpec, TextSpec,
            VendorSpec, WhenNull,
        },
    },
    run::{Engine, EngineParts, RunReport, SecretFailure, Secrets, Trigger},
    shutdown::Shutdown,
    state::{Access, Location, OpenOptions, RunStatus, State},
};

/// A row of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: Option<i64>,
    pub(crate) email: String,
    /// Empty: null.
    pub(crate) name: String,
    /// The cursor column.
    pub(crate) at: Option<i64>,
}

pub(crate) fn row(id: i64, email: &str, name: &str) -> Row {
    Row { id: Some(id), email: email.to_owned(), name: name.to_owned(), at: Some(id) }
}

/// Rows of these keys with one name.
pub(crate) fn rows(ids: std::ops::Range<i64>, name: &str) -> Vec<Row> {
    ids.map(|id| row(id, &format!("{id}@x"), name)).collect()
}

/// One sync between the two stand-ins.
pub(crate) struct Kit {
    pub(crate) engine: Arc<Engine>,
    pub(crate) source: Arc<FakeSource>,
    pub(crate) vendor: Arc<ScriptedDestination>,
    pub(crate) shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, _secret: &SecretSpec) -> Result<SecretString, SecretFailure> {
        Ok(SecretString::from("secret"))
    }
}

impl Kit {
    pub(crate) async fn new() -> Self {
        Self::with(10, |_| {}).await
    }

    /// Batches of at most `max_rows`, one at a time, and a changed sync.
    pub(crate) async fn with(max_rows: usize, change: impl FnOnce(&mut SyncSpec)) -> Self {
        let mut sync = sync();
        change(&mut sync);
        Self::of(max_rows, specs(sync)).await
    }

    /// Several syncs of the one model, changed one by one.
    pub(crate) async fn with_syncs(names: &[&str], change: impl Fn(&mut SyncSpec)) -> Self {
        let syncs = names.iter().map(|name| {
            let mut sync = SyncSpec { name: (*name).to_owned(), ..sync() };
            change(&mut sync);
            sync
        });
        Self::of(10, Specs { syncs: syncs.collect(), ..specs(sync()) }).await
    }

    /// The configuration of [`Kit::new`].
    pub(crate) fn specs() -> Specs {
        specs(sync())
    }

    /// Everything of a configuration, over the stand-ins.
    pub(crate) async fn of(max_rows: usize, specs: Specs) -> Self {
        Self::starting(max_rows, Timestamp::from_micros(1_700_000_000_000_000), specs).await
    }

    /// The same with a wall clock that starts at `start`.
    pub(crate) async fn starting(max_rows: usize, start: Timestamp, specs: Specs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::following_tokio(start);
        let location = Location::Sqlite(folder.path().join("state.db"));
        let options = OpenOptions { clock: clock.clone(), ..OpenOptions::new(location, Access::Runner) };
        let shutdown = Shutdown::new();
        let parts = EngineParts {
            specs,
            scheduler: SchedulerSettings { max_runs: 2, workers_per_run: 1 },
            state: State::open(options).await.unwrap(),
            secrets: Arc::new(NoSecrets),
            spool_dir: folder.path().to_owned(),
            clock,
            shutdown: shutdown.clone(),
        };
        let (source, vendor) = (Arc::new(FakeSource::default()), Arc::new(ScriptedDestination::new(max_rows)));
        let engine = Arc::new(Engine::new(parts).with_stand_ins(source.clone(), vendor.clone()));
        Self { engine, source, vendor, shutdown, _folder: folder }
    }

    /// Goes on with the sync changed, as after a restart.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut SyncSpec)) {
        let old = &self.engine.parts;
        let mut specs = old.specs.clone();
        change(&mut specs.syncs[0]);
        let parts = EngineParts {
            specs,
            scheduler: SchedulerSettings { max_runs: 2, workers_per_run: 1 },
            state: old.state.clone(),
            secrets: Arc::new(NoSecrets),
            spool_dir: old.spool_dir.clone(),
            clock: old.clock.clone(),
            shutdown: self.shutdown.clone(),
        };
        self.engine = Arc::new(Engine::new(parts).with_stand_ins(self.source.clone(), self.vendor.clone()));
    }

    /// Runs once over these rows. The counts always add up.
    pub(crate) async fn run(&self, rows: &[Row]) -> RunReport {
        self.source.set(rows);
        let report = self.engine.run_sync("s", Trigger::Command).await;
        report.counts.check().unwrap();
        report
    }

    /// As [`Kit::run`], which must end well.
    pub(crate) async fn run_ok(&self, rows: &[Row]) -> RunReport {
        let report = self.run(rows).await;
        assert_eq!(report.status, RunStatus::Ok, "{report:?}");
        report
    }

    /// Runs until a request hangs, then forgets the run, as a crash does.
    pub(crate) async fn crash(&self, rows: &[Row]) {
        self.source.set(rows);
        tokio::select! {
            report = self.engine.run_sync("s", Trigger::Command) => panic!("the run ended: {report:?}"),
            () = self.vendor.hanging.notified() => {}
        }
    }

    /// Runs until nothing is left to do once the late window is over, and checks that every record is there.
    pub(crate) async fn converges(&self, rows: &[Row]) {
        advance(Duration::from_secs(200)).await;
        self.run(rows).await;
        let mut wanted: Vec<_> = rows.iter().map(|row| (row.email.clone(), row.name.clone())).collect();
        wanted.sort();
        assert_eq!(self.vendor.records(), wanted);
        let report = self.run(rows).await;
        assert_eq!(report.counts.unchanged, rows.len() as u64, "{report:?}");
    }
}

/// Moves tokio's clock, which the engine's wall clock follows.
pub(crate) async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn field(name: &str) -> FieldSpec {
    let source = FieldSource::Column { column: name.to_owned(), cast: None };
    FieldSpec { name: name.to_owned(), source, when_null: WhenNull::Skip }
}

fn sync() -> SyncSpec {
    SyncSpec {
        mode: Mode::Mirror,
        match_fields: vec!["email".to_owned()],
        on_removed: OnRemoved::Delete,
        first_run: FirstRun::Backfill,
        schedule: Schedule::Manual,
        guard: GuardSpec { stop_on_empty: false, ..GuardSpec::default() },
        fields: vec![field("email"), field("name")],
        late_window: Some(Duration::from_secs(100)),
        ..SyncSpec::new("s", "m", "d", "contacts")
    }
}

fn specs(sync: SyncSpec) -> Specs {
    let http = HttpSpec { batch_size: 10, ..HttpSpec::new("/") };
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
            ..DestinationSpec::new("d", VendorSpec::Http(Box::new(http)))
        }],
        syncs: vec![sync],
    }
}
