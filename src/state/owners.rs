//! The owner index: keyed hash of match value or record id -> key.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    iter::Peekable,
    sync::Arc,
};

use super::{
    Owner, OwnerSpace, StateError,
    codec::{split_owner_key, unpack},
    compact::{JournalMap, Part},
    overlay::PageScan,
    store::{PageRow, Space, StateStore},
};
use crate::model::{Key, SyncId};

/// The owner index in the order of (hash, key), read in chunks.
pub struct OwnerScan {
    store: Arc<dyn StateStore>,
    sync: SyncId,
    space: OwnerSpace,
    begun: bool,
    journal: Peekable<std::collections::btree_map::IntoIter<Key, Option<()>>>,
    pages: PageScan<()>,
}

impl fmt::Debug for OwnerScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerScan").field("space", &self.space).finish_non_exhaustive()
    }
}

impl OwnerScan {
    pub(super) fn new(store: Arc<dyn StateStore>, sync: SyncId, space: OwnerSpace) -> Self {
        let journal = BTreeMap::new().into_iter().peekable();
        Self { store, sync, space, begun: false, journal, pages: PageScan::new() }
    }

    /// The next owner; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged.
    pub async fn next(&mut self) -> Result<Option<Owner>, StateError> {
        if !self.begun {
            let mut map = JournalMap::default();
            map.read(self.store.as_ref(), self.sync, u64::MAX, Part::Owners).await?;
            let owners = match self.space {
                OwnerSpace::Match => map.by_match,
                OwnerSpace::RecordId => map.by_id,
            };
            self.journal = owners.into_iter().peekable();
            self.begun = true;
        }
        loop {
            self.pages.fill(self.store.as_ref(), self.sync, self.space.into()).await?;
            let Some((key, present)) = self.take() else { return Ok(None) };
            if present {
                let (hash, key) = split_owner_key(&key)?;
                return Ok(Some(Owner { hash, key }));
            }
        }
    }

    fn take(&mut self) -> Option<(Key, bool)> {
        let page = self.pages.peek();
        let from_journal = match (self.journal.peek(), page) {
            (Some((newer, _)), Some(older)) => newer <= older,
            (journal, None) => journal.is_some(),
            (None, Some(_)) => false,
        };
        if !from_journal {
            return self.pages.take().map(|(key, ())| (key, true));
        }
        let (key, newer) = self.journal.next()?;
        if self.pages.peek() == Some(&key) {
            self.pages.take();
        }
        Some((key, newer.is_some()))
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

/// Finds owners in the pages; hashes asked in order share the pages they fall into.
#[derive(Default)]
pub(super) struct PageLookup {
    page: Option<(PageRow, Vec<(Key, ())>)>,
    /// Where the following page begins; `None` when there is none.
    next: Option<Vec<u8>>,
}

impl PageLookup {
    /// Adds the keys that own `hash` to `found`.
    pub(super) async fn find(
        &mut self,
        store: &dyn StateStore,
        sync: SyncId,
        space: Space,
        hash: u64,
        found: &mut BTreeSet<Key>,
    ) -> Result<(), StateError> {
        let prefix = hash.to_be_bytes();
        if !self.covers(&prefix) {
            let page = store.page_at(sync, space, &prefix).await?;
            self.load(store, sync, space, page).await?;
        }
        loop {
            let Some((_, items)) = &self.page else { return Ok(()) };
            let from = items.partition_point(|(key, ())| key.as_bytes() < prefix.as_slice());
            let owners = items.iter().skip(from).take_while(|(key, ())| key.as_bytes().starts_with(&prefix));
            found.extend(owners.map(|(key, ())| key.clone()));
            let goes_on = self
                .next
                .as_ref()
                .is_some_and(|first| first.starts_with(&prefix) || first.as_slice() < prefix.as_slice());
            if !goes_on {
                return Ok(());
            }
            let first = self.page.take().map(|(page, _)| page.first);
            let page = store.pages_after(sync, space, first.as_deref(), 1).await?.pop();
            self.load(store, sync, space, page).await?;
        }
    }

    fn covers(&self, prefix: &[u8]) -> bool {
        let begins = self.page.as_ref().is_some_and(|(page, _)| page.first.as_slice() <= prefix);
        begins && self.next.as_ref().is_none_or(|next| prefix < next.as_slice())
    }

    async fn load(
        &mut self,
        store: &dyn StateStore,
        sync: SyncId,
        space: Space,
        page: Option<PageRow>,
    ) -> Result<(), StateError> {
        self.page = None;
        self.next = None;
        if let Some(page) = page {
            let items = unpack::<()>(sync, space, &page.data)?;
            self.next = store.pages_after(sync, space, Some(&page.first), 1).await?.pop().map(|page| page.first);
            self.page = Some((page, items));
        }
        Ok(())
    }
}
