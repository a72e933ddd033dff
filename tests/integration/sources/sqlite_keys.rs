//! The order contract on SQLite, kind by kind.

use syncline::{model::KeyKind, source::SourceError};

use super::harness::{Keys, query, read_all, read_keys, sqlite_source};
use crate::support::sqlite_file;

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "a ",
    "A",
    "B",
    "b",
    "_a",
    "ab",
    "Z",
    "ä",
    "a\u{308}",
    "é",
    "e\u{301}",
    "ß",
    "\u{7f}",
    "\u{80}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10000}",
    "😀",
    "10",
    "9",
];

fn texts() -> String {
    let long = [510, 511, 5000].map(|length| format!("('{}')", "x".repeat(length)));
    let short = TEXTS.iter().map(|text| format!("('{text}')"));
    short.chain(long).chain(["(null)".to_owned(), "('a' || char(0))".to_owned()]).collect::<Vec<_>>().join(", ")
}

async fn keys_of(declared: &str, values: &str, kind: KeyKind) -> Keys {
    let file = sqlite_file();
    file.execute(&format!("create table t (k {declared}); insert into t values {values}")).await;
    read_keys(&*sqlite_source(&file.path), &query("select k from t", &["k"]), &[kind]).await
}

#[tokio::test]
async fn text_of_every_collation_comes_in_byte_order() {
    for declared in ["text", "text collate nocase", "varchar(9) collate rtrim", "", "collate nocase"] {
        let keys = keys_of(declared, &texts(), KeyKind::Text).await;
        // Null, and the two that are longer than a key may be.
        assert_eq!((keys.texts.len(), keys.invalid), (TEXTS.len() + 2, 3), "{declared}");
    }
}

#[tokio::test]
async fn text_of_a_utf16_database_comes_in_byte_order() {
    for encoding in ["UTF-16le", "UTF-16be"] {
        let file = sqlite_file();
        file.execute(&format!("pragma encoding = '{encoding}'; create table t (k text, n int)")).await;
        file.execute(&format!("insert into t (k) values {}", texts())).await;
        let source = sqlite_source(&file.path);
        let keys = read_keys(&*source, &query("select k from t", &["k"]), &[KeyKind::Text]).await;
        assert_eq!((keys.texts.len(), keys.invalid), (TEXTS.len() + 2, 3), "{encoding}");
        let rows = read_all(&*source, &query("select k from t where k = '😀'", &["k"])).await.expect("read");
        assert_eq!(rows, [["text 😀"]]);
    }
}

#[tokio::test]
async fn integers_come_in_order_whatever_stands_between() {
    let values = "(0), (1), (-1), (255), (256), (-256), (9223372036854775807), (-9223372036854775808), (1.5), ('x'), (x'00'), (null)";
    for declared in ["integer", "bigint", "decimal(10,0)", "numeric"] {
        let keys = keys_of(declared, values, KeyKind::Integer).await;
        assert_eq!((keys.texts.len(), keys.invalid), (8, 4), "{declared}");
    }
}

#[tokio::test]
async fn blobs_and_booleans_come_in_order() {
    let blobs = "(x''), (x'00'), (x'0000'), (x'00ff'), (x'01'), (x'7f'), (x'80'), (x'ff'), (x'ff00'), ('text'), (1)";
    let keys = keys_of("blob", blobs, KeyKind::Bytes).await;
    assert_eq!((keys.texts.len(), keys.invalid), (9, 2));
    let keys = keys_of("boolean", "(1), (0), (2), ('true')", KeyKind::Bool).await;
    assert_eq!(keys, Keys { texts: vec!["false".into(), "true".into()], invalid: 2 });
}

#[tokio::test]
async fn composite_keys_come_in_order() {
    let file = sqlite_file();
    file.execute("create table t (a text collate nocase, b)").await;
    let values: Vec<_> =
        TEXTS.iter().flat_map(|text| ["-1", "0", "300", "1.0", "null"].map(|n| format!("('{text}', {n})"))).collect();
    file.execute(&format!("insert into t values {}", values.join(", "))).await;
    let source = sqlite_source(&file.path);
    for key in [["a", "b"], ["b", "a"]] {
        let kinds = if key[0] == "a" { [KeyKind::Text, KeyKind::Integer] } else { [KeyKind::Integer, KeyKind::Text] };
        let keys = read_keys(&*source, &query("select * from t", &key), &kinds).await;
        assert_eq!((keys.texts.len(), keys.invalid), (TEXTS.len() * 3, TEXTS.len() * 2));
    }
}

#[tokio::test]
async fn an_untyped_key_takes_the_kind_of_its_first_value_or_the_one_that_was_fixed() {
    let file = sqlite_file();
    file.execute("create table t (k); insert into t values (null), ('b'), (2), ('a'), (1)").await;
    let source = sqlite_source(&file.path);
    let mut model = query("select k from t", &["k"]);
    assert_eq!(read_keys(&*source, &model, &[KeyKind::Text]).await.texts, ["a", "b"]);
    model.key_kinds = Some(vec![KeyKind::Integer]);
    assert_eq!(read_keys(&*source, &model, &[KeyKind::Integer]).await.texts, ["1", "2"]);
    let empty = query("select k from t where 0", &["k"]);
    assert_eq!(read_keys(&*source, &empty, &[KeyKind::Text]).await, Keys { texts: vec![], invalid: 0 });
    let computed = query("select k || '!' as k from t where k is not null", &["k"]);
    assert_eq!(read_keys(&*source, &computed, &[KeyKind::Text]).await.texts, ["1!", "2!", "a!", "b!"]);
}

#[tokio::test]
async fn reals_cannot_be_keys() {
    let file = sqlite_file();
    file.execute("create table t (k real, u); insert into t values (1, 1.5)").await;
    for column in ["k", "u"] {
        let error =
            read_all(&*sqlite_source(&file.path), &query("select * from t", &[column])).await.expect_err(column);
        assert!(matches!(&error, SourceError::UnusableKey { source_type, .. } if source_type == "real"), "{error}");
    }
}
