//! Every type of MySQL and MariaDB, read as the value that the contract defines.

use sqlx::Row;
use syncline::model::ColumnKind;

use super::harness::{mysql_source, query, read_all};
use crate::support::mariadb;

const OUTSIDE: &str = "unrepresentable: a date or time that no calendar has, or outside years 1 to 9999";

/// Type of a column, value as SQL, and the cell it is read as.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("int", "null", "null"),
    ("enum('a')", "null", "null"),
    ("datetime", "null", "null"),
    ("time", "null", "null"),
    ("geometry", "null", "null"),
    ("tinyint", "-128", "integer -128"),
    ("tinyint(1)", "1", "integer 1"),
    ("tinyint(1)", "-128", "integer -128"),
    ("tinyint(1) unsigned", "255", "integer 255"),
    ("tinyint unsigned", "255", "integer 255"),
    ("smallint", "-32768", "integer -32768"),
    ("smallint unsigned", "65535", "integer 65535"),
    ("mediumint", "-8388608", "integer -8388608"),
    ("mediumint unsigned", "16777215", "integer 16777215"),
    ("int", "-2147483648", "integer -2147483648"),
    ("int unsigned", "4294967295", "integer 4294967295"),
    ("int(8) zerofill", "42", "integer 42"),
    ("bigint", "-9223372036854775808", "integer -9223372036854775808"),
    ("bigint", "9223372036854775807", "integer 9223372036854775807"),
    ("bigint unsigned", "9223372036854775807", "integer 9223372036854775807"),
    ("bigint unsigned", "9223372036854775808", "decimal 9223372036854775808"),
    ("bigint unsigned", "18446744073709551615", "decimal 18446744073709551615"),
    ("bit(1)", "b'1'", "integer 1"),
    ("bit(9)", "b'101010101'", "integer 341"),
    ("bit(64)", "x'7fffffffffffffff'", "integer 9223372036854775807"),
    ("bit(64)", "x'ffffffffffffffff'", "decimal 18446744073709551615"),
    ("year", "2155", "integer 2155"),
    ("year", "1901", "integer 1901"),
    ("year", "0", "integer 0"),
    ("decimal(10,2)", "-0.5", "decimal -0.50"),
    ("decimal(8,2) zerofill", "12.5", "decimal 12.50"),
    (
        "decimal(65,30)",
        "99999999999999999999999999999999999.999999999999999999999999999999",
        "decimal 99999999999999999999999999999999999.999999999999999999999999999999",
    ),
    (
        "decimal(65,0)",
        "-99999999999999999999999999999999999999999999999999999999999999999",
        "decimal -99999999999999999999999999999999999999999999999999999999999999999",
    ),
    ("float", "0.1", "float 0.1"),
    ("float", "3.4028235e38", "float 3.4028235e38"),
    ("float", "1.17549e-38", "float 1.17549e-38"),
    ("double", "0.1", "float 0.1"),
    ("double", "-1.7976931348623157e308", "float -1.7976931348623157e308"),
    ("double", "2.2250738585072014e-308", "float 2.2250738585072014e-308"),
    ("date", "'1970-01-01'", "date 0"),
    ("date", "'0001-01-01'", "date -719162"),
    ("date", "'9999-12-31'", "date 2932896"),
    ("date", "'0000-00-00'", OUTSIDE),
    ("date", "'2026-00-15'", OUTSIDE),
    ("date", "'2026-11-00'", OUTSIDE),
    ("date", "'2026-02-31'", OUTSIDE),
    ("datetime", "'0000-00-00 00:00:00'", OUTSIDE),
    ("datetime", "'1970-01-01 00:00:01'", "timestamp without time zone 1000000"),
    ("datetime(6)", "'1969-12-31 23:59:59.999999'", "timestamp without time zone -1"),
    ("datetime(6)", "'9999-12-31 23:59:59.999999'", "timestamp without time zone 253402300799999999"),
    ("datetime", "'0001-01-01'", "timestamp without time zone -62135596800000000"),
    ("timestamp null", "'1970-01-01 00:00:01'", "timestamp 1000000"),
    ("timestamp(6) null", "'2038-01-19 03:14:07.999999'", "timestamp 2147483647999999"),
    ("timestamp null", "0", OUTSIDE),
    ("time", "'09:30:00'", "text 09:30:00"),
    ("time", "'-838:59:59'", "text -838:59:59"),
    ("time(6)", "'838:59:59'", "text 838:59:59.000000"),
    ("time(3)", "'-00:00:00.5'", "text -00:00:00.500"),
    ("char(5)", "'ab '", "text ab"),
    ("char(5) collate utf8mb4_bin", "'ab'", "text ab"),
    ("varchar(9)", "'ab '", "text ab "),
    ("varchar(9) collate utf8mb4_bin", "'😀é'", "text 😀é"),
    ("varchar(9) character set latin1", "'é€'", "text é€"),
    ("varchar(9) character set utf16", "'😀'", "text 😀"),
    ("varchar(9) character set sjis", "'中'", "text 中"),
    ("tinytext", "'a'", "text a"),
    ("text", "''", "text "),
    ("mediumtext character set latin1", "'é'", "text é"),
    ("longtext", "'a\\0b'", "text a\0b"),
    ("mediumtext", "repeat('x', 1048577)", "unrepresentable: a value larger than 1 MiB"),
    ("binary(4)", "x'00ff'", "bytes [00, ff, 00, 00]"),
    ("varbinary(9)", "x'00ff00'", "bytes [00, ff, 00]"),
    ("tinyblob", "''", "bytes []"),
    ("blob", "x'80'", "bytes [80]"),
    ("mediumblob", "x'80'", "bytes [80]"),
    ("longblob", "x'80'", "bytes [80]"),
    ("enum('b','ä')", "'ä'", "text ä"),
    ("enum('b','a')", "'no such'", "text "),
    ("set('b','a','c')", "'c,b'", "text b,c"),
    ("set('b','a')", "''", "text "),
    ("json", "'{\"b\":  1}'", "text {\"b\":  1}"),
    ("uuid", "'00112233-4455-6677-8899-AABBCCDDEEFF'", "text 00112233-4455-6677-8899-aabbccddeeff"),
    ("inet4", "'10.0.0.1'", "text 10.0.0.1"),
    ("inet6", "'2001:DB8::1'", "text 2001:db8::1"),
    ("point", "st_geomfromtext('point(1.5 0.1)')", "text POINT(1.5 0.1)"),
    ("geometry", "st_geomfromtext('linestring(0 0, 1 1)')", "text LINESTRING(0 0,1 1)"),
];

/// Expressions, whose types are not those of any column.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("null", "null"),
    ("1", "integer 1"),
    ("true", "integer 1"),
    ("1 = 2", "integer 0"),
    ("1.50", "decimal 1.50"),
    ("1e0", "float 1.0"),
    ("'untyped'", "text untyped"),
    ("x'00ff'", "bytes [00, ff]"),
    ("cast('a' as binary)", "bytes [61]"),
    ("count(*)", "integer 1"),
    ("sum(1)", "decimal 1"),
    ("avg(1)", "decimal 1.0000"),
    ("cast(-1 as unsigned)", "decimal 18446744073709551615"),
    ("date '2026-11-22' + interval 1 day", "date 20780"),
    ("timestamp '1970-01-01 00:00:00'", "timestamp without time zone 0"),
    ("timediff('10:00:00', '11:30:00')", "text -01:30:00"),
    ("json_object('a', 1)", "text {\"a\": 1}"),
    ("concat('a', 1)", "text a1"),
    ("if(true, 'a', 1)", "text a"),
    ("st_geomfromtext('point(1 2)')", "text POINT(1 2)"),
];

#[tokio::test]
async fn every_column_type_is_read_as_its_value() {
    let database = mariadb().await;
    let columns: Vec<_> = COLUMNS.iter().enumerate().map(|(at, (kind, ..))| format!("`c {at}` {kind}")).collect();
    let values: Vec<_> = COLUMNS.iter().map(|(_, value, _)| *value).collect();
    database
        .execute(&format!("create table t (id int primary key, {}) row_format = dynamic", columns.join(", ")))
        .await;
    database.execute(&format!("insert into t values (1, {})", values.join(", "))).await;
    let source = mysql_source(&database.url);
    // As columns of the table, and through a subselect that the server makes a temporary table of.
    for sql in ["select * from t", "select distinct x.* from (select * from t limit 1) as x"] {
        let rows = read_all(&*source, &query(sql, &["id"])).await.expect(sql);
        assert_eq!(rows.len(), 1);
        for ((kind, value, expected), found) in COLUMNS.iter().zip(&rows[0][1..]) {
            assert_eq!(found, expected, "{kind}: {value}");
        }
    }
}

#[tokio::test]
async fn expressions_are_read_as_their_values() {
    let database = mariadb().await;
    let columns: Vec<_> = EXPRESSIONS.iter().enumerate().map(|(at, (sql, _))| format!("{sql} as `c{at}`")).collect();
    let model = query(&format!("select 1 as id, {}", columns.join(", ")), &["id"]);
    let rows = read_all(&*mysql_source(&database.url), &model).await.expect("read");
    for ((sql, expected), found) in EXPRESSIONS.iter().zip(&rows[0][1..]) {
        assert_eq!(found, expected, "{sql}");
    }
}

#[tokio::test]
async fn numbers_and_times_of_every_size_are_what_the_server_prints() {
    let database = mariadb().await;
    let model = "
        select seq as id, cast((rand() - 0.5) * pow(10, seq % 40) as decimal(65, 20)) as n,
               timestampadd(microsecond, floor(rand() * 9e16), timestamp '1000-01-01 00:00:00') as at
        from seq_1_to_3000";
    database.execute(&format!("create table t as {model}")).await;
    let model = "select id, n, cast(n as char) as printed, at,
                 (to_days(at) - 719528) * 86400000000 + cast(floor(time_to_sec(at)) as int) * 1000000 + microsecond(at) as micros from t";
    let rows = read_all(&*mysql_source(&database.url), &query(model, &["id"])).await.expect("read");
    assert_eq!(rows.len(), 3000);
    for row in &rows {
        assert_eq!(row[1].strip_prefix("decimal "), row[2].strip_prefix("text "));
        assert_eq!(row[3].strip_prefix("timestamp without time zone "), row[4].strip_prefix("integer "));
    }
}

#[tokio::test]
async fn the_schema_tells_names_kinds_and_types() {
    let database = mariadb().await;
    database
        .execute("create table t (`I d` int unsigned, b tinyint(1), j json, s varchar(9) collate utf8mb4_bin, v varbinary(9), t time, u uuid)")
        .await;
    let schema = mysql_source(&database.url).describe(&query("select * from t", &["I d"])).await.expect("describe");
    let found: Vec<_> = schema.columns.iter().map(|c| (c.name.as_str(), c.kind, c.source_type.as_str())).collect();
    assert_eq!(
        found,
        [
            ("I d", ColumnKind::Int, "int unsigned"),
            ("b", ColumnKind::Int, "tinyint(1)"),
            ("j", ColumnKind::Text, "text"),
            ("s", ColumnKind::Text, "varchar"),
            ("v", ColumnKind::Bytes, "varbinary"),
            ("t", ColumnKind::Text, "time"),
            ("u", ColumnKind::Text, "char"),
        ]
    );
}

#[tokio::test]
async fn settings_of_the_server_do_not_show_in_values() {
    let database = mariadb().await;
    database.execute("create table t (id int, c char(5), at timestamp null); insert into t values (1, 'a', '2026-01-01 00:00:00'), (2, 'b', null)").await;
    let model =
        query("select id, c, at, monthname('2026-03-01') as month, 'a' || 'b' as n, \"text\" as q from t", &["id"]);
    let mut connection = database.connect().await;
    let row =
        sqlx::query("select @@global.sql_mode, @@global.time_zone, @@global.lc_time_names, @@global.sql_select_limit")
            .fetch_one(&mut connection)
            .await
            .expect("settings");
    let (mode, zone, names, limit): (String, String, String, u64) = (row.get(0), row.get(1), row.get(2), row.get(3));
    database.execute("set global sql_mode = 'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,PIPES_AS_CONCAT', global time_zone = '+09:00', global lc_time_names = 'de_DE', global sql_select_limit = 1").await;
    let rows = read_all(&*mysql_source(&database.url), &model).await;
    database.execute(&format!("set global sql_mode = '{mode}', global time_zone = '{zone}', global lc_time_names = '{names}', global sql_select_limit = {limit}")).await;
    let rows = rows.expect("read");
    assert_eq!(rows.len(), 2, "a limit of the server cut the result short");
    assert_eq!(rows[0][1..], ["text a", "timestamp 1767225600000000", "text March", "integer 0", "text text"]);
}
