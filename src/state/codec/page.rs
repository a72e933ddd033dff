//! Pages: about a thousand entries in key order, each key as the length it shares with the one before and the rest.

use super::{
    checked,
    fields::{take_array, take_u8},
};
use crate::{
    model::{Entry, Fingerprint, Key, RunId, SyncId, put_bytes, put_varint, take_bytes, take_varint},
    state::{
        StateError,
        store::{Level, Space},
    },
};

const WHAT: &str = "pages";
const TOMBSTONE: u8 = 1;
const HAS_ID: u8 = 2;
const HAS_MATCH: u8 = 4;
const HAS_CURSOR: u8 = 8;

/// What a page holds for a key: an [`Entry`], or in the owner indexes a [`Presence`].
pub(crate) trait PageValue: Sized + Send {
    fn put(&self, space: Space, out: &mut Vec<u8>);
    fn take(space: Space, bytes: &mut &[u8]) -> Option<Self>;
    fn is_live(&self) -> bool;
    /// Whether pages of the space hold it; one that they do not hold is left out instead.
    fn is_kept(&self, space: Space) -> bool;
}

/// Whether a key owns what a hash stands for. The oldest level has no word for "no longer".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Presence(pub(crate) bool);

impl PageValue for Presence {
    fn put(&self, space: Space, out: &mut Vec<u8>) {
        if !is_oldest(space) {
            out.push(u8::from(self.0));
        }
    }
    fn take(space: Space, bytes: &mut &[u8]) -> Option<Self> {
        if is_oldest(space) {
            return Some(Self(true));
        }
        match take_u8(bytes)? {
            0 => Some(Self(false)),
            1 => Some(Self(true)),
            _ => None,
        }
    }
    fn is_live(&self) -> bool {
        self.0
    }
    fn is_kept(&self, space: Space) -> bool {
        self.0 || !is_oldest(space)
    }
}

fn is_oldest(space: Space) -> bool {
    matches!(space, Space::Owners(_, Level::OLDEST))
}

impl PageValue for Entry {
    fn put(&self, _: Space, out: &mut Vec<u8>) {
        let tombstone = if self.tombstone { TOMBSTONE } else { 0 };
        let has_match = if self.match_hash.is_some() { HAS_MATCH } else { 0 };
        let has_cursor = if self.cursor.is_some() { HAS_CURSOR } else { 0 };
        out.push(tombstone | has_match | has_cursor | if self.record_id.is_some() { HAS_ID } else { 0 });
        out.push(self.encoding);
        out.extend_from_slice(&self.fingerprint.to_bytes());
        put_varint(usize::try_from(self.run.0).unwrap_or(0), out);
        if let Some(hash) = self.match_hash {
            out.extend_from_slice(&hash.to_le_bytes());
        }
        if let Some(id) = &self.record_id {
            put_bytes(id.as_bytes(), out);
        }
        if let Some(place) = self.cursor {
            out.extend_from_slice(&place.to_le_bytes());
        }
    }

    fn take(_: Space, bytes: &mut &[u8]) -> Option<Self> {
        let flags = take_u8(bytes)?;
        let encoding = take_u8(bytes)?;
        let fingerprint = Fingerprint::from_bytes(take_array(bytes)?);
        let run = RunId(i64::try_from(take_varint(bytes)?).ok()?);
        let match_hash = if flags & HAS_MATCH == 0 { None } else { Some(u64::from_le_bytes(take_array(bytes)?)) };
        let record_id =
            if flags & HAS_ID == 0 { None } else { Some(std::str::from_utf8(take_bytes(bytes)?).ok()?.into()) };
        let cursor = if flags & HAS_CURSOR == 0 { None } else { Some(i64::from_le_bytes(take_array(bytes)?)) };
        let tombstone = flags & TOMBSTONE != 0;
        Some(Self { fingerprint, encoding, run, tombstone, match_hash, record_id, cursor })
    }

    fn is_live(&self) -> bool {
        !self.tombstone
    }

    fn is_kept(&self, _: Space) -> bool {
        true
    }
}

/// A page ready to be written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PackedPage {
    pub(crate) first: Vec<u8>,
    pub(crate) entries: u64,
    pub(crate) live: u64,
    pub(crate) data: Vec<u8>,
}

/// Packs items, which are in strictly increasing key order; `None` for no items.
pub(crate) fn pack<V: PageValue>(sync: SyncId, space: Space, items: &[(Key, V)]) -> Option<PackedPage> {
    let (first, _) = items.first()?;
    let mut payload = Vec::with_capacity(items.len() * 40);
    put_varint(items.len(), &mut payload);
    let mut before: &[u8] = &[];
    for (key, value) in items {
        let key = key.as_bytes();
        let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
        put_varint(shared, &mut payload);
        put_bytes(key.get(shared..).unwrap_or_default(), &mut payload);
        value.put(space, &mut payload);
        before = key;
    }
    Some(PackedPage {
        first: first.as_bytes().to_vec(),
        entries: items.len() as u64,
        live: items.iter().filter(|(_, value)| value.is_live()).count() as u64,
        data: checked::wrap(WHAT, &[&place(sync, space)], &payload),
    })
}

/// Unpacks a page; an error for anything but what [`pack`] wrote for this place.
pub(crate) fn unpack<V: PageValue>(sync: SyncId, space: Space, data: &[u8]) -> Result<Vec<(Key, V)>, StateError> {
    let payload = checked::unwrap(WHAT, &[&place(sync, space)], data)?;
    unpack_items(space, payload).ok_or_else(|| checked::damaged(WHAT))
}

fn unpack_items<V: PageValue>(space: Space, mut bytes: &[u8]) -> Option<Vec<(Key, V)>> {
    let bytes = &mut bytes;
    let count = take_varint(bytes)?;
    // Every item takes at least two bytes: a damaged count cannot ask for more memory than that.
    let mut items: Vec<(Key, V)> = Vec::with_capacity(count.min(bytes.len() / 2 + 1));
    let mut key: Vec<u8> = Vec::new();
    for _ in 0..count {
        let shared = take_varint(bytes)?;
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(take_bytes(bytes)?);
        let next = Key::from_encoded(&key);
        if items.last().is_some_and(|(before, _)| *before >= next) {
            return None;
        }
        items.push((next, V::take(space, bytes)?));
    }
    bytes.is_empty().then_some(items)
}

fn place(sync: SyncId, space: Space) -> [u8; 9] {
    let mut place = [space.code(); 9];
    if let Some((_, id)) = place.split_first_mut() {
        id.copy_from_slice(&sync.0.to_le_bytes());
    }
    place
}
