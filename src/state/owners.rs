//! The owner index: keyed hash of match value or record id -> key.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use super::{
    Owner, OwnerSpace, StateError, Writer,
    codec::{Presence, split_owner_key, unpack},
    compact::{JournalMap, Part},
    last_words::Words,
    overlay::PageScan,
    store::{Level, Space, StateStore},
};
use crate::model::{Key, SyncId};

/// The owner index in the order of (hash, key), read in chunks.
pub struct OwnerScan {
    store: Arc<dyn StateStore>,
    sync: SyncId,
    space: OwnerSpace,
    begun: bool,
    /// Nothing is compacted in this process from the first owner to the last, or until this is dropped.
    lock: Arc<RwLock<()>>,
    compacting: Option<OwnedRwLockReadGuard<()>>,
    journal: Words<Presence>,
    /// Newest first.
    levels: Vec<(Space, PageScan<Presence>)>,
}

impl fmt::Debug for OwnerScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerScan").field("space", &self.space).finish_non_exhaustive()
    }
}

impl OwnerScan {
    pub(super) fn new(store: Arc<dyn StateStore>, sync: SyncId, space: OwnerSpace, lock: Arc<RwLock<()>>) -> Self {
        let journal = Vec::new().into_iter().peekable();
        let levels = Level::NEWEST_FIRST.map(|level| (Space::Owners(space, level), PageScan::new()));
        Self { store, sync, space, begun: false, lock, compacting: None, journal, levels: levels.into() }
    }

    /// The next owner; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged.
    pub async fn next(&mut self) -> Result<Option<Owner>, StateError> {
        if !self.begun {
            self.compacting = Some(Arc::clone(&self.lock).read_owned().await);
            let map = JournalMap::read_whole(self.store.as_ref(), self.sync, Part::Owners).await?;
            self.journal = map.into_owners(self.space).into_iter().peekable();
            self.begun = true;
        }
        loop {
            for (space, pages) in &mut self.levels {
                pages.fill(self.store.as_ref(), self.sync, *space).await?;
            }
            let Some((key, presence)) = self.take() else {
                self.compacting = None;
                return Ok(None);
            };
            if presence.0 {
                let (hash, key) = split_owner_key(&key)?;
                return Ok(Some(Owner { hash, key }));
            }
        }
    }

    /// The smallest key, and the newest word about it.
    fn take(&mut self) -> Option<(Key, Presence)> {
        let journal = self.journal.peek().map(|(key, _)| key);
        let pages = self.levels.iter_mut().filter_map(|(_, pages)| pages.peek());
        let key = journal.into_iter().chain(pages).min()?.clone();
        let mut newest = self.journal.next_if(|(next, _)| *next == key).map(|(_, presence)| presence);
        for (_, pages) in &mut self.levels {
            if pages.peek() == Some(&key) {
                let older = pages.take().map(|(_, presence)| presence);
                newest = newest.or(older);
            }
        }
        newest.map(|presence| (key, presence))
    }
}

/// The journals' owner changes, kept in memory between lookups.
#[derive(Debug, Default)]
pub(super) struct OwnerCache {
    journals: BTreeMap<SyncId, JournalMap>,
}

impl OwnerCache {
    /// Takes in what was journalled since the last lookup.
    pub(super) async fn refresh(&mut self, store: &dyn StateStore, sync: SyncId) -> Result<&JournalMap, StateError> {
        let map = self.journals.entry(sync).or_default();
        loop {
            map.read(store, sync, u64::MAX, Part::Owners).await?;
            // A compaction, by whatever process, takes the oldest rows away: with them may have gone newer ones that were
            // not taken in here, and what is known of the older ones no longer holds.
            if map.first.is_none() || map.first == store.journal_start(sync).await? {
                return Ok(map);
            }
            *map = JournalMap::default();
        }
    }
}

/// What is known of the owners of one hash.
#[derive(Debug, Clone, Default)]
struct Found(BTreeMap<Key, bool>);

impl Found {
    /// Takes in an older word, which holds only where there is no newer one.
    fn add_older(&mut self, key: &Key, present: bool) {
        if !self.0.contains_key(key) {
            self.0.insert(key.clone(), present);
        }
    }

    /// The keys that own it.
    fn keys(self) -> Result<Vec<Key>, StateError> {
        let present = self.0.into_iter().filter(|(_, present)| *present);
        present.map(|(key, _)| split_owner_key(&key).map(|(_, key)| key)).collect()
    }
}

/// The keys that own each hash, in the order of the hashes.
pub(super) async fn find(
    store: &dyn StateStore,
    writer: &Writer,
    cache: &Mutex<OwnerCache>,
    (sync, space): (SyncId, OwnerSpace),
    hashes: &[u64],
) -> Result<Vec<Vec<Key>>, StateError> {
    let mut asked: Vec<u64> = hashes.to_vec();
    asked.sort_unstable();
    asked.dedup();
    // From the newest to the oldest, queued writes first: what moves on meanwhile is then seen twice, not missed.
    let mut found: Vec<(u64, Found)> = asked
        .into_iter()
        .map(|hash| {
            let mut found = Found::default();
            let queued = writer.pending_owners(sync, space, hash);
            queued.iter().for_each(|(key, present)| found.add_older(key, *present));
            (hash, found)
        })
        .collect();
    let mut cache = cache.lock().await;
    let journal = cache.refresh(store, sync).await?.owners(space);
    for (hash, found) in &mut found {
        let prefix = hash.to_be_bytes();
        let journalled = journal.beginning_with(&prefix);
        journalled.for_each(|(key, presence)| found.add_older(key, presence.0));
    }
    find_in_pages(store, sync, space, &mut found).await?;
    drop(cache);
    let known: HashMap<u64, Vec<Key>> =
        found.into_iter().map(|(hash, found)| Ok((hash, found.keys()?))).collect::<Result<_, StateError>>()?;
    Ok(hashes.iter().map(|hash| known.get(hash).cloned().unwrap_or_default()).collect())
}

/// Adds to `found` what the pages of an index say of the hashes, which are in order. Level by level, the newest first: an
/// owner that a compaction moves meanwhile is then seen twice, not missed.
async fn find_in_pages(
    store: &dyn StateStore,
    sync: SyncId,
    space: OwnerSpace,
    found: &mut [(u64, Found)],
) -> Result<(), StateError> {
    for level in Level::NEWEST_FIRST {
        let mut lookup = PageLookup::new(sync, Space::Owners(space, level));
        for (hash, found) in &mut *found {
            lookup.find(store, *hash, found).await?;
        }
    }
    Ok(())
}

/// Finds owners in the pages of one level; hashes asked in order share the pages they fall into.
struct PageLookup {
    sync: SyncId,
    space: Space,
    page: Option<LoadedPage>,
    /// The level has no pages.
    empty: bool,
}

struct LoadedPage {
    first: Vec<u8>,
    items: Vec<(Key, Presence)>,
    /// Where the following page begins; `None` when there is none.
    next: Option<Vec<u8>>,
}

impl PageLookup {
    const fn new(sync: SyncId, space: Space) -> Self {
        Self { sync, space, page: None, empty: false }
    }

    async fn find(&mut self, store: &dyn StateStore, hash: u64, found: &mut Found) -> Result<(), StateError> {
        let prefix = hash.to_be_bytes();
        if !self.empty && !self.page.as_ref().is_some_and(|page| page.covers(&prefix)) {
            self.page = self.load(store, &prefix).await?;
            self.empty = self.page.is_none();
        }
        while let Some(page) = &self.page {
            let from = page.items.partition_point(|(key, _)| key.as_bytes() < prefix.as_slice());
            let owners = page.items.iter().skip(from).take_while(|(key, _)| key.as_bytes().starts_with(&prefix));
            owners.for_each(|(key, presence)| found.add_older(key, presence.0));
            match &page.next {
                Some(next) if next.starts_with(&prefix) || next.as_slice() < prefix.as_slice() => {
                    let next = next.clone();
                    self.page = self.load(store, &next).await?;
                }
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    async fn load(&self, store: &dyn StateStore, at: &[u8]) -> Result<Option<LoadedPage>, StateError> {
        let Some((page, next)) = store.page_with_next(self.sync, self.space, at).await? else { return Ok(None) };
        let items = unpack::<Presence>(self.sync, self.space, &page.data)?;
        Ok(Some(LoadedPage { first: page.first, items, next }))
    }
}

impl LoadedPage {
    fn covers(&self, prefix: &[u8]) -> bool {
        self.first.as_slice() <= prefix && self.next.as_ref().is_none_or(|next| prefix < next.as_slice())
    }
}
