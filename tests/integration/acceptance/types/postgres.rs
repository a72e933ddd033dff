//! PostgreSQL's types.

use syncline::source::{ServerConnection, ServerSettings, SourceConfig};

use super::check::{Case, Source, cast, invalid, sent, tables};
use crate::support::{Workspace, postgres};

const PREPARE: &str = "
create type mood as enum ('sad', 'very happy');
create type pair as (a int, b text);
create domain positive as int check (value > 0);
create extension if not exists citext;
";

const CASES: &[Case] = &[
    sent("boolean", "boolean", "true", "true"),
    sent("boolean", "boolean", "null", "null"),
    sent("smallint", "smallint", "-32768", "-32768"),
    sent("smallint", "smallint", "32767", "32767"),
    sent("integer", "integer", "-2147483648", "-2147483648"),
    sent("integer", "integer", "null", "null"),
    sent("bigint", "bigint", "-9223372036854775808", "-9223372036854775808"),
    sent("bigint", "bigint", "9223372036854775807", "9223372036854775807"),
    sent("oid", "oid", "4294967295", "4294967295"),
    sent("real", "real", "0.1", "0.1"),
    sent("real", "real", "'3.4028235e38'", "3.4028235e38"),
    sent("real", "real", "'-0'", "0.0"),
    invalid("real", "real", "'infinity'", "bad_value"),
    sent("double precision", "double precision", "'1.7976931348623157e308'", "1.7976931348623157e308"),
    sent("double precision", "double precision", "'5e-324'", "5e-324"),
    invalid("double precision", "double precision", "'NaN'", "bad_value"),
    sent("numeric", "numeric", "1.50", "1.5"),
    sent("numeric", "numeric(10,6)", "-0.0001", "-0.0001"),
    sent("numeric", "numeric", "9223372036854775808", r#""9223372036854775808""#),
    sent("numeric", "numeric", "12345678901234567890.123456789", r#""12345678901234567890.123456789""#),
    sent(
        "numeric",
        "numeric",
        "repeat('9', 200)::numeric",
        concat!(
            "\"9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999",
            "9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999\""
        ),
    ),
    invalid("numeric", "numeric", "'NaN'", "bad_value"),
    invalid("numeric", "numeric", "'-infinity'", "bad_value"),
    sent("money", "money", "'-92233720368547758.08'", r#""-$92,233,720,368,547,758.08""#),
    sent("text", "text", "'tëxt 😀'", r#""tëxt 😀""#),
    sent("text", "text", "''", r#""""#),
    invalid("text", "text", "repeat('x', 1048577)", "too_large"),
    sent("varchar", "varchar(9)", "'a '", r#""a ""#),
    sent("char", "char(5)", "'ab'", r#""ab""#),
    sent("name", "name", "'n'", r#""n""#),
    sent("citext", "citext", "'Ab'", r#""Ab""#),
    sent("enum", "mood", "'very happy'", r#""very happy""#),
    sent("domain", "positive", "5", "5"),
    cast("bytea", "bytea", "'\\x00ff'", r#""\\x00ff""#),
    cast("bytea", "bytea", "''", r#""\\x""#),
    invalid("bytea", "bytea", "'\\x00'", "unencodable"),
    sent("date", "date", "'0001-01-01'", r#""0001-01-01""#),
    sent("date", "date", "'9999-12-31'", r#""9999-12-31""#),
    invalid("date", "date", "'infinity'", "bad_value"),
    invalid("date", "date", "'0001-12-31 BC'", "bad_value"),
    invalid("date", "date", "'5874897-12-31'", "bad_value"),
    sent("time", "time", "'00:00:00'", r#""00:00:00""#),
    sent("time", "time", "'23:59:59.999999'", r#""23:59:59.999999""#),
    invalid("time", "time", "'24:00:00'", "bad_value"),
    sent("timetz", "timetz", "'12:34:56+02'", r#""12:34:56+02""#),
    sent("timestamp", "timestamp", "'0001-01-01'", r#""0001-01-01T00:00:00""#),
    sent("timestamp", "timestamp", "'9999-12-31 23:59:59.999999'", r#""9999-12-31T23:59:59.999999""#),
    invalid("timestamp", "timestamp", "'infinity'", "bad_value"),
    invalid("timestamp", "timestamp", "'294276-12-31'", "bad_value"),
    sent("timestamptz", "timestamptz", "'2026-11-22 09:30:00.5+02'", r#""2026-11-22T07:30:00.500Z""#),
    sent("timestamptz", "timestamptz", "'9999-12-31 23:59:59.999999Z'", r#""9999-12-31T23:59:59.999999Z""#),
    invalid("timestamptz", "timestamptz", "'-infinity'", "bad_value"),
    sent("interval", "interval", "'-178000000 years'", r#""P-178000000Y""#),
    sent("interval", "interval", "'1 mon 2 days 03:04:05.6'", r#""P1M2DT3H4M5.6S""#),
    sent("uuid", "uuid", "'00112233-4455-6677-8899-AABBCCDDEEFF'", r#""00112233-4455-6677-8899-aabbccddeeff""#),
    sent("json", "json", "'{\"b\":  1}'", r#"{"b": 1}"#),
    sent("jsonb", "jsonb", "'{\"b\": [2.5, null], \"a\": \"x\"}'", r#"{"a": "x", "b": [2.5, null]}"#),
    sent("jsonb", "jsonb", "'null'", "null"),
    sent("array", "int[]", "array[1, null, 3]", "[1, null, 3]"),
    sent("array", "text[]", "'{{a,b},{c,d}}'", r#"[["a", "b"], ["c", "d"]]"#),
    sent("composite", "pair", "row(1, 'x')", r#"{"a": 1, "b": "x"}"#),
    sent("range", "int4range", "'[1,5]'", r#""[1,6)""#),
    sent("range", "tstzrange", "'[2020-01-01Z,)'", r#""[\"2020-01-01 00:00:00+00\",)""#),
    sent("inet", "inet", "'::1'", r#""::1/128""#),
    sent("cidr", "cidr", "'10.0.0.0/8'", r#""10.0.0.0/8""#),
    sent("macaddr", "macaddr", "'08:00:2b:01:02:03'", r#""08:00:2b:01:02:03""#),
    sent("macaddr8", "macaddr8", "'08:00:2b:01:02:03:04:05'", r#""08:00:2b:01:02:03:04:05""#),
    sent("bit", "bit(3)", "b'101'", r#""101""#),
    sent("varbit", "varbit(5)", "b'101'", r#""101""#),
    sent("point", "point", "'(1.5,0.1)'", r#""(1.5,0.1)""#),
    sent("line", "line", "'{1,2,3}'", r#""{1,2,3}""#),
    sent("lseg", "lseg", "'[(0,0),(1,1)]'", r#""[(0,0),(1,1)]""#),
    sent("box", "box", "'(1,1),(0,0)'", r#""(1,1),(0,0)""#),
    sent("path", "path", "'[(0,0),(1,1)]'", r#""[(0,0),(1,1)]""#),
    sent("polygon", "polygon", "'((0,0),(1,1))'", r#""((0,0),(1,1))""#),
    sent("circle", "circle", "'<(0,0),1>'", r#""<(0,0),1>""#),
    sent("xml", "xml", "'<a>x</a>'", r#""<a>x</a>""#),
    sent("tsvector", "tsvector", "'a b'", r#""'a' 'b'""#),
    sent("tsquery", "tsquery", "'a & b'", r#""'a' & 'b'""#),
    sent("jsonpath", "jsonpath", "'$.a'", r#""$.\"a\"""#),
    sent("pg_lsn", "pg_lsn", "'16/B374D848'", r#""16/B374D848""#),
];

#[tokio::test]
async fn every_postgresql_type_arrives_as_documented() {
    let database = postgres().await;
    database.execute(&format!("{PREPARE}{}", tables(CASES))).await;
    let settings = ServerSettings {
        connection: ServerConnection::Url(database.url.as_str().into()),
        tls: None,
        connect_timeout: ServerSettings::CONNECT_TIMEOUT,
    };
    let source = Source {
        section: "PostgreSQL",
        cases: CASES,
        lines: "type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }",
        url: &database.url,
        config: SourceConfig::Postgres(settings),
    };
    source.check(Workspace::new()).await;
}
