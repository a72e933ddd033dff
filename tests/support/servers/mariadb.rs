//! MariaDB: `SYNCLINE_TEST_MYSQL_URL`, or local server programs, or those that `apt-get` brings.

use std::{
    env,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, ConnectOptions, MySqlConnection, mysql::MySqlConnectOptions};

use super::supervised::{self, Supervised, free_port, install};

const VARIABLE: &str = "SYNCLINE_TEST_MYSQL_URL";

/// Writing to a test process that is already gone must not keep the shell from cleaning up, hence the `trap`. The server
/// says that it is ready in its log; with `skip-grant-tables` there would be no rights to test.
const SCRIPT: &str = r#"
trap '' PIPE
"$INSTALL" --no-defaults --datadir="$DIR/data" --auth-root-authentication-method=normal --skip-test-db \
  >"$DIR/install.log" 2>&1 || { cat "$DIR/install.log" >&2; rm -rf "$DIR"; exit 1; }
"$SERVER" --no-defaults --datadir="$DIR/data" --port="$PORT" --bind-address=127.0.0.1 --socket="$DIR/socket" \
  --pid-file="$DIR/pid" --skip-name-resolve --performance-schema=OFF --max-connections=200 \
  --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync \
  --innodb-doublewrite=0 --innodb-fast-shutdown=2 --character-set-server=utf8mb4 >"$DIR/log" 2>&1 </dev/null &
server=$!
tries=0
until grep -q 'ready for connections' "$DIR/log" || ! kill -0 $server 2>/dev/null || [ $tries -ge 1200 ]; do
  tries=$((tries + 1)); sleep 0.1
done
if grep -q 'ready for connections' "$DIR/log"; then echo ready && cat >/dev/null; else cat "$DIR/log" >&2; fi
kill -9 $server 2>/dev/null
wait $server 2>/dev/null
rm -rf "$DIR"
"#;

/// A server, and what keeps it running.
struct Server {
    /// URL of its maintenance database.
    url: String,
    _process: Option<Supervised>,
}

/// A database of one test.
pub(crate) struct MariaDatabase {
    /// `mysql://…`.
    pub(crate) url: String,
}

/// A new, empty database on the tests' MariaDB server, which is started with the first call.
pub(crate) async fn mariadb() -> MariaDatabase {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(server);
    let name = format!("syncline_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let maintenance = MariaDatabase { url: server.url.clone() };
    maintenance.execute(&format!("create database {name} character set utf8mb4")).await;
    let mut url = url::Url::parse(&server.url).expect("the server's URL is not one");
    url.set_path(&name);
    MariaDatabase { url: url.into() }
}

impl MariaDatabase {
    /// A connection of its own.
    pub(crate) async fn connect(&self) -> MySqlConnection {
        let options = MySqlConnectOptions::from_str(&self.url).expect("the database's URL is not one");
        options.connect().await.expect("the test server does not answer")
    }

    /// Runs statements on a connection of their own, in no strict mode: what old tables hold can be written.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await;
        let sql = format!("set session sql_mode = 'ALLOW_INVALID_DATES'; set session time_zone = '+00:00'; {sql}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("a test's statement failed");
    }
}

fn server() -> Server {
    if let Ok(url) = env::var(VARIABLE) {
        return Server { url, _process: None };
    }
    let programs = programs().or_else(|| install(&["mariadb-server"]).and_then(|()| programs())).unwrap_or_else(|| {
        panic!(
            "tests need MariaDB: set {VARIABLE}, or install the server programs (`mariadbd` and `mariadb-install-db`, for \
             example `apt-get install mariadb-server`; looked in /usr/sbin, /usr/bin and PATH)"
        )
    });
    let mut said = String::new();
    // Another process may take the port between looking and starting.
    for _ in 0..3 {
        let port = free_port();
        let variables = [
            ("SERVER", programs.server.display().to_string()),
            ("INSTALL", programs.install.display().to_string()),
            ("PORT", port.to_string()),
        ];
        match supervised::start(SCRIPT, &variables, &["mysql", "nobody"]) {
            Ok(process) => {
                let url = format!("mysql://root@127.0.0.1:{port}/mysql?ssl-mode=DISABLED");
                return Server { url, _process: Some(process) };
            }
            Err(error) => said = error,
        }
    }
    panic!("{} does not start: {said}", programs.server.display());
}

struct Programs {
    server: PathBuf,
    install: PathBuf,
}

fn programs() -> Option<Programs> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        ["/usr/sbin", "/usr/bin"].map(PathBuf::from).into_iter().chain(env::split_paths(&path)).collect();
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path: &PathBuf| Path::is_file(path));
    Some(Programs { server: find("mariadbd")?, install: find("mariadb-install-db")? })
}
