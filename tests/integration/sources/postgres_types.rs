//! Every PostgreSQL type, read as the value that the contract defines.

use syncline::{model::ColumnKind, source::SourceError};

use super::harness::{postgres_source, query, read_all};
use crate::support::postgres;

const PREPARE: &str = "
create type mood as enum ('sad', 'ok', 'very happy');
create domain positive as int check (value > 0);
create domain short as varchar(5);
create domain feeling as mood;
create type pair as (a int, b text);
";

/// Expression, and the cell it is read as.
const TYPES: &[(&str, &str)] = &[
    ("null::int", "null"),
    ("null::mood", "null"),
    ("true", "boolean true"),
    ("false", "boolean false"),
    ("(-32768)::int2", "integer -32768"),
    ("2147483647::int4", "integer 2147483647"),
    ("(-9223372036854775808)::int8", "integer -9223372036854775808"),
    ("9223372036854775807::int8", "integer 9223372036854775807"),
    ("4294967295::oid", "integer 4294967295"),
    ("0.1::float4", "float 0.1"),
    ("3.4028235e38::float4", "float 3.4028235e38"),
    ("1.7976931348623157e308::float8", "float 1.7976931348623157e308"),
    ("5e-324::float8", "float 5e-324"),
    ("'NaN'::float8", "float NaN"),
    ("'-infinity'::float8", "float -inf"),
    ("'-0'::float8", "float -0.0"),
    ("0::numeric", "decimal 0"),
    ("1.50::numeric", "decimal 1.50"),
    ("(-0.0001)::numeric(10,6)", "decimal -0.000100"),
    ("'10000'::numeric", "decimal 10000"),
    ("'100000000.00000001'::numeric", "decimal 100000000.00000001"),
    ("'NaN'::numeric", "unrepresentable: a number that is NaN or infinite"),
    ("'infinity'::numeric", "unrepresentable: a number that is NaN or infinite"),
    ("'-infinity'::numeric", "unrepresentable: a number that is NaN or infinite"),
    ("'tëxt'::text", "text tëxt"),
    ("''::text", "text "),
    ("'a'::varchar(3)", "text a"),
    ("'ab'::char(5)", "text ab"),
    ("'x'::\"char\"", "text x"),
    ("'n'::name", "text n"),
    ("'untyped'", "text untyped"),
    ("'\\x00ff10'::bytea", "bytes [00, ff, 10]"),
    ("''::bytea", "bytes []"),
    ("'1970-01-01'::date", "date 0"),
    ("'0001-01-01'::date", "date -719162"),
    ("'9999-12-31'::date", "date 2932896"),
    ("'0001-12-31 BC'::date", "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999"),
    ("'10000-01-01'::date", "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999"),
    ("'5874897-12-31'::date", "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999"),
    ("'infinity'::date", "unrepresentable: an infinite date or timestamp"),
    ("'00:00:00'::time", "time 0"),
    ("'23:59:59.999999'::time", "time 86399999999"),
    ("'24:00'::time", "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999"),
    ("'1970-01-01 00:00:01.5'::timestamp", "timestamp without time zone 1500000"),
    ("'1970-01-01 01:00+01'::timestamptz", "timestamp 0"),
    ("'0001-01-01 00:00Z'::timestamptz", "timestamp -62135596800000000"),
    ("'9999-12-31 23:59:59.999999Z'::timestamptz", "timestamp 253402300799999999"),
    (
        "'0001-01-01 BC'::timestamptz",
        "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999",
    ),
    (
        "'294276-12-31 23:59:59.999999'::timestamp",
        "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999",
    ),
    ("'infinity'::timestamptz", "unrepresentable: an infinite date or timestamp"),
    ("'-infinity'::timestamp", "unrepresentable: an infinite date or timestamp"),
    ("'00112233-4455-6677-8899-aabbccddeeff'::uuid", "uuid 00112233445566778899aabbccddeeff"),
    ("'{\"b\": 1,  \"a\": [2.50, null]}'::jsonb", "json {\"a\": [2.50, null], \"b\": 1}"),
    ("'{\"b\":  1}'::json", "json {\"b\":  1}"),
    ("array[1, null, 3]", "json [1, null, 3]"),
    ("'{}'::text[]", "json []"),
    ("'{{1,2},{3,4}}'::int[]", "json [[1, 2], [3, 4]]"),
    ("array['sad', 'ok']::mood[]", "json [\"sad\", \"ok\"]"),
    ("array[12345678901234567890.123]::numeric[]", "json [12345678901234567890.123]"),
    ("row(1, 'x')::pair", "json {\"a\": 1, \"b\": \"x\"}"),
    ("array[row(1, 'x')::pair]", "json [{\"a\": 1, \"b\": \"x\"}]"),
    ("row(1, 'x')", "json {\"f1\": 1, \"f2\": \"x\"}"),
    ("'very happy'::mood", "text very happy"),
    ("5::positive", "integer 5"),
    ("'abc'::short", "text abc"),
    ("'sad'::feeling", "text sad"),
    ("int4range(1, 5)", "text [1,5)"),
    ("tstzrange('2020-01-01Z', null)", "text [\"2020-01-01 00:00:00+00\",)"),
    ("'1 year 2 mons 3 days 04:05:06.7'::interval", "text P1Y2M3DT4H5M6.7S"),
    ("'12:34:56+02'::timetz", "text 12:34:56+02"),
    ("12.34::numeric::money", "text $12.34"),
    ("'10.0.0.1'::inet", "text 10.0.0.1/32"),
    ("'10.0.0.0/8'::cidr", "text 10.0.0.0/8"),
    ("'08:00:2b:01:02:03'::macaddr", "text 08:00:2b:01:02:03"),
    ("'08:00:2b:01:02:03:04:05'::macaddr8", "text 08:00:2b:01:02:03:04:05"),
    ("b'101'", "text 101"),
    ("b'101'::varbit(5)", "text 101"),
    ("point(1.5, 0.1)", "text (1.5,0.1)"),
    ("box(point(0,0), point(1,1))", "text (1,1),(0,0)"),
    ("'<a>x</a>'::xml", "text <a>x</a>"),
    ("to_tsvector('simple', 'b a')", "text 'a':2 'b':1"),
    ("'a & b'::tsquery", "text 'a' & 'b'"),
    ("'pg_class'::regclass", "text pg_class"),
    ("'$.a'::jsonpath", "text $.\"a\""),
    ("'1 2'::int2vector", "json [1, 2]"),
    ("repeat('x', 1048577)", "unrepresentable: a value larger than 1 MiB"),
];

#[tokio::test]
async fn every_type_is_read_as_its_value() {
    let database = postgres().await;
    database.execute(PREPARE).await;
    let columns: Vec<_> = TYPES.iter().enumerate().map(|(at, (sql, _))| format!("{sql} as \"c {at}\"")).collect();
    let model = query(&format!("select 1 as id, {}", columns.join(", ")), &["id"]);
    let rows = read_all(&*postgres_source(&database.url), &model).await.expect("read");
    for ((sql, expected), found) in TYPES.iter().zip(&rows[0][1..]) {
        assert_eq!(found, expected, "{sql}");
    }
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn numerics_keep_every_digit() {
    let database = postgres().await;
    let digits = "1234567890".repeat(10);
    let model = format!("select 1 as id, {digits}::numeric as a, -0.{digits}::numeric as b, {digits}.{digits} as c");
    let rows = read_all(&*postgres_source(&database.url), &query(&model, &["id"])).await.expect("read");
    assert_eq!(
        rows[0][1..],
        [format!("decimal {digits}"), format!("decimal -0.{digits}"), format!("decimal {digits}.{digits}")]
    );
}

#[tokio::test]
async fn numbers_and_times_of_every_size_are_what_the_server_prints() {
    let database = postgres().await;
    let model = "
        select g as id, n, n::text as printed, at, floor(extract(epoch from at) * 1000000)::bigint as micros
        from (select g, round((random() - 0.5)::numeric * power(10::numeric, g % 70 - 20), g % 50) as n,
                     '2000-01-01Z'::timestamptz + (random() - 0.5) * interval '3990 years' as at
              from generate_series(1, 3000) g) x";
    let rows = read_all(&*postgres_source(&database.url), &query(model, &["id"])).await.expect("read");
    assert_eq!(rows.len(), 3000);
    for row in &rows {
        assert_eq!(row[1].strip_prefix("decimal "), row[2].strip_prefix("text "));
        assert_eq!(row[3].strip_prefix("timestamp "), row[4].strip_prefix("integer "));
    }
}

#[tokio::test]
async fn the_schema_tells_names_kinds_and_types() {
    let database = postgres().await;
    database.execute(PREPARE).await;
    let model = query("select 1 as \"I d\", 'ok'::mood as mood, 1.5 as price, '{}'::int[] as list", &["I d"]);
    let schema = postgres_source(&database.url).describe(&model).await.expect("describe");
    let found: Vec<_> = schema.columns.iter().map(|c| (c.name.as_str(), c.kind, c.source_type.as_str())).collect();
    assert_eq!(
        found,
        [
            ("I d", ColumnKind::Int, "int4"),
            ("mood", ColumnKind::Text, "mood"),
            ("price", ColumnKind::Decimal, "numeric"),
            ("list", ColumnKind::Json, "int4[]"),
        ]
    );
}

#[tokio::test]
async fn settings_of_role_and_database_do_not_show_in_values() {
    let database = postgres().await;
    let name = database.url.rsplit('/').next().and_then(|tail| tail.split('?').next()).expect("a database name");
    for setting in ["timezone = 'Asia/Tokyo'", "intervalstyle = 'postgres_verbose'", "datestyle = 'SQL, DMY'"] {
        database.execute(&format!("alter database {name} set {setting}")).await;
    }
    let model = "select 1 as id, '1 day'::interval as i, tstzrange('2020-02-01Z', null) as r,
                 array['2020-02-01Z'::timestamptz] as a";
    let rows = read_all(&*postgres_source(&database.url), &query(model, &["id"])).await.expect("read");
    assert_eq!(
        rows[0][1..],
        ["text P1D", "text [\"2020-02-01 00:00:00+00\",)", "json [\"2020-02-01T00:00:00+00:00\"]"]
    );
}

#[tokio::test]
async fn a_multirange_is_refused_with_advice() {
    let database = postgres().await;
    let model = query("select 1 as id, '{[1,2)}'::int4multirange as m", &["id"]);
    let error = postgres_source(&database.url).describe(&model).await.expect_err("describe");
    assert!(matches!(&error, SourceError::Statement { reason, .. } if reason.contains("cast to text")), "{error}");
}
