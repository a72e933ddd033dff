//! What must be refused, and what must never look complete, on SQLite.

use std::time::Duration;

use syncline::source::{ModelBody, SourceError};

use super::harness::{query, read_all, sqlite_source};
use crate::support::{SqliteFile, sqlite_file};

async fn refusal(file: &SqliteFile, sql: &str) -> SourceError {
    match read_all(&*sqlite_source(&file.path), &query(sql, &["id"])).await {
        Ok(_) => panic!("`{sql}` was read"),
        Err(error) => error,
    }
}

/// Counts up for ever.
const ENDLESS: &str = "with recursive n(id) as (select 1 union all select id + 1 from n) select id from n";

#[tokio::test]
async fn a_missing_file_is_named_and_not_created() {
    let file = sqlite_file();
    let error = refusal(&file, "select 1 as id").await;
    assert!(matches!(&error, SourceError::Settings { reason } if reason.contains("test.db")), "{error}");
    assert!(!file.path.exists());
    std::fs::write(&file.path, "this is no database, but long enough to be read as the head of one").expect("write");
    let error = refusal(&file, "select id from t").await;
    assert!(matches!(error, SourceError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn writes_and_second_statements_are_refused() {
    let file = sqlite_file();
    file.execute("create table t (id integer); insert into t values (1)").await;
    for sql in [
        "select 1 as id; drop table t",
        "select 1 as id; -- x\n delete from t",
        "select 1 as id) as m; drop table t; select * from (select 1 as id",
        "delete from t returning id",
        "insert into t values (2)",
        "pragma user_version = 5",
        "",
    ] {
        let error = refusal(&file, sql).await;
        assert!(matches!(error, SourceError::Statement { .. }), "{sql}: {error:?}");
    }
    let rows = read_all(&*sqlite_source(&file.path), &query("select id from t", &["id"])).await.expect("read");
    assert_eq!(rows, [["integer 1"]]);
}

#[tokio::test]
async fn names_that_clash_or_lack_are_refused() {
    let file = sqlite_file();
    file.execute("create table t (id integer)").await;
    for sql in ["select id, 1 as a, 2 as a from t", "select id, 1 as a, 2 as A from t"] {
        let error = refusal(&file, sql).await;
        assert!(matches!(error, SourceError::DuplicateColumn { .. }), "{error}");
    }
    assert!(matches!(refusal(&file, "select 1 as x").await, SourceError::MissingKey { .. }));
    let error = refusal(&file, "select nope from t").await;
    assert!(error.to_string().contains("no such column: nope"), "{error}");
}

#[tokio::test]
async fn semicolons_comments_tables_and_filters_are_read() {
    let file = sqlite_file();
    file.execute("create table \"t 1\" (id integer, x text); insert into \"t 1\" values (2, ';'), (1, 'a'), (3, '--')")
        .await;
    let source = sqlite_source(&file.path);
    for sql in
        ["select * from \"t 1\"; -- all", "select id, x from \"t 1\" -- ; all", "select * from \"t 1\" where x <> ';;'"]
    {
        let mut model = query(sql, &["id"]);
        model.filter = Some("id > 1 -- not the first".into());
        assert_eq!(read_all(&*source, &model).await.expect(sql), [["integer 2", "text ;"], ["integer 3", "text --"]]);
    }
    let mut model = query("", &["id"]);
    model.body = ModelBody::Table("main.t 1".into());
    assert_eq!(read_all(&*source, &model).await.expect("table").len(), 3);
    model.filter = Some("nonsense = 1".into());
    assert!(matches!(source.describe(&model).await, Err(SourceError::Statement { .. })));
}

#[tokio::test]
async fn a_database_in_wal_mode_is_read_beside_its_writer() {
    let file = sqlite_file();
    file.execute("pragma journal_mode = wal; create table t (id integer); insert into t values (1)").await;
    assert_eq!(
        read_all(&*sqlite_source(&file.path), &query("select id from t", &["id"])).await.expect("read").len(),
        1
    );
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file.path);
    let mut writer = sqlx::ConnectOptions::connect(&options).await.expect("writer");
    for sql in ["insert into t values (2)", "begin immediate", "insert into t values (3)"] {
        sqlx::raw_sql(sql).execute(&mut writer).await.expect(sql);
    }
    assert_eq!(
        read_all(&*sqlite_source(&file.path), &query("select id from t", &["id"])).await.expect("read").len(),
        2
    );
}

#[tokio::test]
async fn a_failure_in_the_middle_is_never_complete_and_tells_no_value() {
    let file = sqlite_file();
    file.execute(
        "create table t (id integer primary key, x text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
         insert into t select i, case i when 4999 then 'hunter2' else '{}' end from n",
    )
    .await;
    let error = refusal(&file, "select id, json_extract(x, '$.a') as a from t").await;
    assert!(matches!(&error, SourceError::Read { rows: 1.., .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_slow_statement_runs_into_its_timeout() {
    let file = sqlite_file();
    file.execute("create table t (id integer)").await;
    let mut model = query(ENDLESS, &["id"]);
    model.key_kinds = Some(vec![syncline::model::KeyKind::Integer]);
    model.filter = Some("id < 0".into());
    model.timeout = Duration::from_millis(100);
    let source = sqlite_source(&file.path);
    let schema = source.describe(&model).await.expect("describe");
    let error = source.read(&model, &schema).next().await.expect_err("it never ends");
    assert!(matches!(error, SourceError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn dropping_the_stream_stops_the_statement() {
    let file = sqlite_file();
    file.execute(
        "create table t (id integer primary key);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500) insert into t select i from n",
    )
    .await;
    // The first 1,200 rows come at once; the next one takes for ever.
    let slow = format!("select id from t where id <= 1200 or (select count(*) from ({ENDLESS})) > 0");
    let mut model = query(&slow, &["id"]);
    model.timeout = Duration::from_secs(600);
    let source = sqlite_source(&file.path);
    let schema = source.describe(&model).await.expect("describe");
    let mut stream = source.read(&model, &schema);
    let batch = stream.next().await.expect("read").expect("a first batch");
    assert_eq!(batch.len(), 1000);
    assert!(is_open(&file));
    drop(stream);
    let closed = async {
        while is_open(&file) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed).await.expect("the statement still runs");
}

/// Whether this process has the file open.
fn is_open(file: &SqliteFile) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").expect("a Linux system").flatten();
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|target| target == file.path)
}
