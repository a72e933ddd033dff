//! Dirty marks, rejects and quiet keys. The blob is bound to sync and key, so it cannot stand in another row's place.

use super::{
    checked,
    fields::{
        put_blob, put_fingerprint, put_i64, put_id, put_option, put_time, put_u32, take_blob, take_fingerprint,
        take_i64, take_id, take_option, take_text, take_time, take_u8, take_u32,
    },
    intent::{put_batch_key, take_batch_key},
};
use crate::{
    model::{DirtyMark, IntentId, Key, Operation, RejectedMark, RunId, SyncId, Timestamp, put_bytes, take_bytes},
    state::StateError,
};

const DIRTY: &str = "dirty";
const REJECTED: &str = "rejected";
const QUIET: &str = "quiet";

pub(crate) fn pack_dirty(sync: SyncId, key: &Key, mark: &DirtyMark) -> Vec<u8> {
    let mut payload = Vec::with_capacity(64);
    payload.push(mark.operation.code());
    put_fingerprint(mark.fingerprint, &mut payload);
    put_time(mark.ambiguous_at, &mut payload);
    put_option(mark.batch_key, &mut payload, put_batch_key);
    put_id(mark.record_id.as_deref(), &mut payload);
    put_blob(mark.sealed_match.as_deref(), &mut payload);
    let (sync, batch, position) = dirty_place(sync, mark.intent);
    checked::wrap(DIRTY, &[&sync, key.as_bytes(), &batch, &position], &payload)
}

pub(crate) fn unpack_dirty(sync: SyncId, key: &Key, intent: IntentId, data: &[u8]) -> Result<DirtyMark, StateError> {
    let (sync, batch, position) = dirty_place(sync, intent);
    let mut payload = checked::unwrap(DIRTY, &[&sync, key.as_bytes(), &batch, &position], data)?;
    take_dirty(intent, &mut payload).ok_or_else(|| checked::damaged(DIRTY))
}

fn dirty_place(sync: SyncId, intent: IntentId) -> ([u8; 8], [u8; 8], [u8; 4]) {
    (sync.0.to_le_bytes(), intent.batch.to_le_bytes(), intent.position.to_le_bytes())
}

fn take_dirty(intent: IntentId, bytes: &mut &[u8]) -> Option<DirtyMark> {
    let mark = DirtyMark {
        intent,
        operation: Operation::from_code(take_u8(bytes)?)?,
        fingerprint: take_fingerprint(bytes)?,
        ambiguous_at: take_time(bytes)?,
        batch_key: take_option(bytes, take_batch_key)?,
        record_id: take_id(bytes)?,
        sealed_match: take_blob(bytes)?,
    };
    bytes.is_empty().then_some(mark)
}

pub(crate) fn pack_rejected(sync: SyncId, key: &Key, mark: &RejectedMark) -> Vec<u8> {
    let mut payload = Vec::with_capacity(96 + mark.sealed_message.len());
    payload.push(mark.operation.code());
    put_fingerprint(mark.fingerprint, &mut payload);
    put_bytes(mark.code.as_bytes(), &mut payload);
    put_bytes(&mark.sealed_message, &mut payload);
    put_u32(mark.attempts, &mut payload);
    put_time(mark.next_try, &mut payload);
    put_i64(mark.first_at.as_micros(), &mut payload);
    put_i64(mark.last_at.as_micros(), &mut payload);
    put_i64(mark.run.0, &mut payload);
    checked::wrap(REJECTED, &[&sync.0.to_le_bytes(), key.as_bytes()], &payload)
}

pub(crate) fn unpack_rejected(sync: SyncId, key: &Key, data: &[u8]) -> Result<RejectedMark, StateError> {
    let mut payload = checked::unwrap(REJECTED, &[&sync.0.to_le_bytes(), key.as_bytes()], data)?;
    take_rejected(&mut payload).ok_or_else(|| checked::damaged(REJECTED))
}

fn take_rejected(bytes: &mut &[u8]) -> Option<RejectedMark> {
    let mark = RejectedMark {
        operation: Operation::from_code(take_u8(bytes)?)?,
        fingerprint: take_fingerprint(bytes)?,
        code: take_text(bytes)?,
        sealed_message: take_bytes(bytes)?.into(),
        attempts: take_u32(bytes)?,
        next_try: take_time(bytes)?,
        first_at: take_i64(bytes).map(Timestamp::from_micros)?,
        last_at: take_i64(bytes).map(Timestamp::from_micros)?,
        run: RunId(take_i64(bytes)?),
    };
    bytes.is_empty().then_some(mark)
}

pub(crate) fn pack_quiet(sync: SyncId, key: &Key, until: Timestamp) -> Vec<u8> {
    checked::wrap(QUIET, &[&sync.0.to_le_bytes(), key.as_bytes()], &until.as_micros().to_le_bytes())
}

pub(crate) fn unpack_quiet(sync: SyncId, key: &Key, data: &[u8]) -> Result<Timestamp, StateError> {
    let mut payload = checked::unwrap(QUIET, &[&sync.0.to_le_bytes(), key.as_bytes()], data)?;
    take_i64(&mut payload).map(Timestamp::from_micros).ok_or_else(|| checked::damaged(QUIET))
}
