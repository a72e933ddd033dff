//! Journal rows: what one settle put or removed, in the snapshot and in the owner index.

use super::{
    checked,
    fields::{put_u64, take_u8, take_u64},
    page::PageValue as _,
};
use crate::{
    model::{Entry, Key, SyncId, put_bytes, put_varint, take_bytes, take_varint},
    state::{OwnerChange, OwnerSpace, StateError, store::Space},
};

const WHAT: &str = "journal";

/// What one settle changed. Absolute, not relative: replaying it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JournalRow {
    /// Keys with their new entry; `None` removes.
    pub(crate) entries: Vec<(Key, Option<Entry>)>,
    /// Owner changes with the key concerned.
    pub(crate) owners: Vec<(Key, OwnerChange)>,
}

impl JournalRow {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.owners.is_empty()
    }

    /// What counts against the journal's bound.
    pub(crate) fn len(&self) -> u64 {
        (self.entries.len() + self.owners.len()) as u64
    }
}

pub(crate) fn pack_journal(sync: SyncId, row: &JournalRow) -> Vec<u8> {
    let mut payload = Vec::with_capacity(row.entries.len() * 48 + row.owners.len() * 32);
    put_varint(row.entries.len(), &mut payload);
    for (key, entry) in &row.entries {
        put_bytes(key.as_bytes(), &mut payload);
        payload.push(u8::from(entry.is_some()));
        if let Some(entry) = entry {
            entry.put(Space::Entries, &mut payload);
        }
    }
    put_varint(row.owners.len(), &mut payload);
    for (key, change) in &row.owners {
        put_bytes(key.as_bytes(), &mut payload);
        let space = match change.space {
            OwnerSpace::Match => 0,
            OwnerSpace::RecordId => 2,
        };
        payload.push(space | u8::from(change.present));
        put_u64(change.hash, &mut payload);
    }
    checked::wrap(WHAT, &[&sync.0.to_le_bytes()], &payload)
}

pub(crate) fn unpack_journal(sync: SyncId, data: &[u8]) -> Result<JournalRow, StateError> {
    let payload = checked::unwrap(WHAT, &[&sync.0.to_le_bytes()], data)?;
    unpack_payload(payload).ok_or_else(|| checked::damaged(WHAT))
}

fn unpack_payload(mut bytes: &[u8]) -> Option<JournalRow> {
    let bytes = &mut bytes;
    let mut row = JournalRow::default();
    for _ in 0..take_varint(bytes)? {
        let key = Key::from_encoded(take_bytes(bytes)?);
        let entry = match take_u8(bytes)? {
            0 => None,
            1 => Some(Entry::take(Space::Entries, bytes)?),
            _ => return None,
        };
        row.entries.push((key, entry));
    }
    for _ in 0..take_varint(bytes)? {
        let key = Key::from_encoded(take_bytes(bytes)?);
        let flags = take_u8(bytes)?;
        let space = match flags & !1 {
            0 => OwnerSpace::Match,
            2 => OwnerSpace::RecordId,
            _ => return None,
        };
        row.owners.push((key, OwnerChange { space, present: flags & 1 == 1, hash: take_u64(bytes)? }));
    }
    bytes.is_empty().then_some(row)
}

/// Hash and key as one key of an owner page: ordered by hash, then key.
pub(crate) fn owner_key(hash: u64, key: &Key) -> Key {
    let mut bytes = Vec::with_capacity(8 + key.as_bytes().len());
    bytes.extend_from_slice(&hash.to_be_bytes());
    bytes.extend_from_slice(key.as_bytes());
    Key::from_encoded(&bytes)
}

/// The inverse of [`owner_key`].
pub(crate) fn split_owner_key(packed: &Key) -> Result<(u64, Key), StateError> {
    let (hash, key) = packed.as_bytes().split_first_chunk::<8>().ok_or_else(|| checked::damaged("pages"))?;
    Ok((u64::from_be_bytes(*hash), Key::from_encoded(key)))
}
