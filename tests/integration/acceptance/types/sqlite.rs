//! SQLite's storage classes, in columns of the declared types that change how they are read.

use syncline::source::{SourceConfig, SqliteSettings};

use super::check::{Case, Source, cast, invalid, sent, tables};
use crate::support::Workspace;

const CASES: &[Case] = &[
    sent("integer", "integer", "-9223372036854775808", "-9223372036854775808"),
    sent("integer", "bigint", "9223372036854775807", "9223372036854775807"),
    sent("integer", "int", "null", "null"),
    sent("integer", "integer", "'text'", r#""text""#),
    sent("real", "real", "1.7976931348623157e308", "1.7976931348623157e308"),
    sent("real", "real", "5e-324", "5e-324"),
    sent("real", "double", "7", "7.0"),
    sent("real", "float", "-0.0", "0.0"),
    invalid("real", "real", "9e999", "bad_value"),
    sent("text", "text", "'tëxt 😀'", r#""tëxt 😀""#),
    sent("text", "text", "7", r#""7""#),
    sent("text", "text", "'a' || char(0) || 'b'", r#""a\u0000b""#),
    cast("text", "text", "x'00ff'", r#""\\x00ff""#),
    invalid("text", "text", "cast(x'ff' as text)", "bad_value"),
    invalid("text", "text", "printf('%*c', 1048577, 'x')", "too_large"),
    cast("blob", "blob", "x'00ff'", r#""\\x00ff""#),
    cast("blob", "blob", "x''", r#""\\x""#),
    invalid("blob", "blob", "x'80'", "unencodable"),
    invalid("blob", "blob", "zeroblob(1048577)", "too_large"),
    sent("boolean", "boolean", "true", "true"),
    sent("boolean", "boolean", "0", "false"),
    sent("boolean", "boolean", "2", "2"),
    sent("any other", "numeric", "7", "7"),
    sent("any other", "decimal(10,2)", "1.5", "1.5"),
    sent("any other", "date", "'2026-11-22'", r#""2026-11-22""#),
    sent("any other", "datetime", "'2026-11-22 09:30:00'", r#""2026-11-22 09:30:00""#),
    sent("any other", "timestamp", "1795339800", "1795339800"),
    sent("any other", "json", "'{\"a\":1}'", r#""{\"a\":1}""#),
    sent("any other", "uuid", "'00112233-4455-6677-8899-AABBCCDDEEFF'", r#""00112233-4455-6677-8899-AABBCCDDEEFF""#),
    sent("any other", "", "'untyped'", r#""untyped""#),
    cast("any other", "", "x'01'", r#""\\x01""#),
    invalid("any other", "", "-9e999", "bad_value"),
];

#[tokio::test]
async fn every_sqlite_type_arrives_as_documented() {
    let workspace = Workspace::new();
    workspace.sql(&tables(CASES));
    let path = workspace.path("warehouse.db");
    let source = Source {
        section: "SQLite",
        cases: CASES,
        lines: "type = \"sqlite\"\npath = \"warehouse.db\"",
        url: "",
        config: SourceConfig::Sqlite(SqliteSettings { path }),
    };
    source.check(workspace).await;
}
