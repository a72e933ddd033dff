//! A workspace, its warehouse and the simulator that its syncs write to.

use std::future::Future;

use serde_json::Value;

use super::report::Report;
use crate::support::{MariaDatabase, Running, Sim, TOKEN, TestDatabase, Workspace, mariadb, postgres};

/// Runs the scenarios of a database server on MariaDB (`mariadb`) instead of PostgreSQL.
const SOURCE: &str = "SYNCLINE_TEST_SOURCE";
/// Keeps the state of every scenario on PostgreSQL (`postgres`) instead of in an SQLite file.
const STATE: &str = "SYNCLINE_TEST_STATE";
/// An installation key of a test.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Where models are read from.
pub(super) enum Warehouse {
    Sqlite,
    Postgres(TestDatabase),
    MariaDb(MariaDatabase),
}

/// Where the state is kept.
pub(super) enum Store {
    Sqlite,
    Postgres(TestDatabase),
}

/// What one test works with.
pub(super) struct World {
    pub(super) workspace: Workspace,
    pub(super) sim: Sim,
    warehouse: Warehouse,
    store: Store,
}

impl Warehouse {
    /// A new, empty PostgreSQL database.
    pub(super) fn postgres() -> Self {
        Self::Postgres(wait(postgres()))
    }

    /// A new, empty MariaDB database.
    pub(super) fn mariadb() -> Self {
        Self::MariaDb(wait(mariadb()))
    }

    /// A new, empty database of the server that the environment asks for.
    pub(super) fn server() -> Self {
        if std::env::var(SOURCE).is_ok_and(|source| source == "mariadb") { Self::mariadb() } else { Self::postgres() }
    }

    /// The address of a server's database.
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Sqlite => "",
            Self::Postgres(database) => &database.url,
            Self::MariaDb(database) => &database.url,
        }
    }

    fn source(&self) -> &'static str {
        match self {
            Self::Sqlite => "type = \"sqlite\"\npath = \"warehouse.db\"",
            Self::Postgres(_) => "type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }",
            Self::MariaDb(_) => "type = \"mysql\"\nurl = { env = \"WAREHOUSE_URL\" }",
        }
    }
}

impl Store {
    /// A new, empty PostgreSQL database.
    pub(super) fn postgres() -> Self {
        Self::Postgres(wait(postgres()))
    }

    /// The store that the environment asks for.
    pub(super) fn asked_for() -> Self {
        if std::env::var(STATE).is_ok_and(|state| state == "postgres") { Self::postgres() } else { Self::Sqlite }
    }

    fn settings(&self) -> &'static str {
        match self {
            Self::Sqlite => "url = \"sqlite://data/state.db\"",
            Self::Postgres(_) => "url = { env = \"STATE_URL\" }\nkey = { env = \"STATE_KEY\" }\nlease = \"3s\"",
        }
    }
}

impl World {
    /// A world whose configuration is `body` after what all share. In `body`, `URL` stands for the simulator's address.
    pub(super) fn new(warehouse: Warehouse, sim: Sim, body: &str) -> Self {
        Self::on(warehouse, Store::asked_for(), sim, body)
    }

    /// The same with its state in this store.
    pub(super) fn on(warehouse: Warehouse, store: Store, sim: Sim, body: &str) -> Self {
        let mut workspace = Workspace::new();
        workspace.variable("CRM_TOKEN", TOKEN);
        workspace.variable("WAREHOUSE_URL", warehouse.url());
        if let Store::Postgres(database) = &store {
            workspace.variable("STATE_URL", &database.url);
            workspace.variable("STATE_KEY", KEY);
        }
        let world = Self { workspace, sim, warehouse, store };
        world.configure(body);
        world
    }

    /// Writes the configuration again.
    pub(super) fn configure(&self, body: &str) {
        let text = format!(
            "environment = \"test\"\n[state]\n{}\n[http]\nlisten = \"off\"\n\
             [defaults]\nschedule = \"manual\"\n[sources.warehouse]\n{}\n{}",
            self.store.settings(),
            self.warehouse.source(),
            body.replace("URL", &self.sim.url)
        );
        self.workspace.write("config/syncline.toml", &text);
    }

    /// A workspace of another host with the same configuration, on the same state and the same SQLite warehouse.
    pub(super) fn another_host(&self) -> Workspace {
        let mut workspace = Workspace::new();
        workspace.variable("CRM_TOKEN", TOKEN);
        if let Store::Postgres(database) = &self.store {
            workspace.variable("STATE_URL", &database.url);
            workspace.variable("STATE_KEY", KEY);
        }
        let text = std::fs::read_to_string(self.workspace.path("config/syncline.toml")).expect("a configuration");
        let warehouse = self.workspace.path("warehouse.db").display().to_string();
        workspace.write("config/syncline.toml", &text.replace("warehouse.db", &warehouse));
        workspace
    }

    /// Runs statements on the warehouse.
    pub(super) fn sql(&self, sql: &str) {
        match &self.warehouse {
            Warehouse::Sqlite => self.workspace.sql(sql),
            Warehouse::Postgres(database) => wait(database.execute(sql)),
            // So that `||` joins texts there too.
            Warehouse::MariaDb(database) => {
                wait(database.execute(&format!("set session sql_mode = 'PIPES_AS_CONCAT'; {sql}")));
            }
        }
    }

    /// A table of the numbers `i` from `first` to `last`, for a server.
    pub(super) fn series(&self, first: u64, last: u64) -> String {
        match self.warehouse {
            Warehouse::MariaDb(_) => format!("(select cast(seq as signed) as i from seq_{first}_to_{last}) as s"),
            Warehouse::Sqlite | Warehouse::Postgres(_) => format!("generate_series({first}, {last}) as s(i)"),
        }
    }

    /// `sync NAME`, here or by the daemon that runs; must end with `code`.
    #[track_caller]
    pub(super) fn sync(&self, name: &str, code: i32) -> Report {
        let finished = self.workspace.syncline(&["sync", name, "--output", "json"]).expect(code);
        let report = Report::new(&finished.json()["syncs"][0]);
        println!("  {name}: {report}");
        report
    }

    /// The daemon, once it schedules.
    pub(super) fn daemon(&self) -> Running {
        let daemon = self.workspace.start(&["run"]);
        daemon.wait_for_log("scheduler.started");
        daemon
    }

    /// Every run so far, the newest first.
    #[track_caller]
    pub(super) fn runs(&self) -> Vec<Report> {
        let runs = self.workspace.syncline(&["runs", "--limit", "1000", "--output", "json"]).expect(0).json();
        runs["runs"].as_array().expect("a list").iter().map(Report::new).collect()
    }

    /// The line of a sync in `status`.
    #[track_caller]
    pub(super) fn status(&self, name: &str) -> Value {
        let status = self.workspace.syncline(&["status", "--output", "json"]).expect(0).json();
        let found = status["status"].as_array().into_iter().flatten().find(|line| line["sync"] == name).cloned();
        found.unwrap_or_else(|| panic!("no `{name}` in {status}"))
    }

    /// All records of an object in the simulator, read in pages.
    pub(super) fn records(&self, object: &str) -> Vec<Value> {
        const PAGE: usize = 5_000;
        let mut records = Vec::new();
        loop {
            let page = self.sim.get(&format!("records/{object}?offset={}&limit={PAGE}", records.len()));
            let page = page.as_array().expect("a list").clone();
            let last = page.len() < PAGE;
            records.extend(page);
            if last {
                return records;
            }
        }
    }

    /// How many records of an object are live.
    pub(super) fn live(&self, object: &str) -> u64 {
        self.judged(&format!("/objects/{object}/live"))
    }

    /// A number of the judge's report.
    #[track_caller]
    pub(super) fn judged(&self, pointer: &str) -> u64 {
        let report = self.sim.get("report");
        report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {report}"))
    }

    /// Forgets the requests seen so far, runs a sync and tells how many requests it made.
    #[track_caller]
    pub(super) fn sync_counted(&self, name: &str, code: i32) -> (Report, u64) {
        self.sim.post("reset-requests", "");
        let report = self.sync(name, code);
        (report, self.sim.requests())
    }

    /// Waits until so many requests have arrived since the last reset.
    #[track_caller]
    pub(super) fn wait_for_requests(&self, requests: u64) {
        let patient = (0..4).any(|_| self.sim.get(&format!("wait?requests={requests}"))["reached"] == true);
        assert!(patient, "{requests} requests never came");
    }

    /// When the latest requests arrived, for a test that fails.
    fn arrivals(&self) -> String {
        let requests = self.sim.get("requests?limit=200");
        let line = |request: &Value| {
            let millis = request["arrival_us"].as_u64().unwrap_or_default() as f64 / 1000.0;
            format!("\n{millis:.1} ms {} {}", request["path"], request["status"])
        };
        requests.as_array().into_iter().flatten().map(line).collect()
    }

    /// The quota's side of the judge: the fullest window, refusals and overlaps of one key. None may be beyond the rules.
    #[track_caller]
    pub(super) fn assert_polite(&self, limit: u64) {
        let fullest = self.judged("/windows/0/max_arrived");
        let too_many = self.judged("/requests/too_many");
        let overlaps = self.judged("/overlap/identical") + self.judged("/overlap/different");
        println!("  fullest window: {fullest} of {limit}; 429s: {too_many}; overlaps of one key: {overlaps}");
        assert!(fullest <= limit, "{fullest} requests in one window of {limit}: {}", self.arrivals());
        assert_eq!((too_many, overlaps), (0, 0), "{}", self.arrivals());
    }
}

/// A number from the environment.
pub(super) fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.replace('_', "").parse().unwrap_or_else(|_| panic!("`{name}` is not a number")))
}

/// Waits for a future on this thread.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    runtime.block_on(future)
}

/// Time since the first call, for measuring spans.
pub(super) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
