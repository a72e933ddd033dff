//! The order contract on MariaDB, kind by kind.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use syncline::{
    model::KeyKind,
    source::{ModelBody, SourceError},
};

use super::harness::{Keys, mysql_source, query, read_all, read_keys};
use crate::support::{MariaDatabase, mariadb};

/// Texts that collations like to reorder or to call equal.
const TEXTS: &[&str] = &[
    "",
    " ",
    "  ",
    "a",
    "a ",
    "a  ",
    " a",
    "a\t",
    "a!",
    "A",
    "B",
    "b",
    "_a",
    "-a",
    "a-b",
    "ab",
    "a b",
    "Z",
    "z",
    "ä",
    "a\u{308}",
    "é",
    "e\u{301}",
    "ß",
    "ss",
    "ſ",
    "ı",
    "I",
    "İ",
    "i\u{307}",
    "Ω",
    "ω",
    "中",
    "\u{1}",
    "a\u{1}",
    "\u{7f}",
    "\u{80}",
    "\u{ffff}",
    "\u{10000}",
    "😀",
    "10",
    "9",
    "1",
    "a\nb",
    "%",
    "'",
    "\"",
    "a\0",
    "a\0b",
    "\0",
];

async fn keys_of(database: &MariaDatabase, column: &str, values: &[String], kind: KeyKind) -> Keys {
    database.execute(&format!("drop table if exists t; create table t (k {column} null)")).await;
    let rows: Vec<_> = values.iter().map(|value| format!("({value})")).collect();
    database.execute(&format!("insert into t values {}", rows.join(", "))).await;
    let keys = read_keys(&*mysql_source(&database.url), &query("select k from t", &["k"]), &[kind]).await;
    assert_eq!(keys.texts.len() + keys.invalid, values.len(), "rows of {column}");
    keys
}

/// A text as SQL of the bytes in UTF-8, so that no escape and no zero byte matters.
fn literal(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("convert(x'{hex}' using utf8mb4)")
}

fn quoted(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| format!("'{value}'")).collect()
}

#[tokio::test]
async fn text_of_every_collation_comes_in_byte_order() {
    let database = mariadb().await;
    let mut values: Vec<_> = TEXTS.iter().map(|text| literal(text)).collect();
    // The longest text of a key, then three that no key can hold; only the last byte tells the first from the others.
    values.extend(["concat(repeat('x', 508), 'a')", "concat(repeat('x', 508), 'b')"].map(str::to_owned));
    values
        .extend(["repeat('x', 511)", "repeat('x', 1025)", "concat(repeat('x', 1024), 'y')", "null"].map(str::to_owned));
    for column in [
        "text",
        "text collate utf8mb4_bin",
        "text collate utf8mb4_nopad_bin",
        "varchar(2000) collate utf8mb4_unicode_ci",
        "varchar(2000) collate utf8mb4_general_ci",
        "longtext collate utf8mb4_german2_ci",
        "varchar(2000) character set utf16",
        "varchar(2000) character set utf32 collate utf32_swedish_ci",
    ] {
        let keys = keys_of(&database, column, &values, KeyKind::Text).await;
        assert_eq!(keys.invalid, 4, "{column}");
    }
}

#[tokio::test]
async fn a_short_sort_length_of_the_server_does_not_cut_keys() {
    let database = mariadb().await;
    database.execute("set global max_sort_length = 64").await;
    let values: Vec<_> = (0..200).rev().map(|n| format!("concat(repeat('x', 100), '{n:03}')")).collect();
    let keys = keys_of(&database, "text", &values, KeyKind::Text).await;
    database.execute("set global max_sort_length = 1024").await;
    assert_eq!(keys.texts.len(), 200);
}

#[tokio::test]
async fn text_of_another_encoding_comes_in_utf8_order() {
    // In cp1252, which MySQL calls latin1, the euro sign is 0x80 and sorts before é (0xE9); in UTF-8 it comes after.
    let database = mariadb().await;
    let values: Vec<_> = ["€", "é", "ÿ", "a", "œ", "Ž", "~"].map(literal).into();
    for column in ["varchar(9) character set latin1", "char(9) character set latin1 collate latin1_bin"] {
        let keys = keys_of(&database, column, &values, KeyKind::Text).await;
        assert_eq!(keys.texts, ["a", "~", "é", "ÿ", "œ", "Ž", "€"]);
    }
}

#[tokio::test]
async fn enums_sets_and_padded_texts_come_in_the_order_of_their_text() {
    let database = mariadb().await;
    let keys = keys_of(
        &database,
        "enum('small','medium','large','XL')",
        &quoted(&["small", "medium", "large", "XL"]),
        KeyKind::Text,
    )
    .await;
    assert_eq!(keys.texts, ["XL", "large", "medium", "small"]);
    let keys = keys_of(&database, "set('c','b','a')", &quoted(&["", "a", "b", "c", "b,a", "c,a"]), KeyKind::Text).await;
    assert_eq!(keys.texts, ["", "a", "b", "b,a", "c", "c,a"]);
    let keys = keys_of(
        &database,
        "char(3)",
        &[literal("a"), literal("a!"), literal("ab"), literal("\ta"), literal("a\t")],
        KeyKind::Text,
    )
    .await;
    assert_eq!(keys.texts, ["\ta", "a", "a\t", "a!", "ab"]);
}

#[tokio::test]
async fn uuids_and_addresses_come_in_the_order_of_their_text() {
    // The server sorts uuids by their node first, then by their time from its high bits down.
    let database = mariadb().await;
    let uuids = quoted(&[
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "80000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-000000000001",
        "01000000-0000-1000-8000-000000000000",
        "00000001-0000-1000-8000-ffffffffffff",
    ]);
    keys_of(&database, "uuid", &uuids, KeyKind::Text).await;
    keys_of(&database, "inet6", &quoted(&["::1", "::", "ffff::", "2001:db8::1", "::ffff:10.0.0.1"]), KeyKind::Text)
        .await;
    keys_of(&database, "inet4", &quoted(&["9.0.0.1", "10.0.0.1", "100.0.0.1"]), KeyKind::Text).await;
}

#[tokio::test]
async fn integers_and_bits_come_in_order() {
    let database = mariadb().await;
    let values = ["0", "1", "-1", "255", "256", "-256", "-257", "9223372036854775807", "-9223372036854775808", "null"];
    assert_eq!(keys_of(&database, "bigint", &values.map(str::to_owned), KeyKind::Integer).await.invalid, 1);
    keys_of(&database, "tinyint(1)", &["-128", "127", "0", "1"].map(str::to_owned), KeyKind::Integer).await;
    keys_of(&database, "int unsigned", &["4294967295", "0", "2147483648"].map(str::to_owned), KeyKind::Integer).await;
    keys_of(&database, "year", &["2155", "1901", "0", "1999"].map(str::to_owned), KeyKind::Integer).await;
    // Above 2^63 - 1 there is no integer key: such rows are invalid, and the others stay in order.
    let values = ["18446744073709551615", "9223372036854775808", "9223372036854775807", "0", "1"].map(str::to_owned);
    assert_eq!(keys_of(&database, "bigint unsigned", &values, KeyKind::Integer).await.invalid, 2);
    assert_eq!(keys_of(&database, "bit(64)", &values, KeyKind::Integer).await.invalid, 2);
    keys_of(&database, "bit(9)", &["256", "255", "1", "0", "511"].map(str::to_owned), KeyKind::Integer).await;
}

#[tokio::test]
async fn bytes_come_in_order() {
    let database = mariadb().await;
    let bytes: Vec<_> =
        ["", "00", "0000", "00ff", "01", "20", "2000", "61", "6120", "6100", "41", "7f", "80", "ff", "ffff", "ff00"]
            .iter()
            .map(|hex| format!("x'{hex}'"))
            .collect();
    for column in ["varbinary(9)", "blob", "longblob"] {
        keys_of(&database, column, &bytes, KeyKind::Bytes).await;
    }
    let padded: Vec<_> = ["00", "01", "61", "6120", "41", "80", "ffff"].iter().map(|hex| format!("x'{hex}'")).collect();
    keys_of(&database, "binary(4)", &padded, KeyKind::Bytes).await;
}

#[tokio::test]
async fn dates_and_timestamps_come_in_order() {
    let database = mariadb().await;
    let days = quoted(&[
        "1970-01-01",
        "1969-12-31",
        "2000-01-01",
        "0001-01-01",
        "9999-12-31",
        "0000-00-00",
        "2026-00-15",
        "2026-02-31",
    ]);
    assert_eq!(keys_of(&database, "date", &days, KeyKind::Date).await.invalid, 3);
    assert_eq!(keys_of(&database, "datetime", &days, KeyKind::Timestamp).await.invalid, 3);
    let micros = quoted(&[
        "1970-01-01 00:00:00.000001",
        "1970-01-01",
        "1969-12-31 23:59:59.999999",
        "9999-12-31 23:59:59.999999",
    ]);
    keys_of(&database, "datetime(6)", &micros, KeyKind::Timestamp).await;
    let instants =
        quoted(&["2038-01-19 03:14:07", "1970-01-01 00:00:01", "0000-00-00 00:00:00", "2000-02-29 12:00:00"]);
    assert_eq!(keys_of(&database, "timestamp", &instants, KeyKind::Timestamp).await.invalid, 1);
}

#[tokio::test]
async fn composite_keys_come_in_order() {
    let database = mariadb().await;
    database.execute("create table t (a text collate utf8mb4_unicode_ci, b bigint)").await;
    let values: Vec<_> =
        TEXTS.iter().flat_map(|text| [-1, 0, 300].map(|n| format!("({}, {n})", literal(text)))).collect();
    database.execute(&format!("insert into t values {}, (null, 1), ('a', null)", values.join(", "))).await;
    let source = mysql_source(&database.url);
    for key in [["a", "b"], ["b", "a"]] {
        let kinds = if key[0] == "a" { [KeyKind::Text, KeyKind::Integer] } else { [KeyKind::Integer, KeyKind::Text] };
        let keys = read_keys(&*source, &query("select a, b, 1 as x from t", &key), &kinds).await;
        assert_eq!((keys.texts.len(), keys.invalid), (TEXTS.len() * 3, 2));
    }
}

#[tokio::test]
async fn a_key_of_an_indexed_table_and_of_a_subselect_is_ordered_alike() {
    let database = mariadb().await;
    database.execute("create table `A ``b` (`k \"1` varchar(9) collate utf8mb4_bin primary key, v int); insert into `A ``b` values ('b', 1), ('B', 2), ('a ', 3), ('a!', 4), ('A', 5)").await;
    let mut model = query("", &["k \"1"]);
    model.body = ModelBody::Table("A `b".into());
    let source = mysql_source(&database.url);
    assert_eq!(read_keys(&*source, &model, &[KeyKind::Text]).await.texts, ["A", "B", "a ", "a!", "b"]);
    model.body = ModelBody::Sql("select `k \"1`, max(v) as v from `A ``b` group by 1 order by v desc limit 10".into());
    assert_eq!(read_keys(&*source, &model, &[KeyKind::Text]).await.texts, ["A", "B", "a ", "a!", "b"]);
}

/// Random values of a kind as SQL literals, with the type of a column that holds them.
fn random(kind: &str, runner: &mut TestRunner) -> Vec<String> {
    let one: BoxedStrategy<String> = match kind {
        "bigint" => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        "bigint unsigned" => any::<u64>().prop_map(|value| value.to_string()).boxed(),
        "date" => (1..=9999_u16, 1..=12_u8, 1..=31_u8).prop_map(|(y, m, d)| format!("'{y:04}-{m:02}-{d:02}'")).boxed(),
        "datetime(6)" => (1..=9999_u16, 1..=12_u8, 1..=28_u8, 0..24_u8, 0..1_000_000_u32)
            .prop_map(|(y, m, d, h, f)| format!("'{y:04}-{m:02}-{d:02} {h:02}:59:59.{f:06}'"))
            .boxed(),
        "uuid" => any::<u128>()
            .prop_map(|value| {
                let hex = format!("{value:032x}");
                format!("'{}-{}-{}-{}-{}'", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            })
            .boxed(),
        "varbinary(64)" => prop::collection::vec(prop_oneof![Just(0_u8), Just(0xFF), any::<u8>()], 0..12)
            .prop_map(|bytes| format!("x'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
            .boxed(),
        _ => prop_oneof!["[ aAäß\u{0}\u{1}]{0,6}", "\\PC{0,12}"].prop_map(|text| literal(&text)).boxed(),
    };
    (0..400).map(|_| one.new_tree(runner).expect("a value").current()).collect()
}

#[tokio::test]
async fn random_keys_of_every_kind_come_in_order() {
    let database = mariadb().await;
    let source = mysql_source(&database.url);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    for (column, kind) in [
        ("bigint", KeyKind::Integer),
        ("bigint unsigned", KeyKind::Integer),
        ("date", KeyKind::Date),
        ("datetime(6)", KeyKind::Timestamp),
        ("uuid", KeyKind::Text),
        ("varbinary(64)", KeyKind::Bytes),
        ("varchar(64)", KeyKind::Text),
        ("text collate utf8mb4_bin", KeyKind::Text),
    ] {
        let rows: Vec<_> = random(column, &mut runner).iter().map(|value| format!("({value})")).collect();
        database
            .execute(&format!(
                "drop table if exists t; create table t (k {column}); insert into t values {}",
                rows.join(", ")
            ))
            .await;
        // One row for each key: two texts that the collation calls equal are two keys.
        let distinct = match kind {
            KeyKind::Text => "select min(k) as k from t group by cast(convert(k using utf8mb4) as binary)",
            _ => "select distinct k from t",
        };
        let keys = read_keys(&*source, &query(distinct, &["k"]), &[kind]).await;
        assert!(keys.texts.len() > 150, "{column}: {} keys, {} invalid", keys.texts.len(), keys.invalid);
    }
}

#[tokio::test]
async fn types_without_exact_equality_cannot_be_keys() {
    let database = mariadb().await;
    let source = mysql_source(&database.url);
    for (sql, name) in [
        ("1.5", "decimal"),
        ("1e0", "double"),
        ("timediff('10:00', '09:00')", "time"),
        ("point(1, 2)", "geometry"),
        ("null", "null"),
    ] {
        let error = read_all(&*source, &query(&format!("select {sql} as k"), &["k"])).await.expect_err(sql);
        assert!(matches!(&error, SourceError::UnusableKey { source_type, .. } if source_type == name), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("cast")));
    }
}
