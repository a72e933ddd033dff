//! How many keys the snapshot holds. Derived whenever it is asked, so that it cannot drift.

use std::collections::HashMap;

use super::{
    StateError,
    codec::unpack,
    compact::{JournalMap, Part},
    store::{Space, StateStore},
};
use crate::model::{Entry, Key, SyncId};

/// Live entries and tombstones: the pages' sums, corrected by the journal. Refuses pages that do not add up.
pub(super) async fn count(store: &dyn StateStore, sync: SyncId) -> Result<(u64, u64), StateError> {
    for space in Space::all() {
        let (found, expected) = store.extent(sync, space).await?;
        if found != expected {
            return Err(StateError::damaged("pages of the snapshot are missing"));
        }
    }
    let (_, pages) = store.extent(sync, Space::Entries).await?;
    let (mut live, mut tombstones) = (pages.live, pages.entries - pages.live);
    let map = JournalMap::read_whole(store, sync, Part::Entries).await?;
    let mut page = PageKeys::default();
    for (key, newer) in map.entries {
        if !page.covers(&key) {
            page = PageKeys::read(store, sync, &key).await?;
        }
        match page.live.get(&key) {
            Some(true) => live -= 1,
            Some(false) => tombstones -= 1,
            None => {}
        }
        match newer.map(|entry| entry.tombstone) {
            Some(false) => live += 1,
            Some(true) => tombstones += 1,
            None => {}
        }
    }
    // A compaction beside a reader can make the sums miss each other by a little.
    let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok((unsigned(live), unsigned(tombstones)))
}

/// The keys of one page, and which of them are live.
#[derive(Default)]
struct PageKeys {
    read: bool,
    /// Where the next page begins.
    next: Option<Vec<u8>>,
    live: HashMap<Key, bool>,
}

impl PageKeys {
    /// True when a key at or after those asked before is in this page, if anywhere.
    fn covers(&self, key: &Key) -> bool {
        self.read && self.next.as_ref().is_none_or(|next| key.as_bytes() < next.as_slice())
    }

    async fn read(store: &dyn StateStore, sync: SyncId, key: &Key) -> Result<Self, StateError> {
        let Some(page) = store.page_at(sync, Space::Entries, key.as_bytes()).await? else {
            return Ok(Self { read: true, ..Self::default() });
        };
        let items = unpack::<Entry>(sync, Space::Entries, &page.data)?;
        let next = store.pages_after(sync, Space::Entries, Some(&page.first), 1).await?.pop().map(|next| next.first);
        Ok(Self { read: true, next, live: items.into_iter().map(|(key, entry)| (key, !entry.tombstone)).collect() })
    }
}
