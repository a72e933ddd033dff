//! Tests over bodies in HubSpot's shape.

mod classify;
mod encode;
mod read;

use bytes::Bytes;

use crate::{
    destination::{Batch, BatchRow},
    model::{Operation, Value, encode_field},
};

/// Stands in every record that the tests send.
const CANARY: &str = "canary-7f3a";

fn record(fields: &[(&str, Value<'_>)]) -> Bytes {
    let mut out = Vec::new();
    for (name, value) in fields {
        encode_field(name, *value, &mut out).unwrap();
    }
    out.into()
}

/// `rows` rows with the traces 1, 2, …, the record ids 101, 102, … and the e-mail addresses `1@example.com`, ….
fn batch(operation: Operation, rows: u64) -> Batch {
    let row = |trace: u64| BatchRow {
        correlation: trace,
        record_id: (!matches!(operation, Operation::Upsert | Operation::Insert))
            .then(|| (100 + trace).to_string().into()),
        idempotency_key: None,
        record: record(&[("email", Value::Text(&format!(" {trace}@Example.com"))), ("name", Value::Text(CANARY))]),
    };
    Batch {
        run: crate::model::RunId(1),
        fields: [].into(),
        object: "contacts".into(),
        operation,
        match_fields: vec!["email".into()],
        rows: (1..=rows).map(row).collect(),
        idempotency_key: 7,
    }
}
