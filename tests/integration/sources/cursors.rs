//! Reading on from a cursor, and models without a key, in all three databases.

use syncline::source::{After, CursorValue, ModelQuery, Source, SourceError};

use super::harness::{mysql_source, postgres_source, query, read_all, sqlite_source};
use crate::support::{mariadb, postgres, sqlite_file};

const SECOND: i64 = 1_000_000;
/// 2026-11-22 and its midnight.
const DAY: i32 = 20_779;
const MIDNIGHT: i64 = DAY as i64 * 86_400 * SECOND;

fn since(column: &str, from: CursorValue) -> ModelQuery {
    ModelQuery { after: Some(After { column: column.into(), from }), ..query("select * from t -- all", &["id"]) }
}

/// The ids that are read at or after a place.
async fn ids(source: &dyn Source, column: &str, from: CursorValue) -> Vec<String> {
    let rows = read_all(source, &since(column, from)).await.expect(column);
    rows.iter().map(|row| row[0].trim_start_matches("integer ").to_owned()).collect()
}

async fn refusal(source: &dyn Source, column: &str, from: CursorValue) -> SourceError {
    match read_all(source, &since(column, from)).await {
        Ok(_) => panic!("`{column}` was read"),
        Err(error) => error,
    }
}

/// The same table for the two servers: 2 is at the place, 1 a microsecond or a step before it, 3 after it, 4 is null.
async fn check_typed(source: &dyn Source) {
    assert_eq!(ids(source, "n", CursorValue::Int(7)).await, ["2", "3"]);
    assert_eq!(ids(source, "n", CursorValue::Int(i64::MIN)).await, ["1", "2", "3"]);
    assert_eq!(ids(source, "d", CursorValue::Date(DAY)).await, ["2", "3"]);
    for column in ["local", "at"] {
        assert_eq!(ids(source, column, CursorValue::Timestamp(MIDNIGHT)).await, ["2", "3"], "{column}");
        assert_eq!(ids(source, column, CursorValue::Timestamp(MIDNIGHT - 1)).await, ["1", "2", "3"], "{column}");
    }
    let mut filtered = since("n", CursorValue::Int(7));
    filtered.filter = Some("id <> 3 or id = 1 -- not the third".into());
    assert_eq!(read_all(source, &filtered).await.expect("filtered").len(), 1, "the filter and the cursor hold both");
    for (column, from) in [
        ("n", CursorValue::Date(DAY)),
        ("d", CursorValue::Timestamp(MIDNIGHT)),
        ("at", CursorValue::Date(DAY)),
        ("at", CursorValue::Int(1)),
        ("name", CursorValue::Int(1)),
        ("nothing", CursorValue::Int(1)),
        ("at", CursorValue::Timestamp(i64::MAX)),
    ] {
        let error = refusal(source, column, from).await;
        assert!(matches!(&error, SourceError::UnusableCursor { .. }), "{column}: {error}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn postgres_reads_on_from_a_cursor() {
    let database = postgres().await;
    database
        .execute(
            "create table t (id int primary key, n int, d date, local timestamp, at timestamptz, o oid, name text);
             set timezone = 'UTC';
             insert into t values
               (1, 6, '2026-11-21', '2026-11-21 23:59:59.999999', '2026-11-21 23:59:59.999999', 4294967294, 'a'),
               (2, 7, '2026-11-22', '2026-11-22', '2026-11-22', 4294967295, 'b'),
               (3, 2147483647, 'infinity', 'infinity', 'infinity', 4294967295, 'c'),
               (4, null, null, null, null, null, null)",
        )
        .await;
    let source = postgres_source(&database.url);
    check_typed(&*source).await;
    assert_eq!(ids(&*source, "o", CursorValue::Int(4_294_967_295)).await, ["2", "3"]);
}

#[tokio::test]
async fn mariadb_reads_on_from_a_cursor() {
    let database = mariadb().await;
    database
        .execute(
            "create table t (id int primary key, n int, d date, local datetime(6), at timestamp(6) null, y year, b bit(9),
                             u bigint unsigned, name text);
             insert into t values
               (1, 6, '2026-11-21', '2026-11-21 23:59:59.999999', '2026-11-21 23:59:59.999999', 2025, 6, 6, 'a'),
               (2, 7, '2026-11-22', '2026-11-22', '2026-11-22', 2026, 7, 7, 'b'),
               (3, 2147483647, '9999-12-31', '9999-12-31', '2038-01-01', 2155, 256, 18446744073709551615, 'c'),
               (4, null, null, null, null, null, null, null, null)",
        )
        .await;
    let source = mysql_source(&database.url);
    check_typed(&*source).await;
    assert_eq!(ids(&*source, "y", CursorValue::Int(26)).await, ["1", "2", "3"]);
    assert_eq!(ids(&*source, "y", CursorValue::Int(2026)).await, ["2", "3"]);
    assert_eq!(ids(&*source, "b", CursorValue::Int(7)).await, ["2", "3"]);
    assert_eq!(ids(&*source, "u", CursorValue::Int(7)).await, ["2", "3"]);
    assert_eq!(ids(&*source, "u", CursorValue::Int(-1)).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn sqlite_reads_on_from_a_cursor() {
    let file = sqlite_file();
    file.execute(
        "create table t (id integer primary key, n integer, real real, text text, declared timestamp);
         insert into t (id, n, text, declared) values
           (1, 6, '2026-11-21T23:59:59.999999Z', '2026-11-21 23:59:59.999999'),
           (2, 7, '2026-11-22T00:00:00Z', '2026-11-22'),
           (3, 9000000000, '2026-11-22 01:00:00.000000+01:00', '2026-11-22 00:00'),
           (4, null, null, null),
           (5, 1, '2026-11-22T00:59:59.999999+01:00', '2026-11-21 23:59:59'),
           (6, 1, '2026-11-21T22:30:00.5-02:00', '2026-11-22T00:00:00.000001')",
    )
    .await;
    let source = sqlite_source(&file.path);
    assert_eq!(ids(&*source, "n", CursorValue::Int(7)).await, ["2", "3"]);
    for column in ["text", "declared"] {
        assert_eq!(ids(&*source, column, CursorValue::Timestamp(MIDNIGHT)).await, ["2", "3", "6"], "{column}");
        assert_eq!(ids(&*source, column, CursorValue::Date(DAY)).await, ["2", "3", "6"], "{column}");
    }
    assert_eq!(ids(&*source, "text", CursorValue::Timestamp(MIDNIGHT - 1)).await, ["1", "2", "3", "5", "6"]);
    assert_eq!(ids(&*source, "declared", CursorValue::Timestamp(MIDNIGHT - 1)).await, ["1", "2", "3", "6"]);
    for (column, from) in [
        ("n", CursorValue::Timestamp(MIDNIGHT)),
        ("real", CursorValue::Int(1)),
        ("real", CursorValue::Timestamp(MIDNIGHT)),
        ("text", CursorValue::Int(1)),
        ("nothing", CursorValue::Int(1)),
    ] {
        let error = refusal(&*source, column, from).await;
        assert!(matches!(&error, SourceError::UnusableCursor { .. }), "{column}: {error}");
    }
}

#[tokio::test]
async fn sqlite_reads_rows_whose_cursor_it_cannot_judge() {
    let file = sqlite_file();
    file.execute(
        "create table t (id integer primary key, at datetime);
         insert into t values (1, 'yesterday'), (2, 1763769600), (3, '2026-13-45'), (4, null), (5, '2000-01-01'), (6, 'now')",
    )
    .await;
    let found = ids(&*sqlite_source(&file.path), "at", CursorValue::Timestamp(MIDNIGHT)).await;
    assert_eq!(found, ["1", "2", "3", "6"]);
}

#[tokio::test]
async fn a_model_without_a_key_is_read_in_any_order() {
    let file = sqlite_file();
    file.execute("create table t (n integer); insert into t values (7)").await;
    let (first, second) = (postgres().await, mariadb().await);
    first.execute("create table t (n bigint); insert into t values (7)").await;
    second.execute("create table t (n bigint); insert into t values (7)").await;
    let sources = [postgres_source(&first.url), mysql_source(&second.url), sqlite_source(&file.path)];
    for source in &sources {
        let rows = read_all(&**source, &query("select max(n) as n from t", &[])).await.expect("read");
        assert_eq!(rows, [["integer 7"]]);
        let rows = read_all(&**source, &query("select n from t where n > 7", &[])).await.expect("read");
        assert!(rows.is_empty());
    }
}
