//! F21: canaries in every secret and value; a vendor that echoes them, a daemon that panics at every boundary, the finest
//! log level. Nothing of them may stay anywhere.

use std::{fs, time::Duration};

use sqlx::Row as _;

use super::options;
use crate::{
    arguments::Arguments,
    report::Report,
    support::{
        Net, TOKEN, TestDatabase,
        pair::{Options, Pair, SYNC, database},
    },
};

/// Parts of every value of the model, of the warehouse's password, of the installation key and of the state's password.
const WORDS: [&str; 5] = ["canarymail", "canaryplan", "canarypassword", "canarykey", "canarystate"];
/// The first number of the model.
const NUMBER: i64 = 77_007_700_770_001;
const ROWS: u32 = 300;
/// Longest wait for a process.
const PATIENCE: Duration = Duration::from_secs(60);

/// Boundaries at which a process panics, and the command that reaches them.
const PANICS: &[&str] = &[
    "read-row",
    "read-end",
    "plan-done",
    "guard",
    "intent-before",
    "intent-after",
    "send-before",
    "send-after",
    "answer-parsed",
    "settle-before",
    "settle-inside",
    "settle-after",
    "reject-stored",
    "run-close",
];

/// State in SQLite, and in PostgreSQL.
pub(super) fn run(arguments: &Arguments) -> Report {
    let wanted = usize::try_from(arguments.number("panics", PANICS.len() as u64)).expect("fewer panics");
    let mut rng = fastrand::Rng::with_seed(arguments.seed());
    let mut boundaries = PANICS.to_vec();
    rng.shuffle(&mut boundaries);
    boundaries.truncate(wanted);
    let mut report = Report::new();
    for state in ["sqlite", "postgres"] {
        report.absorb(state, on(state, &boundaries, arguments));
    }
    report
}

fn on(state: &str, boundaries: &[&str], arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let mut net = Net::new(&WORDS, NUMBER);
    let stored = (state == "postgres").then(database);
    let stage = Stage::new(stored.as_ref(), options(arguments));
    everything(&stage, &mut net, &mut report);
    for (turn, boundary) in boundaries.iter().enumerate() {
        let panicked = panics_at(&stage, turn, boundary, &mut net);
        report.add("panics", u64::from(panicked));
        report.demand(panicked, format!("no panic was seen at `{boundary}`"));
    }
    daemon(&stage, &mut net, &mut report);
    net.folder(&stage.pair.workspace.path("data"));
    if let Some(database) = &stored {
        net.look("the state's tables", &wait(dump(database)));
    }
    report.figure("bytes_looked_at", net.looked());
    report.figure("hits", net.caught().len());
    net.caught().iter().for_each(|caught| report.breaks(caught.clone()));
    report
}

/// A pair whose every value and secret is a canary.
struct Stage<'a> {
    pair: Pair,
    warehouse: TestDatabase,
    /// Options of every command.
    broken: Vec<&'a str>,
}

impl<'a> Stage<'a> {
    fn new(stored: Option<&TestDatabase>, broken: Vec<&'a str>) -> Self {
        let warehouse = database();
        let url = with_password(&warehouse.url, "CanaryPassword");
        let state_url = stored.map(|database| with_password(&database.url, "CanaryState")).unwrap_or_default();
        let source = "type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }";
        let options = Options { source, warehouse_url: &url, state_url: &state_url, ..Options::default() };
        let mut pair = Pair::new(&options);
        pair.workspace.variable("SYNCLINE__LOG__LEVEL", "trace");
        pair.workspace.variable("STATE_KEY", &format!("CanaryKey{}", "k".repeat(55)));
        let stage = Self { pair, warehouse, broken };
        stage.sql(&format!(
            "create table m (id bigint, email text, plan text);
             insert into m select i, 'CanaryMail' || i || '@example.com', 'CanaryPlan ' || ({NUMBER} + i)
               from generate_series(1, {ROWS}) i;
             update m set email = 'CanaryMail without address' where id = 20;
             update m set email = 'canarymail30@example.com' where id = 31;
             update m set plan = repeat('CanaryPlan long ', 5000) where id = 50;
             insert into m select * from m where id = 60"
        ));
        stage
    }

    fn sql(&self, sql: &str) {
        wait(self.warehouse.execute(sql));
    }

    /// Runs a command and looks at what it said.
    fn command(&self, arguments: &[&str], net: &mut Net) -> Option<i32> {
        let finished = self.pair.workspace.syncline(&[&self.broken, arguments].concat());
        net.finished(&arguments.join(" "), &finished);
        finished.code
    }
}

/// The test server trusts everybody: the password only has to be kept.
fn with_password(url: &str, password: &str) -> String {
    url.replacen("syncline@", &format!("syncline:{password}@"), 1)
}

/// Everything that a person does, and every way in which it goes wrong.
fn everything(stage: &Stage<'_>, net: &mut Net, report: &mut Report) {
    let sim = &stage.pair.sim;
    sim.post("faults", &faults());
    let json = ["--output", "json"];
    for arguments in [&["validate"][..], &["check"], &["plan", SYNC], &["plan", SYNC, "--output", "json"]] {
        stage.command(arguments, net);
    }
    let code = stage.command(&[&["sync", SYNC][..], &json].concat(), net);
    report.demand(code == Some(3), format!("`sync` ended with {code:?}, expected rejected and invalid rows"));
    // A model whose error message quotes a value, and a refused token.
    stage.sql("alter table m rename to n; create view m as select id, email, (plan::int)::text as plan from n");
    let code = stage.command(&["sync", SYNC], net);
    report.demand(code == Some(1), format!("`sync` of a broken model ended with {code:?}"));
    stage.sql("drop view m; alter table n rename to m; update m set plan = plan || ' again' where id % 3 = 0");
    sim.post("faults", &format!("[{}]", echo(401, 1)));
    stage.command(&["sync", SYNC], net);
    sim.clear_faults();
    for arguments in [&["status"][..], &["runs"], &["rejected", SYNC], &["config", "show"]] {
        stage.command(arguments, net);
        stage.command(&[arguments, &json].concat(), net);
    }
}

/// A process that panics there; whether it did.
fn panics_at(stage: &Stage<'_>, turn: usize, boundary: &str, net: &mut Net) -> bool {
    let failpoint = format!("{boundary}=panic");
    // Rows of its own: those of earlier turns may wait for what is in doubt.
    stage.sql(&format!(
        "update m set plan = 'CanaryPlan of ' || id || clock_timestamp() where id / 10 % {} = {turn}",
        PANICS.len()
    ));
    // Rows to reject too.
    stage.pair.sim.post("faults", &format!("[{}]", reject()));
    let running = stage.pair.workspace.start(&["--failpoint", &failpoint, "sync", SYNC]);
    if !running.ends_within(PATIENCE) {
        running.signal("KILL");
    }
    let finished = running.wait();
    net.finished(&failpoint, &finished);
    stage.pair.sim.clear_faults();
    finished.stderr.contains("was told to panic") || finished.stderr.contains("panicked")
}

/// The daemon meets echoes as well; while it is open its write-ahead log is there too.
fn daemon(stage: &Stage<'_>, net: &mut Net, report: &mut Report) {
    stage.sql("update m set plan = plan || ' once more' where id % 3 = 0; delete from m where id % 50 = 7");
    stage.pair.sim.post("faults", &format!("[{}]", [echo(500, 1), echo(400, 3), DROPPED.to_owned()].join(",")));
    let daemon = stage.pair.workspace.start(&["run"]);
    let finished = daemon.find_log(PATIENCE, |line| line.contains("run.finished"));
    report.demand(finished.is_ok(), "the daemon finished no run");
    let line = fs::read(format!("/proc/{}/cmdline", daemon.id())).expect("a process");
    net.look("the daemon's command line", &line);
    net.folder(&stage.pair.workspace.path("data"));
    let ended = daemon.terminate();
    report.demand(ended.stderr.contains("request.ended"), "the log is not at its finest level");
    net.finished("run", &ended);
}

/// The answer is lost after the request was applied.
const DROPPED: &str = r#"{"match": {"method": "POST", "nth": 5}, "action": "drop_answer"}"#;

fn reject() -> String {
    r#"{"match": {"row_key_contains": "9@example.com"},
        "action": {"reject_row": {"message": "{value} of {key} is not wanted, says CanaryMail9@example.com"}}}"#
        .to_owned()
}

/// Refusals of rows and of whole batches, all with values and the token in them.
fn faults() -> String {
    let poison = r#"{"match": {"property": {"name": "plan", "equals": "CanaryPlan 77007700770012"}},
        "action": "poison_batch"}"#;
    format!("[{}, {poison}, {}, {}, {DROPPED}]", reject(), echo(400, 2), echo(502, 4))
}

/// The `nth` write is answered with this status and an echo of everything.
fn echo(status: u16, nth: u64) -> String {
    format!(
        r#"{{"match": {{"method": "POST", "nth": {nth}}}, "action": {{"status": {{"code": {status},
            "headers": {{"x-echo": "{TOKEN}"}},
            "body": {{"status": "error", "category": "VALIDATION_ERROR", "correlationId": "CanaryMail",
                "message": "CanaryPlan {NUMBER}, canarymail3@example.com, token {TOKEN}",
                "errors": [{{"message": "CanaryPlan 3", "context": {{"propertyValue": ["CanaryMail3"]}}}}]}}}}}}}}"#
    )
}

/// Every column of every row of the state, as the server sends its bytes.
async fn dump(database: &TestDatabase) -> Vec<u8> {
    let mut connection = database.connect().await;
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'syncline'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.expect("the state's tables");
    let mut all = Vec::new();
    for table in tables {
        let sql = sqlx::AssertSqlSafe(format!("select * from {table}"));
        for row in sqlx::query(sql).fetch_all(&mut connection).await.expect("its rows") {
            for column in 0..row.len() {
                let value = row.try_get_raw(column).expect("a column");
                all.extend_from_slice(value.as_bytes().unwrap_or_default());
                all.push(0);
            }
        }
    }
    all
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    runtime.block_on(future)
}
