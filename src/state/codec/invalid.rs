//! Invalid rows, as listed for people.

use super::{
    checked,
    fields::{put_blob, put_id, take_blob, take_id, take_text},
};
use crate::{
    model::{InvalidCode, InvalidRow, Key, SyncId, put_bytes, put_varint, take_bytes, take_varint},
    state::StateError,
};

const WHAT: &str = "invalid";

pub(crate) fn pack_invalid(sync: SyncId, row: &InvalidRow) -> Vec<u8> {
    let mut payload = Vec::with_capacity(64);
    put_blob(row.key.as_ref().map(Key::as_bytes), &mut payload);
    put_bytes(row.code.name().as_bytes(), &mut payload);
    put_id(row.field.as_deref(), &mut payload);
    put_bytes(row.detail.as_bytes(), &mut payload);
    put_varint(row.others.len(), &mut payload);
    for key in &row.others {
        put_bytes(key.as_bytes(), &mut payload);
    }
    checked::wrap(WHAT, &[&sync.0.to_le_bytes()], &payload)
}

pub(crate) fn unpack_invalid(sync: SyncId, data: &[u8]) -> Result<InvalidRow, StateError> {
    let payload = checked::unwrap(WHAT, &[&sync.0.to_le_bytes()], data)?;
    unpack_payload(payload).ok_or_else(|| checked::damaged(WHAT))
}

fn unpack_payload(mut bytes: &[u8]) -> Option<InvalidRow> {
    let bytes = &mut bytes;
    let row = InvalidRow {
        key: take_blob(bytes)?.map(|key| Key::from_encoded(&key)),
        code: InvalidCode::from_name(&take_text(bytes)?)?,
        field: take_id(bytes)?.map(String::from),
        detail: take_text(bytes)?,
        others: (0..take_varint(bytes)?)
            .map(|_| take_bytes(bytes).map(Key::from_encoded))
            .collect::<Option<Vec<Key>>>()?,
    };
    bytes.is_empty().then_some(row)
}
