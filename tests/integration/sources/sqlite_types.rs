//! Every SQLite storage class under every kind of declared type.

use syncline::model::ColumnKind;

use super::harness::{query, read_all, sqlite_source};
use crate::support::sqlite_file;

/// Declared types (affinity in SQLite's words beside) and what the schema makes of them.
const DECLARED: &[(&str, ColumnKind)] = &[
    ("integer", ColumnKind::Int),
    ("bigint", ColumnKind::Int),
    ("text", ColumnKind::Text),
    ("varchar(20)", ColumnKind::Text),
    ("blob", ColumnKind::Bytes),
    ("real", ColumnKind::Float),
    ("double", ColumnKind::Float),
    ("boolean", ColumnKind::Bool),
    ("date", ColumnKind::Dynamic),
    ("datetime", ColumnKind::Dynamic),
    ("json", ColumnKind::Dynamic),
    ("decimal(10,2)", ColumnKind::Dynamic),
    ("", ColumnKind::Dynamic),
];

/// Expression, and the cell it is read as from a column without a declared type.
const VALUES: &[(&str, &str)] = &[
    ("null", "null"),
    ("0", "integer 0"),
    ("1", "integer 1"),
    ("-9223372036854775808", "integer -9223372036854775808"),
    ("9223372036854775807", "integer 9223372036854775807"),
    ("9223372036854775808", "float 9.223372036854776e18"),
    ("0.1", "float 0.1"),
    ("-0.5", "float -0.5"),
    ("9e999", "float inf"),
    ("-9e999", "float -inf"),
    ("''", "text "),
    ("'x'", "text x"),
    ("'2020-01-01'", "text 2020-01-01"),
    ("'😀é'", "text 😀é"),
    ("'a' || char(0) || 'b'", "text a\0b"),
    ("x''", "bytes []"),
    ("x'00ff'", "bytes [00, ff]"),
    ("cast(x'ff' as text)", "unrepresentable: text that is not valid UTF-8"),
    ("'{\"a\":1}'", "text {\"a\":1}"),
    ("cast(zeroblob(1048577) as blob)", "unrepresentable: a value larger than 1 MiB"),
];

#[tokio::test]
async fn cells_are_read_by_their_storage_class() {
    let file = sqlite_file();
    file.execute("create table t (id integer primary key, v)").await;
    for (sql, _) in VALUES {
        file.execute(&format!("insert into t (v) values ({sql})")).await;
    }
    let rows = read_all(&*sqlite_source(&file.path), &query("select id, v from t", &["id"])).await.expect("read");
    assert_eq!(rows.len(), VALUES.len());
    for ((sql, expected), row) in VALUES.iter().zip(&rows) {
        assert_eq!(row[1], *expected, "{sql}");
    }
}

#[tokio::test]
async fn declared_types_shape_the_schema_and_storage_classes_the_cells() {
    let file = sqlite_file();
    let columns: Vec<_> = DECLARED.iter().enumerate().map(|(at, (declared, _))| format!("c{at} {declared}")).collect();
    file.execute(&format!("create table t (id integer primary key, {})", columns.join(", "))).await;
    for value in ["x'01'", "'text'", "'7'", "1.5", "null"] {
        let row = vec![value; DECLARED.len()].join(", ");
        file.execute(&format!("insert into t values (null, {row})")).await;
    }
    let (source, model) = (sqlite_source(&file.path), query("select * from t", &["id"]));
    let schema = source.describe(&model).await.expect("describe");
    for ((declared, kind), column) in DECLARED.iter().zip(&schema.columns[1..]) {
        assert_eq!(column.kind, *kind, "{declared}");
    }
    let rows = read_all(&*source, &model).await.expect("read");
    let column = |name: &str| {
        let at = 1 + DECLARED.iter().position(|(declared, _)| *declared == name).expect("a declared type");
        rows.iter().map(|row| row[at].as_str()).collect::<Vec<_>>()
    };
    assert_eq!(column("integer"), ["bytes [01]", "text text", "integer 7", "float 1.5", "null"]);
    assert_eq!(column("text"), ["bytes [01]", "text text", "text 7", "text 1.5", "null"]);
    assert_eq!(column("blob"), ["bytes [01]", "text text", "text 7", "float 1.5", "null"]);
    assert_eq!(column("real"), ["bytes [01]", "text text", "float 7.0", "float 1.5", "null"]);
    assert_eq!(column("boolean"), ["bytes [01]", "text text", "integer 7", "float 1.5", "null"]);
    assert_eq!(column("decimal(10,2)"), ["bytes [01]", "text text", "integer 7", "float 1.5", "null"]);
    assert_eq!(column(""), ["bytes [01]", "text text", "text 7", "float 1.5", "null"]);
}

#[tokio::test]
async fn zero_and_one_are_truth_values_only_where_declared() {
    let file = sqlite_file();
    file.execute("create table t (id int, b boolean, n int); insert into t values (1, 0, 0), (2, true, 1), (3, 2, 2)")
        .await;
    let rows = read_all(&*sqlite_source(&file.path), &query("select id, b, n, b = 1 as e from t", &["id"])).await;
    assert_eq!(
        rows.expect("read"),
        [
            ["integer 1", "boolean false", "integer 0", "integer 0"],
            ["integer 2", "boolean true", "integer 1", "integer 1"],
            ["integer 3", "integer 2", "integer 2", "integer 0"],
        ]
    );
}
