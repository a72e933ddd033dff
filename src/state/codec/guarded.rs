//! Guarded sets: chunks of (key, kind, fingerprint), in key order.

use super::{
    checked,
    fields::{put_fingerprint, take_fingerprint, take_u8},
};
use crate::{
    model::{ChangeKind, Fingerprint, Key, RunId, put_bytes, put_varint, take_bytes, take_varint},
    state::StateError,
};

const WHAT: &str = "guarded";

/// A guarded change.
pub(crate) type GuardedRow = (Key, ChangeKind, Option<Fingerprint>);

pub(crate) fn pack_guarded(run: RunId, rows: &[GuardedRow]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(rows.len() * 36);
    put_varint(rows.len(), &mut payload);
    for (key, kind, fingerprint) in rows {
        put_bytes(key.as_bytes(), &mut payload);
        payload.push(kind.code());
        put_fingerprint(*fingerprint, &mut payload);
    }
    checked::wrap(WHAT, &[&run.0.to_le_bytes()], &payload)
}

pub(crate) fn unpack_guarded(run: RunId, data: &[u8]) -> Result<Vec<GuardedRow>, StateError> {
    let payload = checked::unwrap(WHAT, &[&run.0.to_le_bytes()], data)?;
    unpack_payload(payload).ok_or_else(|| checked::damaged(WHAT))
}

fn unpack_payload(mut bytes: &[u8]) -> Option<Vec<GuardedRow>> {
    let bytes = &mut bytes;
    let mut rows = Vec::new();
    for _ in 0..take_varint(bytes)? {
        let key = Key::from_encoded(take_bytes(bytes)?);
        rows.push((key, ChangeKind::from_code(take_u8(bytes)?)?, take_fingerprint(bytes)?));
    }
    bytes.is_empty().then_some(rows)
}
