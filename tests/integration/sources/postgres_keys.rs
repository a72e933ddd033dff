//! The order contract on PostgreSQL, kind by kind.

use syncline::{
    model::KeyKind,
    source::{ModelBody, SourceError},
};

use super::harness::{Keys, postgres_source, query, read_all, read_keys};
use crate::support::{TestDatabase, postgres, postgres_with};

/// Texts that collations like to reorder or to call equal.
const TEXTS: &[&str] = &[
    "",
    " ",
    "  ",
    "a",
    "a ",
    " a",
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
    "\u{7f}",
    "\u{80}",
    "\u{ffff}",
    "\u{10000}",
    "😀",
    "10",
    "9",
    "1",
    "a\tb",
    "a\nb",
    "%",
    "\\",
    "'",
    "\"",
];

async fn keys_of(database: &TestDatabase, column: &str, values: &[String], kind: KeyKind) -> Keys {
    database.execute(&format!("drop table if exists t; create table t (k {column})")).await;
    for value in values {
        database.execute(&format!("insert into t values ({value})")).await;
    }
    let keys = read_keys(&*postgres_source(&database.url), &query("select k from t", &["k"]), &[kind]).await;
    assert_eq!(keys.texts.len() + keys.invalid, values.len(), "rows of {column}");
    keys
}

fn quoted(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect()
}

fn texts() -> Vec<String> {
    let mut values = quoted(TEXTS);
    values.extend(
        ["repeat('x', 509)", "repeat('x', 510)", "repeat('x', 511)", "repeat('x', 5000)", "null"].map(str::to_owned),
    );
    values
}

#[tokio::test]
async fn text_of_every_collation_comes_in_byte_order() {
    let database = postgres().await;
    database.execute("create collation fold (provider = icu, locale = 'und-u-ks-level1', deterministic = false)").await;
    for column in ["text", "text collate \"C\"", "text collate \"en-x-icu\"", "varchar(6000) collate fold"] {
        let keys = keys_of(&database, column, &texts(), KeyKind::Text).await;
        // Null, and the two that are longer than a key may be: 510 bytes of text and two of frame.
        assert_eq!(keys.invalid, 3, "{column}");
    }
    keys_of(&database, "name", &quoted(TEXTS), KeyKind::Text).await;
}

#[tokio::test]
async fn text_of_a_linguistic_database_comes_in_byte_order() {
    let options = "encoding 'UTF8' template template0 locale_provider icu icu_locale 'en-US'";
    let database = postgres_with(options).await;
    keys_of(&database, "text", &texts(), KeyKind::Text).await;
}

#[tokio::test]
async fn text_of_another_encoding_comes_in_utf8_order() {
    // In WIN1252 the euro sign is 0x80 and sorts before é (0xE9); in UTF-8 it comes after.
    let database = postgres_with("encoding 'WIN1252' template template0 locale 'C'").await;
    let values = quoted(&["€", "é", "ÿ", "a", "œ", "Ž", "~"]);
    let keys = keys_of(&database, "text", &values, KeyKind::Text).await;
    assert_eq!(keys.texts, ["a", "~", "é", "ÿ", "œ", "Ž", "€"]);
}

#[tokio::test]
async fn enums_and_padded_texts_come_in_the_order_of_their_text() {
    let database = postgres().await;
    database.execute("create type size as enum ('small', 'medium', 'large', 'LARGE')").await;
    let keys = keys_of(&database, "size", &quoted(&["small", "medium", "large", "LARGE"]), KeyKind::Text).await;
    assert_eq!(keys.texts, ["LARGE", "large", "medium", "small"]);
    let keys = keys_of(&database, "char(3)", &quoted(&["a", "a!", "ab", "\ta", "a\t"]), KeyKind::Text).await;
    assert_eq!(keys.texts, ["\ta", "a", "a\t", "a!", "ab"]);
    database.execute("create domain code as varchar(9) collate \"en-x-icu\"").await;
    let keys = keys_of(&database, "code", &quoted(&["b", "A", "a", "B"]), KeyKind::Text).await;
    assert_eq!(keys.texts, ["A", "B", "a", "b"]);
    keys_of(&database, "inet", &quoted(&["9.0.0.1", "10.0.0.1", "::1", "10.0.0.0/8"]), KeyKind::Text).await;
}

#[tokio::test]
async fn integers_come_in_order() {
    let database = postgres().await;
    let values = ["0", "1", "-1", "255", "256", "-256", "-257", "9223372036854775807", "-9223372036854775808", "null"];
    let keys = keys_of(&database, "bigint", &values.map(str::to_owned), KeyKind::Integer).await;
    assert_eq!(keys.invalid, 1);
    keys_of(&database, "smallint", &["-32768", "32767", "0"].map(str::to_owned), KeyKind::Integer).await;
    keys_of(&database, "int", &["-2147483648", "2147483647", "0"].map(str::to_owned), KeyKind::Integer).await;
    keys_of(&database, "oid", &["4294967295", "0", "2147483648"].map(str::to_owned), KeyKind::Integer).await;
}

#[tokio::test]
async fn bytes_uuids_and_booleans_come_in_order() {
    let database = postgres().await;
    let bytes =
        quoted(&["\\x", "\\x00", "\\x0000", "\\x00ff", "\\x01", "\\x7f", "\\x80", "\\xff", "\\xffff", "\\xff00"]);
    keys_of(&database, "bytea", &bytes, KeyKind::Bytes).await;
    let uuids = quoted(&[
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "80000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-000000000001",
        "01000000-0000-0000-0000-000000000000",
    ]);
    keys_of(&database, "uuid", &uuids, KeyKind::Uuid).await;
    let keys = keys_of(&database, "bool", &["true", "null", "false"].map(str::to_owned), KeyKind::Bool).await;
    assert_eq!(keys, Keys { texts: vec!["false".into(), "true".into()], invalid: 1 });
}

#[tokio::test]
async fn dates_and_timestamps_come_in_order() {
    let database = postgres().await;
    let days = quoted(&[
        "1970-01-01",
        "1969-12-31",
        "2000-01-01",
        "0001-01-01",
        "9999-12-31",
        "0001-01-01 BC",
        "infinity",
        "-infinity",
    ]);
    assert_eq!(keys_of(&database, "date", &days, KeyKind::Date).await.invalid, 3);
    assert_eq!(keys_of(&database, "timestamp", &days, KeyKind::Timestamp).await.invalid, 3);
    assert_eq!(keys_of(&database, "timestamptz", &days, KeyKind::Timestamp).await.invalid, 3);
}

#[tokio::test]
async fn composite_keys_come_in_order() {
    let database = postgres().await;
    database.execute("create table t (a text collate \"en-x-icu\", b bigint)").await;
    let values: Vec<_> = quoted(TEXTS).iter().flat_map(|text| [-1, 0, 300].map(|n| format!("({text}, {n})"))).collect();
    database.execute(&format!("insert into t values {}, (null, 1), ('a', null)", values.join(", "))).await;
    let source = postgres_source(&database.url);
    for key in [["a", "b"], ["b", "a"]] {
        let kinds = if key[0] == "a" { [KeyKind::Text, KeyKind::Integer] } else { [KeyKind::Integer, KeyKind::Text] };
        let keys = read_keys(&*source, &query("select a, b, 1 as x from t", &key), &kinds).await;
        assert_eq!((keys.texts.len(), keys.invalid), (TEXTS.len() * 3, 2));
    }
}

#[tokio::test]
async fn a_key_is_ordered_by_the_column_and_not_by_its_rendering() {
    // The wrapping select renders `k` under the same name; ordering by that name alone would use the database's collation.
    let database = postgres().await;
    database.execute("create table \"A \"\"b\" (\"k \"\"1\" char(4) collate \"en-x-icu\"); insert into \"A \"\"b\" values ('b'), ('B'), ('a'), ('A')").await;
    let mut model = query("", &["k \"1"]);
    model.body = ModelBody::Table("public.A \"b".into());
    let keys = read_keys(&*postgres_source(&database.url), &model, &[KeyKind::Text]).await;
    assert_eq!(keys.texts, ["A", "B", "a", "b"]);
}

#[tokio::test]
async fn types_without_exact_equality_cannot_be_keys() {
    let database = postgres().await;
    let source = postgres_source(&database.url);
    for (sql, name) in
        [("1.5", "numeric"), ("1::float8", "float8"), ("'{}'::jsonb", "jsonb"), ("'1 day'::interval", "interval")]
    {
        let error = read_all(&*source, &query(&format!("select {sql} as k"), &["k"])).await.expect_err(sql);
        assert!(matches!(&error, SourceError::UnusableKey { source_type, .. } if source_type == name), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("cast")));
    }
}
