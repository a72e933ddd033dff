//! PgBouncer in front of the tests' PostgreSQL: a local program, or the one that `apt-get` brings.

use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::supervised::{self, Supervised, free_port, install};

/// Few connections to the server, dealt out in turn: whatever a transaction leaves behind, another client gets. Whoever a
/// client says it is, the server's own user is used.
const SCRIPT: &str = r#"
trap '' PIPE
cat >"$DIR/pgbouncer.ini" <<END
[databases]
* = $SERVER
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $PORT
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_round_robin = 1
max_client_conn = 1000
END
"$BOUNCER" "$DIR/pgbouncer.ini" >"$DIR/log" 2>&1 </dev/null &
server=$!
tries=0
until grep -q 'process up' "$DIR/log" || ! kill -0 $server 2>/dev/null || [ $tries -ge 600 ]; do
  tries=$((tries + 1)); sleep 0.1
done
if kill -0 $server 2>/dev/null; then echo ready && cat >/dev/null; else cat "$DIR/log" >&2; fi
kill -9 $server 2>/dev/null
wait $server 2>/dev/null
rm -rf "$DIR"
"#;

/// A pooler, and what keeps it running.
struct Pooler {
    port: u16,
    _process: Supervised,
}

/// The URL of a database of the tests' server, through a pooler in transaction mode, which is started with the first call.
pub(super) fn through(url: &str) -> String {
    static POOLER: OnceLock<Pooler> = OnceLock::new();
    let mut url = url::Url::parse(url).expect("the database's URL is not one");
    let port = POOLER.get_or_init(|| start(&url)).port;
    let there = url.set_host(Some("127.0.0.1")).is_ok() && url.set_port(Some(port)).is_ok();
    assert!(there, "the database's URL has a host");
    url.into()
}

fn start(server: &url::Url) -> Pooler {
    let program = program().or_else(|| install(&["pgbouncer"]).and_then(|()| program())).unwrap_or_else(|| {
        panic!("this test needs PgBouncer: `pgbouncer` in /usr/sbin or PATH, for example `apt-get install pgbouncer`")
    });
    let mut address = format!("host={} port={}", server.host_str().unwrap_or_default(), server.port().unwrap_or(5432));
    address += &format!(" user={}", server.username());
    address += &server.password().map(|password| format!(" password={password}")).unwrap_or_default();
    let mut said = String::new();
    // Another process may take the port between looking and starting.
    for _ in 0..3 {
        let port = free_port();
        let variables =
            [("BOUNCER", program.display().to_string()), ("SERVER", address.clone()), ("PORT", port.to_string())];
        match supervised::start(SCRIPT, &variables, &["postgres", "nobody"]) {
            Ok(process) => return Pooler { port, _process: process },
            Err(error) => said = error,
        }
    }
    panic!("{} does not start: {said}", program.display());
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [PathBuf::from("/usr/sbin")].into_iter().chain(env::split_paths(&path));
    folders.map(|folder| folder.join("pgbouncer")).find(|path| Path::is_file(path))
}
