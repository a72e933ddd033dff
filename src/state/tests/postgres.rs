//! What only a database can do: be damaged from outside, be another one, or be gone.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::support::{Home, begin, key, member, overlay, put, settle, sync};
use crate::state::{Access, End, OpenOptions, State, StateError, compact};

/// Runs statements on a connection of their own.
pub(super) async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Runs statements about a database, `DB`, from another one.
pub(super) async fn maintain(url: &str, sql: &str) {
    let mut maintenance = url::Url::parse(url).unwrap();
    let database = maintenance.path().trim_start_matches('/').to_owned();
    maintenance.set_path("postgres");
    for sql in sql.split_inclusive(';') {
        execute(maintenance.as_str(), &sql.replace("DB", &database)).await;
    }
}

async fn written(home: &Home) -> crate::model::SyncId {
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let keys: Vec<_> = (0..300).map(key).collect();
    let batch = run.intend(&state, &keys).await;
    settle(&state, batch, keys.iter().map(|_| (vec![], put(1))).collect()).wait().await.unwrap();
    compact::compact(state.store(), id).await.unwrap();
    run.end(&state, key(1_000), vec![], put(1)).await;
    run.end(&state, key(1_001), vec![], End::Undelivered { ambiguous_at: None }).await;
    run.intend(&state, &[key(2)]).await;
    state.close().await.unwrap();
    id
}

#[tokio::test]
async fn damage_in_the_database_is_noticed() {
    let cut = "set data = substr(data, 1, length(data) - 1)";
    for sql in [
        format!("update syncline.journal {cut}"),
        format!("update syncline.pages {cut}"),
        format!("update syncline.intents {cut}"),
        format!("update syncline.dirty {cut}"),
        "update syncline.intents set members = members + 1".to_owned(),
        "update syncline.dirty set position = position + 1".to_owned(),
        "delete from syncline.pages".to_owned(),
        "delete from syncline.extents".to_owned(),
    ] {
        let home = Home::postgres().await;
        let id = written(&home).await;
        execute(home.url(), &sql).await;
        let state = home.runner().await;
        let read = overlay(&state, id).await.map(drop);
        let begun = state.begin_run(id, "test").await.map(drop);
        assert!(matches!(read.and(begun), Err(StateError::Damaged { .. })), "`{sql}`");
    }
}

#[tokio::test]
async fn missing_foreign_newer_and_emptied_databases_are_refused() {
    let home = Home::postgres().await;
    let missing = home.open(Access::Reader).await.unwrap_err();
    let text = missing.to_string();
    assert!(matches!(missing, StateError::Missing { .. }) && text.contains("postgres://127.0.0.1:"), "{text}");
    assert!(!text.contains("syncline@"), "no user: {text}");
    written(&home).await;
    execute(home.url(), "update syncline._sqlx_migrations set version = 999 where version = 1").await;
    for access in [Access::Runner, Access::Reader] {
        assert!(matches!(home.open(access).await, Err(StateError::Newer { found: 999, .. })));
    }
    execute(home.url(), "drop schema syncline cascade").await;
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Damaged { .. })), "its mark remembers it");
    execute(home.url(), "create schema syncline; create table syncline.meta (x int)").await;
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Foreign { .. })));
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_begun_again() {
    let home = Home::postgres().await;
    // The migrator makes its own table before the first migration.
    let sql = "create schema syncline;
               create table syncline._sqlx_migrations (version bigint primary key, description text not null,
                   installed_on timestamp not null default current_timestamp, success boolean not null,
                   checksum bytea not null, execution_time bigint not null)";
    execute(home.url(), sql).await;
    assert!(matches!(home.open(Access::Reader).await, Err(StateError::Missing { .. })));
    home.runner().await;
}

#[tokio::test]
async fn the_key_must_be_given_and_right() {
    let home = Home::postgres().await;
    let with = |key: Option<&str>| OpenOptions { key: key.map(Into::into), ..home.options(Access::Runner) };
    assert!(matches!(State::open(with(None)).await, Err(StateError::NoKey)));
    assert!(matches!(State::open(with(Some("short"))).await, Err(StateError::Key { .. })));
    home.runner().await;
    assert!(matches!(State::open(with(Some(&"x".repeat(64)))).await, Err(StateError::WrongKey)));
}

#[tokio::test]
async fn two_processes_open_a_new_state_at_once() {
    let home = Home::postgres().await;
    let other = home.elsewhere();
    let (one, two) = tokio::join!(home.runner(), other.runner());
    let (a, b) = tokio::join!(sync(&one, "s"), sync(&two, "s"));
    assert_eq!(a, b);
    one.close().await.unwrap();
    two.close().await.unwrap();
    for home in [home, other] {
        assert!(!home.runner().await.is_suspect().await.unwrap());
    }
}

#[tokio::test]
async fn an_older_or_copied_database_opens_as_suspect() {
    let home = Home::postgres().await;
    written(&home).await;
    let (other, new) = (home.elsewhere(), home.elsewhere());
    for home in [&home, &other] {
        assert!(!home.runner().await.is_suspect().await.unwrap());
    }
    execute(home.url(), "update syncline.counters set value = value - 50 where name = 'commit'").await;
    assert!(home.runner().await.is_suspect().await.unwrap(), "older than the mark");
    assert!(new.runner().await.is_suspect().await.unwrap(), "a host without a mark hears of it");
    let state = home.runner().await;
    for record in state.syncs().await.unwrap() {
        state.trust(record.id).await.unwrap();
    }
    for home in [&home, &other, &new] {
        assert!(!home.runner().await.is_suspect().await.unwrap(), "a mark from before has nothing new to say");
    }
    execute(home.url(), "update syncline.meta set value = '1/2' where name = 'origin'").await;
    assert!(home.elsewhere().runner().await.is_suspect().await.unwrap(), "made elsewhere");
    assert!(home.mark().exists());
}

#[tokio::test]
async fn lost_connections_between_commits_are_made_anew() {
    let home = Home::postgres().await;
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    for number in 0..3 {
        maintain(home.url(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'DB';").await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        run.end(&state, key(number), vec![], put(1)).await;
        assert_eq!(overlay(&state, id).await.unwrap().len() as i64, number + 1);
    }
}

/// Passes bytes on to the server; on `cut` the next `COMMIT` is passed on and its answer is not. A connection on which the
/// text of `silent` is sent carries nothing any more.
struct Proxy {
    port: u16,
    cut: Arc<AtomicBool>,
    silent: Arc<Silent>,
}

#[derive(Default)]
struct Silent {
    text: Mutex<Option<&'static [u8]>>,
    is_silent: Notify,
}

impl Silent {
    fn is_meant(&self, bytes: &[u8]) -> bool {
        let mut text = self.text.lock().unwrap();
        let found = text.is_some_and(|text| bytes.windows(text.len()).any(|window| window == text));
        found && text.take().is_some()
    }
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, cut) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let (theirs, silent) = (Arc::clone(&cut), Arc::<Silent>::default());
        let quiet = Arc::clone(&silent);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), Arc::clone(&theirs), Arc::clone(&quiet)));
            }
        });
        Self { port, cut, silent }
    }
}

async fn pass(mut client: TcpStream, server: String, cut: Arc<AtomicBool>, silent: Arc<Silent>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let bytes = match read { Ok(1..) => &up[..read.unwrap()], _ => return };
                if silent.is_meant(bytes) {
                    silent.is_silent.notify_one();
                    return std::future::pending().await;
                }
                server.write_all(bytes).await.unwrap();
                if bytes.windows(6).any(|window| window == b"COMMIT") && cut.swap(false, Ordering::SeqCst) {
                    // The server answers, so that it has surely committed, and nobody hears it.
                    drop(server.read(&mut down).await);
                    return;
                }
            }
            read = server.read(&mut down) => {
                let bytes = match read { Ok(1..) => &down[..read.unwrap()], _ => return };
                if client.write_all(bytes).await.is_err() { return }
            }
        }
    }
}

#[tokio::test]
async fn what_is_silent_and_can_be_done_twice_is_done_on_a_new_connection() {
    let home = Home::postgres().await;
    let mut url = url::Url::parse(home.url()).unwrap();
    let proxy = Proxy::start(format!("127.0.0.1:{}", url.port().unwrap_or(5432))).await;
    url.set_port(Some(proxy.port)).unwrap();
    let far = home.through(url.into());
    let state = far.runner().await;
    let later = async |seconds| {
        proxy.silent.is_silent.notified().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    *proxy.silent.text.lock().unwrap() = Some(b"from instances where command");
    let (asked, ()) = tokio::join!(state.store().runs_daemon(), later(31));
    assert!(!asked.unwrap());
    *proxy.silent.text.lock().unwrap() = Some(b"from operator_requests where finished_at");
    let (claimed, ()) = tokio::join!(state.claim_requests(), later(11));
    assert!(claimed.unwrap().is_empty());
    state.close().await.unwrap();
}

#[tokio::test]
async fn a_commit_without_an_answer_stops_the_writer_and_is_not_repeated() {
    let home = Home::postgres().await;
    let mut url = url::Url::parse(home.url()).unwrap();
    let server = format!("127.0.0.1:{}", url.port().unwrap_or(5432));
    let proxy = Proxy::start(server).await;
    url.set_port(Some(proxy.port)).unwrap();
    let far = home.through(url.into());
    let state = far.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let before = state.store().commit_count().await.unwrap();
    proxy.cut.store(true, Ordering::SeqCst);
    let lost = state.writer().intend(run.intent(vec![member(key(1))])).await;
    assert!(matches!(lost, Err(StateError::CommitUnknown { .. })), "{lost:?}");
    let text = lost.unwrap_err().to_string();
    let place = format!("`postgres://127.0.0.1:{}/", proxy.port);
    assert!(text.contains(&place) && !text.contains('@'), "host, port and database, and no user: {text}");
    let after = state.writer().intend(run.intent(vec![member(key(2))])).await;
    assert!(matches!(after, Err(StateError::CommitUnknown { .. })), "nothing may be sent after it");
    // It has happened, once, and the next process finds it.
    let next = home.runner().await;
    assert_eq!(next.store().commit_count().await.unwrap(), before + 2, "the intent, and the opening of the next");
    assert_eq!(next.store().intents(id).await.unwrap().len(), 1);
    assert!(state.close().await.is_err());
    assert_eq!(next.abandoned_syncs().await.unwrap(), vec![id], "who stopped gave its lease back");
}

#[tokio::test]
async fn a_database_that_goes_back_under_a_process_stops_it_and_leaves_the_mark() {
    let home = Home::postgres().await;
    for early in [false, true] {
        let state = home.runner().await;
        let id = sync(&state, "one").await;
        let run = begin(&state, id).await;
        state.write_mark().await.unwrap();
        let mark = std::fs::read_to_string(home.mark()).unwrap();
        execute(home.url(), "update syncline.counters set value = value - 5 where name = 'commit'").await;
        let went_back = |result: Result<(), StateError>| matches!(result, Err(StateError::WentBack { .. }));
        if early {
            assert!(went_back(state.write_mark().await), "at the next mark");
        }
        assert!(
            went_back(state.writer().intend(run.intent(vec![member(key(1))])).await.map(drop)),
            "at the next commit"
        );
        assert!(went_back(state.writer().flush().await), "and then always");
        assert!(state.close().await.is_err());
        assert_eq!(std::fs::read_to_string(home.mark()).unwrap(), mark);
        assert!(home.runner().await.is_suspect().await.unwrap());
    }
}

#[tokio::test]
async fn an_epoch_counts_only_with_its_holder() {
    let home = Home::postgres().await;
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    execute(home.url(), "update syncline.leases set holder = 'other/1'").await;
    let refused = state.writer().intend(run.intent(vec![member(key(1))])).await;
    assert!(matches!(refused, Err(StateError::Fenced)), "{refused:?}");
}

#[tokio::test]
async fn processes_that_open_a_restored_state_at_once_begin_anew_once() {
    let home = Home::postgres().await;
    written(&home).await;
    let other = home.elsewhere();
    other.runner().await.close().await.unwrap();
    home.runner().await.close().await.unwrap();
    execute(home.url(), "update syncline.counters set value = value - 50 where name = 'commit'").await;
    let (one, two) = tokio::join!(home.runner(), other.runner());
    for state in [&one, &two] {
        assert!(state.is_suspect().await.unwrap());
    }
    let former = one.store().meta("former_state_ids").await.unwrap().unwrap();
    assert_eq!(former.len(), 16, "one new line");
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test]
async fn a_commit_under_a_lease_does_not_delay_its_renewal_and_is_waited_for_by_who_takes_it() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (home.runner().await, host.runner().await);
    let id = sync(&one, "one").await;
    begin(&one, id).await;
    let mut open = PgConnection::connect(home.url()).await.unwrap();
    let lock = "begin; select 1 from syncline.leases for key share";
    sqlx::raw_sql(lock).execute(&mut open).await.unwrap();
    one.announce("run").await.unwrap();
    execute(home.url(), "update syncline.leases set expires_at = clock_timestamp()").await;
    let mut taking = Box::pin(two.begin_run(id, "test"));
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut taking).await;
    assert!(early.is_err(), "{early:?}");
    sqlx::raw_sql("commit").execute(&mut open).await.unwrap();
    taking.await.unwrap();
}
