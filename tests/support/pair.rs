//! A workspace with one sync of a table to a simulated vendor, and the questions that the tests ask of both.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{Finished, Sim, TOKEN, TestDatabase, Workspace, postgres};

/// The sync's name.
pub(crate) const SYNC: &str = "rows-to-crm";
/// Longest wait until nothing waits any more: an intent's life, a late window, and slow machines.
const PATIENCE: Duration = Duration::from_secs(240);

/// What differs between the tests' configurations.
pub(crate) struct Options<'a> {
    /// `hubspot` or `http`.
    pub(crate) vendor: &'a str,
    /// Further arguments of the simulator.
    pub(crate) simulator: &'a [&'a str],
    /// After an ambiguous send, other changes wait so long.
    pub(crate) late_window: &'a str,
    /// Further lines of the sync.
    pub(crate) settings: &'a str,
    /// `[sources.warehouse]`, when it is not the workspace's SQLite file.
    pub(crate) source: &'a str,
    /// The value of `WAREHOUSE_URL`.
    pub(crate) warehouse_url: &'a str,
    /// The database that the state is in; empty: the workspace's SQLite file.
    pub(crate) state_url: &'a str,
    /// How often the daemon runs the sync.
    pub(crate) every: &'a str,
    /// `lease` of a state in a database.
    pub(crate) lease: &'a str,
    /// The model's query.
    pub(crate) query: &'a str,
    /// How long an answer is waited for.
    pub(crate) request_timeout: &'a str,
    /// Requests that the vendor takes in a time such as `2s`, which the configuration knows; HubSpot only.
    pub(crate) limit: Option<(u32, &'a str)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            vendor: "hubspot",
            simulator: &[],
            late_window: "3s",
            settings: "first_run = \"backfill\"",
            source: "type = \"sqlite\"\npath = \"warehouse.db\"",
            warehouse_url: "",
            state_url: "",
            every: "1s",
            lease: "2s",
            query: "select id, email, plan from m",
            request_timeout: "3s",
            limit: None,
        }
    }
}

/// Runs scenarios at once, because most of the time goes into waiting for intents and late windows to end.
pub(crate) fn side_by_side(scenarios: &[fn()]) {
    std::thread::scope(|scope| {
        for scenario in scenarios {
            scope.spawn(scenario);
        }
    });
}

/// A database of its own, for tests without a runtime.
pub(crate) fn database() -> TestDatabase {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    runtime.block_on(postgres())
}

/// A row of the model, or a record at the vendor: e-mail address and plan.
pub(crate) type Content = (String, String);

/// A live record at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The vendor's id.
    pub(crate) id: String,
    /// The model's key that was written to it.
    pub(crate) model_id: String,
    /// E-mail address and plan.
    pub(crate) content: Content,
}

/// A workspace and the simulator that its sync writes to.
pub(crate) struct Pair {
    /// The workspace.
    pub(crate) workspace: Workspace,
    /// The simulator.
    pub(crate) sim: Sim,
    object: &'static str,
}

impl Pair {
    /// Both, with a model `m (id, email, plan)` that the caller fills.
    pub(crate) fn new(options: &Options<'_>) -> Self {
        let hubspot = options.vendor == "hubspot";
        let limit = options.limit.map_or_else(|| "none".to_owned(), |(requests, per)| format!("{requests}/{per}"));
        let own: &[&str] = if hubspot {
            &["--property", "plan:string", "--property", "model_id:string", "--limit", &limit]
        } else {
            &["--key-pointer", "/model_id"]
        };
        let sim = Sim::start(options.vendor, &[own, options.simulator].concat());
        let mut workspace = Workspace::new();
        workspace.variable("CRM_TOKEN", TOKEN);
        workspace.variable("WAREHOUSE_URL", options.warehouse_url);
        workspace.variable("STATE_URL", options.state_url);
        workspace.variable("STATE_KEY", &"k".repeat(64));
        workspace.write("config/syncline.toml", &configuration(&sim.url, options));
        Self { workspace, sim, object: if hubspot { "contacts" } else { "records" } }
    }

    /// The same with these rows in its SQLite file.
    pub(crate) fn with_rows(options: &Options<'_>, rows: &str) -> Self {
        let pair = Self::new(options);
        pair.sql(&format!(
            "create table m (id integer primary key, email text, plan text); insert into m values {rows};"
        ));
        pair
    }

    /// Another host with the same configuration.
    pub(crate) fn another_host(&self, options: &Options<'_>) -> Workspace {
        let mut workspace = Workspace::new();
        workspace.variable("CRM_TOKEN", TOKEN);
        workspace.variable("STATE_URL", options.state_url);
        workspace.variable("STATE_KEY", &"k".repeat(64));
        let warehouse = self.workspace.path("warehouse.db");
        let source = format!("path = \"{}\"", warehouse.display());
        let configuration = configuration(&self.sim.url, options).replace("path = \"warehouse.db\"", &source);
        workspace.write("config/syncline.toml", &configuration);
        workspace
    }

    /// Runs statements on the SQLite file.
    pub(crate) fn sql(&self, sql: &str) {
        self.workspace.sql(sql);
    }

    /// One run of the sync, which must end with this exit code.
    #[track_caller]
    pub(crate) fn sync(&self, code: i32) -> Counted {
        Counted(self.workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(code))
    }

    /// The same with options of the program before the command; how it ended, too.
    pub(crate) fn sync_with(&self, options: &[&str]) -> (Option<i32>, Counted) {
        let ended = self.workspace.syncline(&[options, &["sync", SYNC, "--output", "json"]].concat());
        (ended.code, Counted(ended))
    }

    /// Runs the daemon until a run ends in which nothing waits, and stops it.
    #[track_caller]
    pub(crate) fn settle(&self) {
        self.settle_with(&[]);
    }

    /// The same with further arguments of the daemon.
    #[track_caller]
    pub(crate) fn settle_with(&self, arguments: &[&str]) {
        if let Err(said) = self.settle_within(PATIENCE, arguments) {
            let last: Vec<&str> = said.lines().rev().take(3).collect();
            panic!("never quiet; the last lines: {last:#?}\n{}", self.rejected().stdout);
        }
    }

    /// The same with a time limit and further arguments of the daemon; what it said when that was not enough.
    pub(crate) fn settle_within(&self, patience: Duration, arguments: &[&str]) -> Result<(), String> {
        let daemon = self.workspace.start(&[arguments, &["run"]].concat());
        daemon.find_log(patience, is_quiet)?;
        daemon.terminate().expect(0);
        Ok(())
    }

    /// Asks the simulator until it holds what is wanted.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, wanted: impl Fn(&[Held]) -> bool) {
        let began = tokio::time::Instant::now();
        while !wanted(&self.live()) {
            assert!(began.elapsed() < PATIENCE, "the simulator never held {what}: {:?}", self.live());
        }
    }

    /// Live records in the order of their creation.
    #[track_caller]
    pub(crate) fn live(&self) -> Vec<Held> {
        self.records().iter().filter(|record| record["archived"] == false).map(held).collect()
    }

    /// The one live record of a key.
    #[track_caller]
    pub(crate) fn record_of(&self, model_id: u32) -> Held {
        let (model_id, live) = (model_id.to_string(), self.live());
        let mut of_key = live.iter().filter(|held| held.model_id == model_id);
        let (Some(only), None) = (of_key.next(), of_key.next()) else {
            panic!("got other than one record of key {model_id}: {live:?}")
        };
        only.clone()
    }

    /// Whether a record is archived.
    #[track_caller]
    pub(crate) fn is_archived(&self, id: &str) -> bool {
        self.records().iter().any(|record| record["id"] == id && record["archived"] == true)
    }

    /// Records that were ever made.
    #[track_caller]
    pub(crate) fn ever_made(&self) -> usize {
        self.records().len()
    }

    /// A number of the judge's report.
    #[track_caller]
    pub(crate) fn judged(&self, pointer: &str) -> u64 {
        let report = self.sim.get("report");
        report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no `{pointer}` in {report}"))
    }

    /// A number of `status`.
    #[track_caller]
    pub(crate) fn standing(&self, name: &str) -> u64 {
        let status = self.workspace.syncline(&["status", "--output", "json"]).expect(0).json();
        status["status"][0][name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {status}"))
    }

    /// `rejected --output json`.
    #[track_caller]
    pub(crate) fn rejected(&self) -> Finished {
        self.workspace.syncline(&["rejected", SYNC, "--output", "json"]).expect(0)
    }

    /// Compares the simulator with the model.
    #[track_caller]
    pub(crate) fn audit(&self, model: &BTreeMap<u32, Content>) -> Audit {
        let mut by_key: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for held in self.live() {
            by_key.entry(held.model_id.clone()).or_default().push(held);
        }
        let mut audit = Audit::default();
        for (key, content) in model {
            match by_key.remove(&key.to_string()).as_deref() {
                None | Some([]) => audit.missing += 1,
                Some([first, more @ ..]) => {
                    audit.wrong += u64::from(first.content != *content);
                    audit.orphans += more.len() as u64;
                }
            }
        }
        audit.orphans += by_key.values().map(|held| held.len() as u64).sum::<u64>();
        audit
    }

    /// Prints what became of the first rows that the vendor does not hold as the model has them.
    pub(crate) fn explain(&self, model: &BTreeMap<u32, Content>) {
        let (live, records) = (self.live(), self.records());
        let differs = |(key, content): &(&u32, &Content)| {
            !live.iter().any(|held| held.model_id == key.to_string() && held.content == **content)
        };
        for (key, content) in model.iter().filter(differs).take(5) {
            println!("row {key} {content:?} is not there as such; concerned are:");
            let concerned = |record: &&Value| {
                let held = held(record);
                held.model_id == key.to_string() || held.content.0 == content.0
            };
            for record in records.iter().filter(concerned) {
                let id = record["id"].as_str().unwrap_or_default();
                println!("  {record}\n    {}", self.sim.get(&format!("history/{}/{id}", self.object)));
            }
        }
    }

    #[track_caller]
    fn records(&self) -> Vec<Value> {
        let records = self.sim.get(&format!("records/{}", self.object));
        records.as_array().cloned().expect("a list of records")
    }
}

/// How the simulator differs from the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Records with another content.
    pub(crate) wrong: u64,
    /// Rows without a record.
    pub(crate) missing: u64,
    /// Live records of no row, or a second one of a row.
    pub(crate) orphans: u64,
}

/// The report of one run.
pub(crate) struct Counted(Finished);

impl Counted {
    /// A count of P6.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        let document = self.0.json();
        document["syncs"][0]["counts"][name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {document}"))
    }

    /// Several counts of P6, in this order.
    #[track_caller]
    pub(crate) fn counts<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        names.map(|name| self.count(name))
    }

    /// The run's id.
    #[track_caller]
    pub(crate) fn run(&self) -> i64 {
        self.0.json()["syncs"][0]["run"].as_i64().expect("a run")
    }
}

fn held(record: &Value) -> Held {
    let text = |name: &str| match &record["properties"][name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Held {
        id: record["id"].as_str().unwrap_or_default().to_owned(),
        model_id: text("model_id"),
        content: (text("email"), text("plan")),
    }
}

/// A log line that tells of a run with which everything is done.
pub(crate) fn is_quiet(line: &str) -> bool {
    let Ok(line) = serde_json::from_str::<Value>(line) else { return false };
    let fields = line.get("fields").unwrap_or(&line);
    let none = |name: &str| fields[name] == 0;
    fields["event"] == "run.finished" && fields["outcome"] == "ok" && none("waiting") && none("waiting_removals")
}

fn configuration(url: &str, options: &Options<'_>) -> String {
    let Options { vendor, late_window, settings, source, every, query, request_timeout, .. } = options;
    let state = if options.state_url.is_empty() {
        "url = \"sqlite://data/state.db\"".to_owned()
    } else {
        format!("url = {{ env = \"STATE_URL\" }}\nkey = {{ env = \"STATE_KEY\" }}\nlease = \"{}\"", options.lease)
    };
    let (requests, per) = options.limit.unwrap_or((10_000, "1s"));
    let limits = format!("limits = {{ requests = {requests}, per = \"{per}\" }}");
    let (object, match_field, own) = if *vendor == "hubspot" {
        ("contacts", "email", limits.as_str())
    } else {
        let own = "path = \"/v1/{object}\"\ndelete_path = \"/v1/{object}/{match}\"\nbatch_size = 10\n\
            envelope = \"records\"\nresults = { rows = \"/results\", key = \"/id\", status = \"/status\", success = [\"ok\"] }";
        ("records", "model_id", own)
    };
    format!(
        r#"
environment = "test"
[state]
{state}
[http]
listen = "off"
[scheduler]
workers_per_run = 2
[defaults]
schedule = {{ every = "{every}" }}
[sources.warehouse]
{source}
[models.rows]
source = "warehouse"
primary_key = "id"
sql = "{query}"
[destinations.crm]
type = "{vendor}"
token = {{ env = "CRM_TOKEN" }}
base_url = "{url}"
allow_private = ["127.0.0.1/32"]
request_timeout = "{request_timeout}"
{own}
[syncs.{SYNC}]
model = "rows"
destination = "crm"
object = "{object}"
match = "{match_field}"
mode = "mirror"
late_window = "{late_window}"
guard = {{ max_removed = "100%", max_changed = "100%", max_added = "100%" }}
{settings}
[syncs.{SYNC}.fields]
model_id = "id"
email = "email"
plan = "plan"
"#
    )
}
