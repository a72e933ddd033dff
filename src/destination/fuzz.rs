//! Targets of the fuzzer: answers of vendors.

use bytes::Bytes;

use super::{Batch, BatchRow, Outcome, http, hubspot};
use crate::{
    model::{Operation, RunId, Value, encode_field},
    proof::Target,
};

pub(crate) const FUZZ_TARGETS: &[Target] = &[hubspot::FUZZ_TARGETS[0], hubspot::FUZZ_TARGETS[1], http::FUZZ_TARGET];

/// Statuses that mean something, and some that mean nothing.
pub(super) const STATUSES: [u16; 20] =
    [200, 201, 202, 204, 207, 302, 400, 401, 403, 404, 405, 408, 409, 410, 413, 418, 423, 429, 477, 503];

pub(super) const OPERATIONS: [Operation; 5] =
    [Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear, Operation::Delete];

/// A value of every row, which no code and no `Debug` may show.
const CANARY: &str = "canary-7f3a";

/// Rows with the traces 1, 2, … and the match values `1@example.com`, ….
pub(super) fn batch(operation: Operation, rows: u64, with_ids: bool) -> Batch {
    let row = |trace: u64| {
        let (mut record, address) = (Vec::new(), format!("{trace}@example.com"));
        for (name, value) in [("email", Value::Text(&address)), ("name", Value::Text(CANARY))] {
            assert_eq!(encode_field(name, value, &mut record), Ok(()), "a plain text is refused");
        }
        let record_id = with_ids.then(|| (100 + trace).to_string().into());
        BatchRow { correlation: trace, record_id, idempotency_key: None, record: Bytes::from(record) }
    };
    Batch {
        run: RunId(1),
        fields: [].into(),
        object: "contacts".into(),
        operation,
        match_fields: vec!["email".into()],
        rows: (1..=rows).map(row).collect(),
        idempotency_key: 7,
    }
}

/// Every row has one outcome. A row counts as delivered only when the answer can have named it, and no code is a value.
pub(super) fn judge(outcomes: &[Outcome], rows: usize, most_delivered: usize) {
    assert_eq!(outcomes.len(), rows, "not one outcome for each row");
    let delivered = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Delivered { .. })).count();
    assert!(delivered <= most_delivered, "{delivered} rows delivered, {most_delivered} named");
    for outcome in outcomes {
        match outcome {
            Outcome::Rejected(rejection) | Outcome::Retry(rejection) => {
                assert!(!rejection.code.is_empty() && rejection.code != CANARY, "a code that is none");
            }
            Outcome::Delivered { record_id } | Outcome::Exists { record_id } => {
                assert!(record_id.as_deref() != Some(""), "an empty record id");
            }
            Outcome::Gone | Outcome::Unknown => {}
        }
    }
}
