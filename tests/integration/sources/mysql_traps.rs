//! What must be refused, and what must never look complete, on MariaDB.

use std::time::Duration;

use sqlx::{Connection, Row};
use syncline::source::{ModelBody, SourceError};

use super::harness::{mysql_source, query, read_all};
use crate::support::{MariaDatabase, mariadb};

async fn refusal(database: &MariaDatabase, sql: &str, key: &str) -> SourceError {
    match read_all(&*mysql_source(&database.url), &query(sql, &[key])).await {
        Ok(_) => panic!("`{sql}` was read"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_statement_is_refused() {
    let database = mariadb().await;
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
    let database = mariadb().await;
    database
        .execute(
            "create table t (id int) engine = innodb; create sequence s;
             create function w() returns int begin insert into t values (1); return 1; end",
        )
        .await;
    for sql in [
        "insert into t values (1) returning id",
        "delete from t",
        "delete from t returning id",
        "select w() as id",
        "select nextval(s) as id",
        "select 1 as id into outfile 'syncline-test'",
    ] {
        refusal(&database, sql, "id").await;
    }
    let rows = read_all(&*mysql_source(&database.url), &query("select id from t", &["id"])).await.expect("read");
    assert!(rows.is_empty());
}

#[tokio::test]
async fn names_that_clash_or_lack_are_refused() {
    let database = mariadb().await;
    for sql in ["select 1 as id, 2 as a, 3 as a", "select 1 as id, 2 as A, 3 as a"] {
        let error = refusal(&database, sql, "id").await;
        assert!(matches!(&error, SourceError::DuplicateColumn { column, .. } if column == "a"), "{error}");
    }
    let error = refusal(&database, "select 1 as id", "ID").await;
    assert!(matches!(&error, SourceError::MissingKey { column, .. } if column == "ID"), "{error}");
}

#[tokio::test]
async fn semicolons_comments_tables_and_filters_are_read() {
    let database = mariadb().await;
    database.execute("create table t (id int); insert into t values (2), (1), (3)").await;
    let source = mysql_source(&database.url);
    for sql in [
        "select id from t;  \n",
        "select id from t -- all of them",
        "select id from t # all of them",
        "select id from t /* ; */",
        "with x as (select id from t) select * from x",
        "select id from t order by id desc limit 3",
        "select 1 as id union select id from t",
    ] {
        let mut model = query(sql, &["id"]);
        model.filter = Some("id > 1 # not the first".into());
        assert_eq!(read_all(&*source, &model).await.expect(sql), [["integer 2"], ["integer 3"]]);
    }
    let mut model = query("", &["id"]);
    model.body = ModelBody::Table("t".into());
    assert_eq!(read_all(&*source, &model).await.expect("table").len(), 3);
    model.filter = Some("nonsense = 1".into());
    assert!(matches!(source.describe(&model).await, Err(SourceError::Statement { .. })));
}

#[tokio::test]
async fn errors_name_what_is_wrong_but_never_a_value() {
    let database = mariadb().await;
    database
        .execute(
            "create table t (id int, secret text); insert into t values (1, 'hunter2');
             create function f(s text) returns int begin signal sqlstate '42S02' set message_text = s, mysql_errno = 1146; return 1; end",
        )
        .await;
    let error = refusal(&database, "select id, nope from t", "id").await;
    assert!(error.to_string().contains("Unknown column 'nope'"), "{error}");
    let error = refusal(&database, "select id from nope", "id").await;
    assert!(error.to_string().contains("nope' doesn't exist"), "{error}");
    for sql in [
        "select id, f(secret) as n from t",
        "select id, (select secret from t union all select secret from t) as n from t",
        "select id, st_geomfromtext(secret) as n, exp(9999 * length(secret)) as e, 9223372036854775807 + id as b from t",
    ] {
        let error = refusal(&database, sql, "id").await;
        assert!(matches!(&error, SourceError::Read { rows: 0, .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(error.to_string().contains("(error "), "{error}");
    }
}

#[tokio::test]
async fn a_password_never_shows() {
    let source = mysql_source("mysql://who:hunter2@127.0.0.1:1/nothing");
    let error = source.describe(&query("select 1 as id", &["id"])).await.expect_err("nobody listens");
    assert!(matches!(error, SourceError::Connect(_)));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// The server's numbers of our connections to this database that run a statement.
const OURS: &str =
    "select id from information_schema.processlist where db = database() and info like '/* syncline */%'";

#[tokio::test]
async fn a_connection_that_dies_is_an_error_and_never_complete() {
    let database = mariadb().await;
    database
        .execute("create table t (id int primary key, x text); insert into t select seq, repeat('x', 1000) from seq_1_to_50000")
        .await;
    let source = mysql_source(&database.url);
    for kill in ["kill", "kill query"] {
        let model = query("select id, x from t", &["id"]);
        let schema = source.describe(&model).await.expect("describe");
        let mut stream = source.read(&model, &schema);
        assert!(stream.next().await.expect("rows").is_some());
        let mut watcher = database.connect().await;
        let found = sqlx::query(OURS).fetch_one(&mut watcher).await.expect("a running statement");
        database.execute(&format!("{kill} {}", found.get::<i64, _>(0))).await;
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
}

#[tokio::test]
async fn a_slow_statement_runs_into_its_timeout() {
    let database = mariadb().await;
    let source = mysql_source(&database.url);
    let mut model = query("select 1 as id, sleep(60) as s", &["id"]);
    let schema = source.describe(&model).await.expect("describe");
    model.timeout = Duration::from_millis(100);
    let error = source.read(&model, &schema).next().await.expect_err("it sleeps too long");
    assert!(matches!(error, SourceError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn dropping_the_stream_stops_the_server() {
    let database = mariadb().await;
    let source = mysql_source(&database.url);
    let model = query("select 1 as id, sleep(600) as s", &["id"]);
    let schema = source.describe(&model).await.expect("describe");
    let stream = source.read(&model, &schema);
    let mut watcher = database.connect().await;
    let mut count = async |expected: usize| {
        while sqlx::query(OURS).fetch_all(&mut watcher).await.expect("watch").len() != expected {}
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, count(1)).await.expect("the statement never started");
    drop(stream);
    tokio::time::timeout(patience, count(0)).await.expect("the statement still runs");
    watcher.close().await.expect("close");
}

#[tokio::test]
async fn check_names_the_server_and_warns_of_rights() {
    let database = mariadb().await;
    let report = mysql_source(&database.url).check().await.expect("check");
    assert!(report.server.starts_with("MariaDB "), "{}", report.server);
    assert_eq!(report.warnings.len(), 1, "the tests' account may do everything");
    let reader = format!("reader_{}", std::process::id());
    database.execute(&format!("create or replace user {reader} identified by 'reader'")).await;
    let mut url = url::Url::parse(&database.url).expect("url");
    let name = url.path().trim_start_matches('/').to_owned();
    database
        .execute(&format!("grant select on {name}.* to {reader}; create table t (id int); insert into t values (1)"))
        .await;
    url.set_username(&reader).and_then(|()| url.set_password(Some("reader"))).expect("account");
    let source = mysql_source(url.as_str());
    assert!(source.check().await.expect("check").warnings.is_empty());
    assert_eq!(read_all(&*source, &query("select id from t", &["id"])).await.expect("read"), [["integer 1"]]);
    database.execute(&format!("drop user {reader}")).await;
}
