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
    state::{IntentMember, MatchValue, StateError},
};

const WHAT: &str = "intents";

/// What is stored of a batch. Its match values stand behind the members, sealed together; builds of before the
/// migration `matches` sealed them one by one, in the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackedIntent {
    pub(crate) batch_key: BatchKey,
    pub(crate) members: Vec<IntentMember>,
    pub(crate) matches: Option<Box<[u8]>>,
}

/// `matches`: the match values in clear, sealed together.
pub(crate) fn pack_intent(
    sync: SyncId,
    batch: i64,
    batch_key: BatchKey,
    members: &[IntentMember],
    matches: Option<&[u8]>,
) -> Vec<u8> {
    let sealed = matches.map_or(0, <[u8]>::len);
    let mut payload = Vec::with_capacity(64 + members.len() * 64 + sealed);
    put_batch_key(batch_key, &mut payload);
    put_varint(members.len(), &mut payload);
    for member in members {
        put_bytes(member.key.as_bytes(), &mut payload);
        payload.push(member.operation.code());
        put_fingerprint(member.fingerprint, &mut payload);
        put_u64(member.correlation, &mut payload);
        put_id(member.record_id.as_deref(), &mut payload);
        put_blob(sealed_alone(member), &mut payload);
    }
    if let Some(matches) = matches {
        put_bytes(matches, &mut payload);
    }
    checked::wrap(WHAT, &[&sync.0.to_le_bytes(), &batch.to_le_bytes()], &payload)
}

fn sealed_alone(member: &IntentMember) -> Option<&[u8]> {
    match &member.match_value {
        Some(MatchValue::Sealed(sealed)) => Some(sealed),
        Some(MatchValue::Clear(_)) | None => None,
    }
}

pub(crate) fn unpack_intent(sync: SyncId, batch: i64, data: &[u8]) -> Result<PackedIntent, StateError> {
    let payload = checked::unwrap(WHAT, &[&sync.0.to_le_bytes(), &batch.to_le_bytes()], data)?;
    unpack_payload(payload).ok_or_else(|| checked::damaged(WHAT))
}

fn unpack_payload(mut bytes: &[u8]) -> Option<PackedIntent> {
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
            match_value: take_blob(bytes)?.map(MatchValue::Sealed),
        });
    }
    let matches = if bytes.is_empty() { None } else { Some(take_bytes(bytes)?.into()) };
    bytes.is_empty().then_some(PackedIntent { batch_key, members, matches })
}

pub(super) fn put_batch_key(key: BatchKey, out: &mut Vec<u8>) {
    out.extend_from_slice(&key.idempotency.to_le_bytes());
    put_u32(key.members, out);
}

pub(super) fn take_batch_key(bytes: &mut &[u8]) -> Option<BatchKey> {
    Some(BatchKey { idempotency: u128::from_le_bytes(take_array(bytes)?), members: take_u32(bytes)? })
}
