//! MySQL's and MariaDB's types, as far as MariaDB has them: its `json` is a text, and MySQL alone has no `uuid`, `inet4`,
//! `inet6`.

use syncline::source::{ServerConnection, ServerSettings, SourceConfig};

use super::check::{Case, Source, cast, invalid, sent, tables};
use crate::support::{Workspace, mariadb};

const CASES: &[Case] = &[
    sent("tinyint", "tinyint", "-128", "-128"),
    sent("tinyint", "tinyint unsigned", "255", "255"),
    sent("tinyint", "tinyint(1)", "1", "1"),
    sent("tinyint", "boolean", "false", "0"),
    sent("tinyint", "tinyint(1) unsigned", "255", "255"),
    sent("smallint", "smallint", "-32768", "-32768"),
    sent("smallint", "smallint unsigned", "65535", "65535"),
    sent("mediumint", "mediumint", "-8388608", "-8388608"),
    sent("mediumint", "mediumint unsigned", "16777215", "16777215"),
    sent("int", "int", "-2147483648", "-2147483648"),
    sent("int", "int unsigned", "4294967295", "4294967295"),
    sent("int", "int(8) zerofill", "42", "42"),
    sent("int", "int", "null", "null"),
    sent("bigint", "bigint", "-9223372036854775808", "-9223372036854775808"),
    sent("bigint", "bigint", "9223372036854775807", "9223372036854775807"),
    sent("bigint", "bigint unsigned", "9223372036854775807", "9223372036854775807"),
    sent("bigint", "bigint unsigned", "18446744073709551615", r#""18446744073709551615""#),
    sent("bit", "bit(1)", "b'1'", "1"),
    sent("bit", "bit(64)", "x'ffffffffffffffff'", r#""18446744073709551615""#),
    sent("year", "year", "1901", "1901"),
    sent("year", "year", "2155", "2155"),
    sent("year", "year", "0", "0"),
    sent("decimal", "decimal(10,2)", "-0.5", "-0.5"),
    sent("decimal", "decimal(8,2) zerofill", "12.5", "12.5"),
    sent(
        "decimal",
        "decimal(65,30)",
        "99999999999999999999999999999999999.999999999999999999999999999999",
        r#""99999999999999999999999999999999999.999999999999999999999999999999""#,
    ),
    sent(
        "decimal",
        "decimal(65,0)",
        "-99999999999999999999999999999999999999999999999999999999999999999",
        r#""-99999999999999999999999999999999999999999999999999999999999999999""#,
    ),
    sent("float", "float", "0.1", "0.1"),
    sent("float", "float", "-3.4028235e38", "-3.4028235e38"),
    sent("double", "double", "1.7976931348623157e308", "1.7976931348623157e308"),
    sent("double", "double", "2.2250738585072014e-308", "2.2250738585072014e-308"),
    sent("date", "date", "'0001-01-01'", r#""0001-01-01""#),
    sent("date", "date", "'9999-12-31'", r#""9999-12-31""#),
    invalid("date", "date", "'0000-00-00'", "bad_value"),
    invalid("date", "date", "'2026-00-15'", "bad_value"),
    invalid("date", "date", "'2026-02-31'", "bad_value"),
    sent("datetime", "datetime", "'2026-11-22 09:30:00'", r#""2026-11-22T09:30:00""#),
    sent("datetime", "datetime(6)", "'9999-12-31 23:59:59.999999'", r#""9999-12-31T23:59:59.999999""#),
    invalid("datetime", "datetime", "'0000-00-00 00:00:00'", "bad_value"),
    sent("timestamp", "timestamp null", "'1970-01-01 00:00:01'", r#""1970-01-01T00:00:01Z""#),
    sent("timestamp", "timestamp(6) null", "'2038-01-19 03:14:07.999999'", r#""2038-01-19T03:14:07.999999Z""#),
    invalid("timestamp", "timestamp null", "'0000-00-00 00:00:00'", "bad_value"),
    sent("time", "time", "'09:30:00'", r#""09:30:00""#),
    sent("time", "time", "'-838:59:59'", r#""-838:59:59""#),
    sent("time", "time(6)", "'838:59:59'", r#""838:59:59.000000""#),
    sent("char", "char(5)", "'ab '", r#""ab""#),
    sent("char", "char(5) character set latin1", "'é'", r#""é""#),
    sent("varchar", "varchar(9)", "'ab '", r#""ab ""#),
    sent("varchar", "varchar(9) collate utf8mb4_bin", "'é😀'", r#""é😀""#),
    sent("varchar", "varchar(9) character set utf16", "'😀'", r#""😀""#),
    sent("tinytext", "tinytext", "''", r#""""#),
    sent("text", "text character set latin1", "'é€'", r#""é€""#),
    sent("mediumtext", "mediumtext", "'a'", r#""a""#),
    invalid("mediumtext", "mediumtext", "repeat('x', 1048577)", "too_large"),
    sent("longtext", "longtext collate utf8mb4_bin", "'a'", r#""a""#),
    sent("enum", "enum('b','ä')", "'ä'", r#""ä""#),
    sent("enum", "enum('b','a')", "'no such'", r#""""#),
    sent("set", "set('b','a','c')", "'c,b'", r#""b,c""#),
    sent("set", "set('b','a')", "''", r#""""#),
    cast("binary", "binary(4)", "x'00ff'", r#""\\x00ff0000""#),
    cast("varbinary", "varbinary(9)", "x'00ff00'", r#""\\x00ff00""#),
    cast("tinyblob", "tinyblob", "''", r#""\\x""#),
    cast("blob", "blob", "x'80'", r#""\\x80""#),
    cast("mediumblob", "mediumblob", "x'80'", r#""\\x80""#),
    invalid("longblob", "longblob", "repeat('x', 1048577)", "too_large"),
    cast("longblob", "longblob", "x'ff'", r#""\\xff""#),
    invalid("blob", "blob", "x'80'", "unencodable"),
    sent("json (MariaDB)", "json", "'{\"b\":  [1, null]}'", r#""{\"b\":  [1, null]}""#),
    sent(
        "uuid (MariaDB)",
        "uuid",
        "'00112233-4455-6677-8899-AABBCCDDEEFF'",
        r#""00112233-4455-6677-8899-aabbccddeeff""#,
    ),
    sent("inet4 (MariaDB)", "inet4", "'10.0.0.1'", r#""10.0.0.1""#),
    sent("inet6 (MariaDB)", "inet6", "'2001:DB8::1'", r#""2001:db8::1""#),
    sent("geometry", "geometry", "st_geomfromtext('linestring(0 0, 1 1)')", r#""LINESTRING(0 0,1 1)""#),
    sent("geometry", "point", "st_geomfromtext('point(1.5 0.1)')", r#""POINT(1.5 0.1)""#),
    sent("geometry", "polygon", "st_geomfromtext('polygon((0 0,1 0,1 1,0 0))')", r#""POLYGON((0 0,1 0,1 1,0 0))""#),
];

#[tokio::test]
async fn every_mariadb_type_arrives_as_documented() {
    let database = mariadb().await;
    database.execute(&tables(CASES)).await;
    let settings = ServerSettings {
        connection: ServerConnection::Url(database.url.as_str().into()),
        tls: None,
        connect_timeout: ServerSettings::CONNECT_TIMEOUT,
    };
    let source = Source {
        section: "MySQL and MariaDB",
        cases: CASES,
        lines: "type = \"mysql\"\nurl = { env = \"WAREHOUSE_URL\" }",
        url: &database.url,
        config: SourceConfig::Mysql(settings),
    };
    source.check(Workspace::new()).await;
}
