//! What must be refused, and what must never look complete, on PostgreSQL.

use std::time::Duration;

use sqlx::{Connection, Row};
use syncline::source::{ModelBody, SourceError};

use super::harness::{postgres_source, query, read_all};
use crate::support::{TestDatabase, postgres};

async fn refusal(database: &TestDatabase, sql: &str, key: &str) -> SourceError {
    match read_all(&*postgres_source(&database.url), &query(sql, &[key])).await {
        Ok(_) => panic!("`{sql}` was read"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_statement_is_refused() {
    let database = postgres().await;
    database.execute("create table t (id int)").await;
    for sql in [
        "select 1 as id; drop table t",
        "select 1 as id; commit; drop table t",
        "select 1 as id) as m; drop table t; select * from (select 1 as id",
    ] {
        let error = refusal(&database, sql, "id").await;
        assert!(matches!(error, SourceError::Statement { .. }), "{error}");
    }
    database.execute("select * from t").await;
}

#[tokio::test]
async fn a_model_that_writes_is_refused() {
    let database = postgres().await;
    database
        .execute(
            "create table t (id int); create sequence s; create function w() returns int language sql as 'insert into t values (1) returning id'",
        )
        .await;
    for sql in [
        "insert into t values (1) returning id",
        "with x as (insert into t values (1) returning id) select id from x",
        "delete from t",
        "select w() as id",
        "select nextval('s') as id",
    ] {
        refusal(&database, sql, "id").await;
    }
    let rows = read_all(&*postgres_source(&database.url), &query("select id from t", &["id"])).await.expect("read");
    assert!(rows.is_empty());
}

#[tokio::test]
async fn names_that_clash_or_lack_are_refused() {
    let database = postgres().await;
    let error = refusal(&database, "select 1 as id, 2 as a, 3 as a", "id").await;
    assert!(matches!(&error, SourceError::DuplicateColumn { column, .. } if column == "a"), "{error}");
    let error = refusal(&database, "select 1 as id", "ID").await;
    assert!(matches!(&error, SourceError::MissingKey { column, .. } if column == "ID"), "{error}");
}

#[tokio::test]
async fn semicolons_comments_tables_and_filters_are_read() {
    let database = postgres().await;
    database.execute("create table t (id int); insert into t values (2), (1), (3)").await;
    let source = postgres_source(&database.url);
    for sql in ["select id from t;  \n", "select id from t -- all of them", "select id from t /* ; */", "table t"] {
        let mut model = query(sql, &["id"]);
        model.filter = Some("id > 1 -- not the first".into());
        assert_eq!(read_all(&*source, &model).await.expect(sql), [["integer 2"], ["integer 3"]]);
    }
    let mut model = query("", &["id"]);
    model.body = ModelBody::Table("t".into());
    assert_eq!(read_all(&*source, &model).await.expect("table").len(), 3);
    model.filter = Some("nonsense = 1".into());
    assert!(matches!(source.describe(&model).await, Err(SourceError::Statement { .. })));
}

#[tokio::test]
async fn errors_tell_the_place_but_never_a_value() {
    let database = postgres().await;
    database.execute("create table t (id int, secret text); insert into t values (1, 'hunter2')").await;
    database
        .execute("create function f(text) returns int language plpgsql as $$ begin raise exception sqlstate '42P01' using message = $1; end $$;
                  create function g(text) returns int language plpgsql as $$ begin execute 'select ' || $1; return 1; end $$")
        .await;
    let error = refusal(&database, "select id, nope from t", "id").await;
    assert!(error.to_string().contains("column \"nope\" does not exist at character 12"), "{error}");
    for sql in [
        "select id, secret::int as n from t",
        "select id, f(secret) as n from t",
        "select id, g(secret) as n from t",
        "select id, secret::date as n from t",
    ] {
        let error = refusal(&database, sql, "id").await;
        assert!(matches!(&error, SourceError::Read { rows: 0, .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(error.to_string().contains("SQLSTATE"), "{error}");
    }
}

#[tokio::test]
async fn a_password_never_shows() {
    let source = postgres_source("postgres://who:hunter2@127.0.0.1:1/nothing");
    let error = source.describe(&query("select 1 as id", &["id"])).await.expect_err("nobody listens");
    assert!(matches!(error, SourceError::Connect(_)));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_connection_that_dies_is_an_error_and_never_complete() {
    let database = postgres().await;
    database.execute("create table t as select g as id, repeat('x', 1000) as x from generate_series(1, 50000) g; alter table t add primary key (id); analyze t").await;
    let source = postgres_source(&database.url);
    let model = query("select id, x from t", &["id"]);
    let schema = source.describe(&model).await.expect("describe");
    let mut stream = source.read(&model, &schema);
    assert!(stream.next().await.expect("rows").is_some());
    database
        .execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'syncline' and datname = current_database()")
        .await;
    let error = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a broken read looks complete"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::Read { rows: 1000.., .. }), "{error:?}");
    assert!(matches!(stream.next().await, Err(SourceError::Interrupted)));
}

#[tokio::test]
async fn a_slow_statement_runs_into_its_timeout() {
    let database = postgres().await;
    let source = postgres_source(&database.url);
    let mut model = query("select 1 as id, pg_sleep(60)::text as s", &["id"]);
    let schema = source.describe(&model).await.expect("describe");
    model.timeout = Duration::from_millis(100);
    let error = source.read(&model, &schema).next().await.expect_err("it sleeps too long");
    assert!(matches!(error, SourceError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn dropping_the_stream_stops_the_server() {
    let database = postgres().await;
    let source = postgres_source(&database.url);
    let model = query("select 1 as id, pg_sleep(600)::text as s", &["id"]);
    let schema = source.describe(&model).await.expect("describe");
    let stream = source.read(&model, &schema);
    let mut watcher = database.connect().await;
    let running = "select count(*) from pg_stat_activity where application_name = 'syncline' and wait_event = 'PgSleep' \
                   and datname = current_database()";
    let mut count = async |expected: i64| {
        loop {
            let row = sqlx::query(running).fetch_one(&mut watcher).await.expect("watch");
            if row.get::<i64, _>(0) == expected {
                break;
            }
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, count(1)).await.expect("the statement never started");
    drop(stream);
    tokio::time::timeout(patience, count(0)).await.expect("the statement still runs");
    watcher.close().await.expect("close");
}

#[tokio::test]
async fn check_names_the_server_and_warns_of_rights() {
    let database = postgres().await;
    let report = postgres_source(&database.url).check().await.expect("check");
    assert!(report.server.starts_with("PostgreSQL "), "{}", report.server);
    assert_eq!(report.warnings.len(), 1, "the tests' role is a superuser");
    database.execute("drop role if exists reader; create role reader login").await;
    let mut url = url::Url::parse(&database.url).expect("url");
    url.set_username("reader").expect("username");
    assert!(postgres_source(url.as_str()).check().await.expect("check").warnings.is_empty());
    database.execute("drop role reader").await;
}
