mod guarding;
mod owning;
mod spooling;

use super::PlanRow;
use crate::{
    diff::Planned,
    model::{ChangeKind, Fingerprint, Key, Operation},
};

fn key(value: u8) -> Key {
    // Zero bytes and shared prefixes, as real keys have them.
    let bytes: &[u8] = if value.is_multiple_of(2) { &[2, value / 2, 0] } else { &[2, value / 2, 0, 0xFF, 0] };
    Key::from_encoded(bytes)
}

fn plan_row(key: Key, kind: ChangeKind, counts: bool) -> PlanRow {
    PlanRow {
        key,
        planned: Planned {
            kind,
            operation: (kind != ChangeKind::Removed).then_some(Operation::Upsert),
            resend: false,
            counts_for_guard: counts,
            loaded: Vec::new(),
            record_id: None,
            id_from_mark: false,
            find_first: Vec::new(),
            unanswered: None,
            reform: None,
        },
        fingerprint: Some(Fingerprint::from_bytes([1; 16])),
        claims: Vec::new(),
        record: vec![1, 2, 3],
        entry: None,
        rejected_before: 0,
        remapped: false,
        ambiguous_at: None,
        cursor: None,
        refusals: 0,
    }
}
