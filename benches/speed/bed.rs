//! A workspace with a warehouse, a destination that is the sink, and the real program in it.

use serde_json::{Value, json};

use crate::{
    customers::Dialect,
    sample::{Sample, measure},
    sink::Sink,
    support::{MariaDatabase, TOKEN, TestDatabase, Workspace, mariadb, postgres},
    wait,
};

/// The sync of [`Bed::customers`].
pub(crate) const SYNC: &str = "customers-to-crm";

/// Where models are read from.
pub(crate) enum Warehouse {
    Sqlite,
    Postgres(TestDatabase),
    MariaDb(MariaDatabase),
}

/// What a group works with.
pub(crate) struct Bed {
    pub(crate) workspace: Workspace,
    pub(crate) warehouse: Warehouse,
    pub(crate) sink: Sink,
}

impl Warehouse {
    /// A new database on the tests' PostgreSQL. Sorting and compiling are as in a warehouse that is set up for it, for
    /// whoever connects.
    pub(crate) fn postgres() -> Self {
        let database = wait(postgres());
        let name = database.url.rsplit('/').next().and_then(|path| path.split('?').next()).expect("a name");
        let settings = format!("alter database {name} set jit = off; alter database {name} set work_mem = '256MB'");
        wait(database.execute(&settings));
        Self::Postgres(database)
    }

    /// A new database on the tests' MariaDB.
    pub(crate) fn mariadb() -> Self {
        Self::MariaDb(wait(mariadb()))
    }

    /// Its dialect.
    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::MariaDb(_) => Dialect::MariaDb,
        }
    }

    const fn source(&self) -> &'static str {
        match self {
            Self::Sqlite => "type = \"sqlite\"\npath = \"warehouse.db\"",
            Self::Postgres(_) => "type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }",
            Self::MariaDb(_) => "type = \"mysql\"\nurl = { env = \"WAREHOUSE_URL\" }",
        }
    }
}

impl Bed {
    /// A bed whose configuration is `body` after what all share; in it `URL` stands for the sink's address.
    pub(crate) fn new(warehouse: Warehouse, body: &str) -> Self {
        let bed = Self { workspace: Workspace::new(), warehouse, sink: Sink::start() };
        bed.configured(body)
    }

    fn configured(mut self, body: &str) -> Self {
        let url = self.url();
        self.workspace.variable("CRM_TOKEN", TOKEN);
        self.workspace.variable("WAREHOUSE_URL", &url);
        self.configure(&body.replace("URL", &self.sink.url));
        self
    }

    /// Writes the configuration again.
    pub(crate) fn configure(&self, body: &str) {
        let text = format!(
            r#"environment = "bench"
[state]
url = "sqlite://data/state.db"
[http]
listen = "off"
[scheduler]
max_runs = 8
workers_per_run = 8
[defaults]
schedule = "manual"
first_run = "backfill"
guard = {{ max_changed = "100%", max_added = "100%" }}
[sources.warehouse]
{}
{body}"#,
            self.warehouse.source()
        );
        self.workspace.write("config/syncline.toml", &text);
    }

    /// `customers` with so many rows, mirrored to the sink as HubSpot contacts with 20 properties.
    pub(crate) fn customers(warehouse: Warehouse, rows: u64) -> Self {
        let bed = Self::new(warehouse, &format!("{DESTINATION}{}", mirror(SYNC, "customers")));
        eprintln!("  making {rows} rows");
        bed.sql(&bed.warehouse.dialect().create(rows));
        bed
    }

    /// Runs statements on the warehouse.
    pub(crate) fn sql(&self, sql: &str) {
        match &self.warehouse {
            Warehouse::Sqlite => self.workspace.sql(sql),
            // One by one: several in one message would be one transaction, in which nothing can be vacuumed.
            Warehouse::Postgres(database) => sql.split(';').for_each(|sql| wait(database.execute(sql))),
            Warehouse::MariaDb(database) => {
                wait(database.execute(&format!("set session sql_mode = 'PIPES_AS_CONCAT'; {sql}")));
            }
        }
    }

    /// The warehouse's address, as drivers understand it.
    pub(crate) fn url(&self) -> String {
        match &self.warehouse {
            Warehouse::Sqlite => format!("sqlite://{}", self.workspace.path("warehouse.db").display()),
            Warehouse::Postgres(database) => database.url.clone(),
            Warehouse::MariaDb(database) => database.url.clone(),
        }
    }

    /// Measures `syncline sync NAME…`, process start included; every run must end `ok`.
    #[track_caller]
    pub(crate) fn sync(&self, names: &[&str]) -> Run {
        let command = self.workspace.command(&[&["--output", "json", "sync"], names].concat());
        let sample = measure(command, false);
        let answer: Value = serde_json::from_str(&sample.stdout).expect("JSON");
        let reports = answer["syncs"].as_array().cloned().expect("reports");
        assert_eq!(reports.len(), names.len(), "{answer}");
        assert!(reports.iter().all(|report| report["status"] == "ok"), "{answer}");
        Run { sample, reports }
    }

    /// The first run: everything is delivered, each row once.
    #[track_caller]
    pub(crate) fn backfill(&self, name: &str, rows: u64) -> Run {
        self.sink.reset();
        let run = self.sync(&[name]);
        assert_eq!((run.count("added"), run.count("delivered")), (rows, rows), "{}", run.reports[0]);
        assert_eq!((self.sink.count("rows"), self.sink.count("distinct")), (rows, rows), "the sink's counts");
        run
    }

    /// A run in which nothing has changed and nothing is sent.
    #[track_caller]
    pub(crate) fn idle(&self, name: &str, rows: u64) -> Run {
        self.sink.reset();
        let run = self.sync(&[name]);
        assert_eq!((run.count("read"), run.count("unchanged")), (rows, rows), "{}", run.reports[0]);
        assert_eq!(self.sink.count("rows"), 0);
        run
    }

    /// Removes the state, as if nothing had ever run.
    pub(crate) fn forget(&self) {
        let data = self.workspace.path("data");
        if data.exists() {
            std::fs::remove_dir_all(data).expect("the state cannot be removed");
        }
    }

    /// Bytes of the state's files.
    pub(crate) fn state_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.workspace.path("data")).expect("a state");
        let sizes = files.map(|file| file.expect("a file"));
        let of_state = sizes.filter(|file| file.file_name().to_string_lossy().starts_with("state.db"));
        of_state.map(|file| file.metadata().expect("a size").len()).sum()
    }
}

/// Runs of one process.
pub(crate) struct Run {
    /// The process.
    pub(crate) sample: Sample,
    /// Its reports.
    pub(crate) reports: Vec<Value>,
}

impl Run {
    /// A count of the first report.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.reports[0]["counts"][name].as_u64().unwrap_or_else(|| panic!("no count `{name}` in {}", self.reports[0]))
    }

    /// Where the time of the first run went.
    pub(crate) fn durations(&self) -> Value {
        json!({ "durations": self.reports[0]["durations"], "wall_s": self.sample.wall, "cpu_s": self.sample.cpu })
    }
}

/// The sink as HubSpot.
pub(crate) const DESTINATION: &str = r#"
[destinations.crm]
type = "hubspot"
token = { env = "CRM_TOKEN" }
base_url = "URL"
allow_private = ["127.0.0.1/32"]
limits = { requests = 1_000_000, per = "10s" }
"#;

/// A sync that mirrors a table with the columns of `customers`: each column as it is, the key aside.
pub(crate) fn mirror(name: &str, table: &str) -> String {
    format!(
        r#"
[models.{name}]
source = "warehouse"
primary_key = "id"
table = "{table}"
[syncs.{name}]
model = "{name}"
destination = "crm"
object = "contacts"
match = "email"
mode = "mirror"
[syncs.{name}.fields]
email = "email"
"*" = {{ except = ["id"] }}
"#
    )
}
