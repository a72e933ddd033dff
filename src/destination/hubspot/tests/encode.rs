//! Requests, and the rules for names and values.

use proptest::prelude::*;

use super::{
    super::{
        config::{CAPABILITIES, accepts, check_sync, normalise},
        encode::{counted_len, encode, row_len},
    },
    CANARY, batch, record,
};
use crate::{
    destination::{Batch, BatchRow, tests::sync},
    model::{
        Operation, RecordRef, Value,
        spec::{Mode, SyncSpec},
    },
};

fn body_of(batch: &Batch) -> String {
    let body: serde_json::Value = serde_json::from_slice(&encode(batch).body).unwrap();
    serde_json::to_string_pretty(&body).unwrap()
}

#[test]
fn an_upsert_is_addressed_by_the_normalised_match_and_all_values_are_strings() {
    let mut batch = batch(Operation::Upsert, 0);
    let record = record(&[
        ("active", Value::Bool(true)),
        ("born", Value::Date(0)),
        ("email", Value::Text(" Ada@Example.COM ")),
        ("mrr", Value::Decimal("12.50")),
        ("nickname", Value::Null),
        ("quote", Value::Text("say \"hi\"\n")),
        ("seen", Value::Timestamp(1_234_567)),
    ]);
    batch.rows.push(BatchRow { correlation: 42, record_id: None, idempotency_key: None, record });
    insta::assert_snapshot!(body_of(&batch), @r#"
    {
      "inputs": [
        {
          "id": "ada@example.com",
          "idProperty": "email",
          "objectWriteTraceId": "42",
          "properties": {
            "active": "true",
            "born": "1970-01-01",
            "email": " Ada@Example.COM ",
            "mrr": "12.5",
            "nickname": "",
            "quote": "say \"hi\"\n",
            "seen": "1970-01-01T00:00:01.234Z"
          }
        }
      ]
    }
    "#);
}

#[test]
fn an_update_is_addressed_by_record_id() {
    insta::assert_snapshot!(body_of(&batch(Operation::Update, 1)), @r#"
    {
      "inputs": [
        {
          "id": "101",
          "objectWriteTraceId": "1",
          "properties": {
            "email": " 1@Example.com",
            "name": "canary-7f3a"
          }
        }
      ]
    }
    "#);
}

#[test]
fn a_clear_sends_empty_strings() {
    let mut batch = batch(Operation::Clear, 1);
    batch.rows[0].record = record(&[("name", Value::Null), ("plan", Value::Null)]);
    insta::assert_snapshot!(body_of(&batch), @r#"
    {
      "inputs": [
        {
          "id": "101",
          "objectWriteTraceId": "1",
          "properties": {
            "name": "",
            "plan": ""
          }
        }
      ]
    }
    "#);
}

#[test]
fn a_create_names_no_id() {
    insta::assert_snapshot!(body_of(&batch(Operation::Insert, 1)), @r#"
    {
      "inputs": [
        {
          "objectWriteTraceId": "1",
          "properties": {
            "email": " 1@Example.com",
            "name": "canary-7f3a"
          }
        }
      ]
    }
    "#);
}

#[test]
fn an_update_without_a_known_record_is_by_match() {
    let mut update = batch(Operation::Update, 1);
    update.rows[0].record_id = None;
    insta::assert_snapshot!(body_of(&update), @r#"
    {
      "inputs": [
        {
          "id": "1@example.com",
          "idProperty": "email",
          "objectWriteTraceId": "1",
          "properties": {
            "email": " 1@Example.com",
            "name": "canary-7f3a"
          }
        }
      ]
    }
    "#);
}

#[test]
fn events_cannot_be_appended_because_nothing_names_a_repetition() {
    let append = SyncSpec { mode: Mode::Append, ..sync("contacts", &["email"]) };
    assert_eq!(check_sync(&append).unwrap_err().key, "mode");
}

#[test]
fn an_archive_names_ids_only() {
    insta::assert_snapshot!(body_of(&batch(Operation::Delete, 2)), @r#"
    {
      "inputs": [
        {
          "id": "101"
        },
        {
          "id": "102"
        }
      ]
    }
    "#);
}

#[test]
fn a_row_that_cannot_be_addressed_is_refused_alone() {
    let mut upsert = batch(Operation::Upsert, 3);
    upsert.rows[0].record = record(&[("email", Value::Text("  "))]);
    upsert.rows[2].record = record(&[("name", Value::Text(CANARY))]);
    let encoded = encode(&upsert);
    let refused: Vec<_> = encoded.refused.iter().map(|(at, why)| (*at, why.code.as_str())).collect();
    assert_eq!(refused, [(0, "MISSING_MATCH"), (2, "MISSING_MATCH")]);
    assert_eq!(encoded.sent.iter().map(|row| row.position).collect::<Vec<_>>(), [1]);

    let mut clear = batch(Operation::Clear, 2);
    clear.rows[1].record_id = None;
    let encoded = encode(&clear);
    assert_eq!(encoded.refused[0].1.code, "MISSING_RECORD_ID");
    assert!(
        serde_json::from_slice::<serde_json::Value>(&encoded.body).unwrap()["inputs"].as_array().unwrap().len() == 1
    );
}

#[test]
fn names_and_values_that_hubspot_cannot_hold_are_refused() {
    let long = "é".repeat(65_537);
    let table: [(&str, Value<'_>, bool); 9] = [
        ("plain_1", Value::Text("x"), true),
        ("address.city", Value::Text("x"), false),
        (r"a\.b", Value::Text("x"), false),
        ("mit leer", Value::Text("x"), false),
        ("", Value::Text("x"), false),
        ("raw", Value::Bytes(b"x"), false),
        ("long", Value::Text(&long), false),
        ("just", Value::Text(&long[2..]), true),
        ("nothing", Value::Null, true),
    ];
    for (name, value, expected) in table {
        let record = record(&[(name, value)]);
        let verdict = accepts(RecordRef::new(&record));
        assert_eq!(verdict.is_ok(), expected, "{name}");
        assert!(verdict.err().is_none_or(|problem| problem.field == name && !problem.reason.contains('é')));
    }
    let fields: Vec<_> = (0..40).map(|at| format!("f{at:02}")).collect();
    let fields: Vec<_> = fields.iter().map(|name| (name.as_str(), Value::Text(&long[2..]))).collect();
    assert!(accepts(RecordRef::new(&record(&fields))).unwrap_err().reason.contains("bytes of a request"));
}

#[test]
fn matches_that_cannot_work_are_refused_with_the_alternative() {
    assert_eq!(check_sync(&sync("contacts", &["email"])), Ok(()));
    assert_eq!(check_sync(&sync("companies", &["erp_id"])), Ok(()));
    assert_eq!(check_sync(&sync("deals", &["domain"])), Ok(()));
    for (object, matches, key) in [
        ("companies", &["domain"] as &[&str], "match"),
        ("0-2", &["domain"], "match"),
        ("contacts", &["hs_object_id"], "match"),
        ("contacts", &["email", "erp_id"], "match"),
        ("contacts", &[], "match"),
        ("a/b", &["email"], "object"),
        ("..", &["email"], "object"),
    ] {
        assert_eq!(check_sync(&sync(object, matches)).unwrap_err().key, key, "{object} {matches:?}");
    }
    assert!(check_sync(&sync("companies", &["domain"])).unwrap_err().hint.contains("unique"));
    assert_eq!(normalise("contacts", "email", " A@B.C "), "a@b.c");
    assert_eq!(normalise("contacts", "erp_id", " A "), " A ");
    assert_eq!(CAPABILITIES.max_rows.of(Operation::Delete), 100);
}

proptest! {
    #[test]
    fn a_body_is_never_longer_than_its_rows_were_said_to_be(texts in prop::collection::vec(".{0,40}", 1..6), number: i64, micros in -1_000_000_000_000_000_i64..1_000_000_000_000_000) {
        let mut batch = batch(Operation::Upsert, 0);
        let mut expected = 16;
        for (at, text) in texts.iter().enumerate() {
            let record = record(&[
                ("email", Value::Text(text)), ("n", Value::Int(number)), ("t", Value::Timestamp(micros)), ("z", Value::Null),
            ]);
            let counted = counted_len(RecordRef::new(&record));
            prop_assert!(counted <= row_len(RecordRef::new(&record)));
            expected += counted;
            batch.rows.push(BatchRow { correlation: u64::MAX - at as u64, record_id: None, idempotency_key: None, record });
        }
        prop_assert!(encode(&batch).body.len() <= expected);
    }
}
