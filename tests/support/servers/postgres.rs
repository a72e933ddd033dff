//! PostgreSQL: `SYNCLINE_TEST_POSTGRES_URL`, or local server programs, or those that `apt-get` brings.

use std::{
    env,
    path::PathBuf,
    process::Command,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};

use super::{
    pgbouncer,
    supervised::{self, Supervised, free_port, install},
};

const VARIABLE: &str = "SYNCLINE_TEST_POSTGRES_URL";

/// Writing to a test process that is already gone must not keep the shell from cleaning up, hence the `trap`. Then takes
/// the orders `stop MODE` and `start`.
const SCRIPT: &str = r#"
trap '' PIPE
OPTIONS="-p $PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c full_page_writes=off \
  -c synchronous_commit=$COMMIT -c max_connections=400 -c shared_buffers=64MB"
start() { "$BIN/pg_ctl" -D "$DIR/data" -w -t 120 -l "$DIR/log" -o "$OPTIONS" start >/dev/null 2>&1; }
stop() { "$BIN/pg_ctl" -D "$DIR/data" -w -t 120 -m "$1" stop >/dev/null 2>&1; }
"$BIN/initdb" -D "$DIR/data" -U syncline --auth=trust --encoding=UTF8 --no-locale --no-sync >"$DIR/log" 2>&1 &&
start && echo ready && while read -r order; do $order && echo done || echo failed; done || cat "$DIR/log" >&2
stop immediate
rm -rf "$DIR"
"#;

/// A server, and what keeps it running.
struct Server {
    /// URL of its maintenance database.
    url: String,
    _process: Option<Supervised>,
}

/// A database of one test.
pub(crate) struct TestDatabase {
    /// `postgres://…`.
    pub(crate) url: String,
}

/// A new, empty database on the tests' PostgreSQL server, which is started with the first call.
pub(crate) async fn postgres() -> TestDatabase {
    postgres_with("").await
}

/// The same with options of `create database`, such as `encoding 'LATIN1' template template0`.
pub(crate) async fn postgres_with(options: &str) -> TestDatabase {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("syncline_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    create(&SERVER.get_or_init(server).url, &name, options).await
}

/// A new, empty database on the server of this maintenance database.
async fn create(server: &str, name: &str, options: &str) -> TestDatabase {
    let maintenance = TestDatabase { url: server.to_owned() };
    maintenance.execute(&format!("create database {name} {options}")).await;
    let mut url = url::Url::parse(server).expect("the server's URL is not one");
    url.set_path(name);
    TestDatabase { url: url.into() }
}

/// A server of its own, which can be stopped and started.
pub(crate) struct OwnServer {
    process: Supervised,
    /// Its maintenance database.
    pub(crate) database: TestDatabase,
}

impl OwnServer {
    /// A new one. What it has committed survives every stop.
    pub(crate) fn start_new() -> Self {
        let (url, process) = start("on");
        Self { process, database: TestDatabase { url } }
    }

    /// A new, empty database on it.
    pub(crate) async fn create(&self, name: &str) -> TestDatabase {
        create(&self.database.url, name, "").await
    }

    /// Stops and starts it; `mode` is that of the stop.
    pub(crate) fn restart(&mut self, mode: &str) {
        self.stop(mode);
        self.start();
    }

    /// Stops it; `mode` is `fast` or `immediate`.
    pub(crate) fn stop(&mut self, mode: &str) {
        self.process.order(&format!("stop {mode}")).expect("the server does not stop");
    }

    /// Starts it again at its old address.
    pub(crate) fn start(&mut self) {
        self.process.order("start").expect("the server does not start");
    }
}

impl TestDatabase {
    /// The same through a pooler that gives each transaction another connection to the server.
    pub(crate) fn through_pooler(&self) -> String {
        pgbouncer::through(&self.url)
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.url).expect("the database's URL is not one");
        options.connect().await.expect("the test server does not answer")
    }

    /// Runs statements on a connection of their own.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("a test's statement failed");
    }
}

fn server() -> Server {
    if let Ok(url) = env::var(VARIABLE) {
        return Server { url, _process: None };
    }
    let (url, process) = start("off");
    Server { url, _process: Some(process) }
}

/// Starts a server with this `synchronous_commit`; gives the URL of its maintenance database.
fn start(commit: &str) -> (String, Supervised) {
    let programs = programs().or_else(|| install(&["postgresql"]).and_then(|()| programs())).unwrap_or_else(|| {
        panic!(
            "tests need PostgreSQL: set {VARIABLE}, or install the server programs (`initdb` and `pg_ctl`, for example \
             `apt-get install postgresql`; looked in /usr/lib/postgresql/*/bin, `pg_config --bindir` and PATH)"
        )
    });
    let mut said = String::new();
    // Another process may take the port between looking and starting.
    for _ in 0..3 {
        let port = free_port();
        let variables =
            [("BIN", programs.display().to_string()), ("PORT", port.to_string()), ("COMMIT", commit.to_owned())];
        match supervised::start(SCRIPT, &variables, &["postgres", "nobody"]) {
            Ok(process) => {
                let url = format!("postgres://syncline@127.0.0.1:{port}/postgres?sslmode=disable");
                return (url, process);
            }
            Err(error) => said = error,
        }
    }
    panic!("PostgreSQL of {} does not start: {said}", programs.display());
}

/// The folder of the newest server programs.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort_by_key(|path| path.iter().nth(4).and_then(|name| name.to_str()?.parse::<u32>().ok()));
    folders.reverse();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    let complete = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file();
    folders.into_iter().find(complete)
}
