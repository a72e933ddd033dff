//! Intents: one packed row for a batch.

use super::{
    checked,
    fields::{
        put_blob, put_fingerprint, put_id, put_u32, put_u64, take_array, take_blob, take_fingerprint, take_id, take_u8,
        take_u32, take_u64,
    },
};
use crate::{
    model::{BatchKey, Key, Operation, SyncId, put_bytes, put_varint, take_bytes, take_varint},
    state::{IntentMember, StateError},
};

const WHAT: &str = "intents";

pub(crate) fn pack_intent(sync: SyncId, batch: i64, batch_key: BatchKey, members: &[IntentMember]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(32 + members.len() * 64);
    put_batch_key(batch_key, &mut payload);
    put_varint(members.len(), &mut payload);
    for member in members {
        put_bytes(member.key.as_bytes(), &mut payload);
        payload.push(member.operation.code());
        put_fingerprint(member.fingerprint, &mut payload);
        put_u64(member.correlation, &mut payload);
        put_id(member.record_id.as_deref(), &mut payload);
        put_blob(member.sealed_match.as_deref(), &mut payload);
    }
    checked::wrap(WHAT, &[&sync.0.to_le_bytes(), &batch.to_le_bytes()], &payload)
}

pub(crate) fn unpack_intent(
    sync: SyncId,
    batch: i64,
    data: &[u8],
) -> Result<(BatchKey, Vec<IntentMember>), StateError> {
    let payload = checked::unwrap(WHAT, &[&sync.0.to_le_bytes(), &batch.to_le_bytes()], data)?;
    unpack_payload(payload).ok_or_else(|| checked::damaged(WHAT))
}

fn unpack_payload(mut bytes: &[u8]) -> Option<(BatchKey, Vec<IntentMember>)> {
    let bytes = &mut bytes;
    let batch_key = take_batch_key(bytes)?;
    let mut members = Vec::new();
    for _ in 0..take_varint(bytes)? {
        members.push(IntentMember {
            key: Key::from_encoded(take_bytes(bytes)?),
            operation: Operation::from_code(take_u8(bytes)?)?,
            fingerprint: take_fingerprint(bytes)?,
            correlation: take_u64(bytes)?,
            record_id: take_id(bytes)?,
            sealed_match: take_blob(bytes)?,
        });
    }
    bytes.is_empty().then_some((batch_key, members))
}

pub(super) fn put_batch_key(key: BatchKey, out: &mut Vec<u8>) {
    out.extend_from_slice(&key.idempotency.to_le_bytes());
    put_u32(key.members, out);
}

pub(super) fn take_batch_key(bytes: &mut &[u8]) -> Option<BatchKey> {
    Some(BatchKey { idempotency: u128::from_le_bytes(take_array(bytes)?), members: take_u32(bytes)? })
}
