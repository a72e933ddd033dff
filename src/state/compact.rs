//! Compaction: the oldest journal rows are merged into the pages they concern.
//!
//! Safe to stop anywhere: pages are replaced in transactions of their own, the journal rows are deleted after the last of
//! them, and journal rows are absolute, so that merging them once more changes nothing. The same holds for a level of owners
//! that goes into the next older one.

use std::sync::OnceLock;

use super::{
    OwnerSpace, StateError,
    codec::{PageValue, Presence, owner_key, pack, unpack, unpack_journal},
    last_words::LastWords,
    store::{Extent, Level, PageRow, Space, StateStore, Write},
};
use crate::{
    model::{Entry, Key, SyncId},
    proof::{Boundary, reach},
};

/// Journal entries of a sync that are kept at most, and thus read into memory at once.
pub(super) const JOURNAL_BOUND: u64 = 32_768;
/// Journal rows read at once.
pub(super) const JOURNAL_CHUNK: u32 = 256;

/// Entries of a full page, and the sizes at which pages are split and joined.
const PAGE: usize = 1_000;
const SPLIT: usize = 1_500;
const JOIN: usize = 300;
/// Pages replaced in one transaction.
const RANGE: usize = 64;
/// Pages of a full level that go into the next older one at once.
const DOWN: u32 = 16;

/// Which part of journal rows to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    Entries,
    Owners,
}

/// Hash and key of owners, and whether they own it.
pub(super) type Owners = LastWords<Presence>;

/// What a stretch of the journal says, the last word for each key.
#[derive(Debug, Default)]
pub(super) struct JournalMap {
    pub(super) entries: LastWords<Option<Entry>>,
    pub(super) by_match: Owners,
    pub(super) by_id: Owners,
    /// The first row taken in.
    pub(super) first: Option<i64>,
    /// The last row taken in.
    pub(super) through: i64,
}

impl JournalMap {
    /// All that the journal says. A compaction that takes the oldest rows away meanwhile may leave a gap between those taken
    /// in before and after, so that an old word would stand for a newer one: then it is read again.
    pub(super) async fn read_whole(store: &dyn StateStore, sync: SyncId, part: Part) -> Result<Self, StateError> {
        loop {
            let mut map = Self::default();
            map.read(store, sync, u64::MAX, part).await?;
            if map.first.is_none() || map.first == store.journal_start(sync).await? {
                return Ok(map);
            }
        }
    }

    /// Takes in rows after `through`, at most about `bound` entries. True when that was all of them.
    pub(super) async fn read(
        &mut self,
        store: &dyn StateStore,
        sync: SyncId,
        bound: u64,
        part: Part,
    ) -> Result<bool, StateError> {
        let all = self.add(store, sync, bound, part).await?;
        self.entries.sort();
        self.by_match.sort();
        self.by_id.sort();
        Ok(all)
    }

    async fn add(&mut self, store: &dyn StateStore, sync: SyncId, bound: u64, part: Part) -> Result<bool, StateError> {
        let mut taken = 0;
        loop {
            let rows = store.journal(sync, self.through, JOURNAL_CHUNK).await?;
            let last = rows.len() < JOURNAL_CHUNK as usize;
            for row in rows {
                if taken >= bound {
                    return Ok(false);
                }
                taken += row.entries;
                self.take(sync, &row.data, part)?;
                self.first.get_or_insert(row.seq);
                self.through = row.seq;
            }
            if last {
                return Ok(true);
            }
        }
    }

    fn take(&mut self, sync: SyncId, data: &[u8], part: Part) -> Result<(), StateError> {
        let row = unpack_journal(sync, data)?;
        if part != Part::Owners {
            row.entries.into_iter().for_each(|(key, entry)| self.entries.add(key, entry));
        }
        if part == Part::Entries {
            return Ok(());
        }
        for (key, change) in row.owners {
            let map = match change.space {
                OwnerSpace::Match => &mut self.by_match,
                OwnerSpace::RecordId => &mut self.by_id,
            };
            map.add(owner_key(change.hash, &key), Presence(change.present));
        }
        Ok(())
    }

    pub(super) const fn owners(&self, space: OwnerSpace) -> &Owners {
        match space {
            OwnerSpace::Match => &self.by_match,
            OwnerSpace::RecordId => &self.by_id,
        }
    }

    pub(super) fn into_owners(self, space: OwnerSpace) -> Owners {
        match space {
            OwnerSpace::Match => self.by_match,
            OwnerSpace::RecordId => self.by_id,
        }
    }
}

/// Merges the whole journal of a sync into its pages, whoever holds its lease.
#[cfg(test)]
pub(super) async fn compact(store: &dyn StateStore, sync: SyncId) -> Result<(), StateError> {
    compact_under(store, sync, None, &OnceLock::new()).await
}

/// Merges the whole journal of a sync into its pages, as long as its lease has this epoch and the writer has not `failed`.
pub(super) async fn compact_under(
    store: &dyn StateStore,
    sync: SyncId,
    epoch: Option<i64>,
    failed: &OnceLock<StateError>,
) -> Result<(), StateError> {
    let place = Place { store, sync, epoch, failed };
    loop {
        let mut map = JournalMap::default();
        let all = map.read(store, sync, JOURNAL_BOUND, Part::All).await?;
        if map.through == 0 {
            return Ok(());
        }
        let through = map.through;
        merge(&place, Space::Entries, map.entries).await?;
        for (space, owners) in [(OwnerSpace::Match, map.by_match), (OwnerSpace::RecordId, map.by_id)] {
            let changes = owners.into_iter().map(|(key, presence)| (key, Some(presence)));
            merge(&place, Space::Owners(space, Level::NEWEST), changes).await?;
        }
        place.commit(Write::DeleteJournal { sync, through }).await?;
        for space in OwnerSpace::ALL {
            age(&place, space).await?;
        }
        if all {
            return Ok(());
        }
    }
}

/// Where a compaction works.
struct Place<'a> {
    store: &'a dyn StateStore,
    sync: SyncId,
    epoch: Option<i64>,
    failed: &'a OnceLock<StateError>,
}

impl Place<'_> {
    async fn commit(&self, write: Write) -> Result<(), StateError> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let check = self.epoch.map(|epoch| Write::CheckEpoch { sync: self.sync, epoch });
        self.store.commit(check.into_iter().chain([write]).collect()).await.map(drop)
    }
}

/// The pages of one transaction.
struct Range {
    remove: Vec<i64>,
    put: Vec<super::codec::PackedPage>,
    delta: Extent,
}

impl Range {
    const fn new() -> Self {
        Self { remove: Vec::new(), put: Vec::new(), delta: Extent { pages: 0, entries: 0, live: 0 } }
    }

    async fn commit(&mut self, place: &Place<'_>, space: Space) -> Result<(), StateError> {
        let Self { remove, put, delta } = std::mem::replace(self, Self::new());
        if !remove.is_empty() || !put.is_empty() {
            reach(Boundary::CompactionBefore).await?;
            place.commit(Write::ReplacePages { sync: place.sync, space, remove, put, delta }).await?;
            reach(Boundary::CompactionAfter).await?;
        }
        Ok(())
    }

    fn count<V: PageValue>(&mut self, items: &[(Key, V)], sign: i64) {
        let live = items.iter().filter(|(_, value)| value.is_live()).count();
        self.delta.entries += sign * i64::try_from(items.len()).unwrap_or(0);
        self.delta.live += sign * i64::try_from(live).unwrap_or(0);
    }

    async fn commit_if_full(&mut self, place: &Place<'_>, space: Space) -> Result<(), StateError> {
        if self.put.len() + self.remove.len() >= RANGE { self.commit(place, space).await } else { Ok(()) }
    }

    fn put<V: PageValue>(&mut self, sync: SyncId, space: Space, items: &[(Key, V)]) {
        self.count(items, 1);
        let pages = if items.len() <= SPLIT { 1 } else { items.len().div_ceil(PAGE) };
        for chunk in items.chunks(items.len().div_ceil(pages).max(1)) {
            if let Some(page) = pack(sync, space, chunk) {
                self.delta.pages += 1;
                self.put.push(page);
            }
        }
    }

    fn remove<V: PageValue>(&mut self, page: &PageRow, items: &[(Key, V)]) {
        self.count(items, -1);
        self.delta.pages -= 1;
        self.remove.push(page.id);
    }
}

/// Puts full levels of an owner index into the next older ones.
async fn age(place: &Place<'_>, space: OwnerSpace) -> Result<(), StateError> {
    for level in Level::NEWEST_FIRST {
        let held = place.store.extent(place.sync, Space::Owners(space, level)).await?.1.entries;
        if level.capacity().is_none_or(|capacity| held <= capacity) {
            return Ok(());
        }
        merge_down(place, space, level).await?;
    }
    Ok(())
}

async fn merge_down(place: &Place<'_>, space: OwnerSpace, level: Level) -> Result<(), StateError> {
    let (from, to) = (Space::Owners(space, level), Space::Owners(space, level.older()));
    loop {
        let pages = place.store.pages_after(place.sync, from, None, DOWN).await?;
        if pages.is_empty() {
            return Ok(());
        }
        let mut range = Range::new();
        let mut changes = Vec::new();
        for page in &pages {
            let items = unpack::<Presence>(place.sync, from, &page.data)?;
            range.remove(page, &items);
            changes.extend(items.into_iter().map(|(key, presence)| (key, Some(presence))));
        }
        merge(place, to, changes).await?;
        // Who looks from the newest level to the oldest then finds an owner at least once.
        range.commit(place, from).await?;
    }
}

/// Merges changes, in key order, into the pages that they concern.
async fn merge<V: PageValue>(
    place: &Place<'_>,
    space: Space,
    changes: impl IntoIterator<Item = (Key, Option<V>)>,
) -> Result<(), StateError> {
    let (store, sync) = (place.store, place.sync);
    let mut changes = changes.into_iter().peekable();
    let mut range = Range::new();
    while let Some((key, _)) = changes.peek() {
        let mut old = Vec::new();
        let mut next = None;
        if let Some(page) = store.page_at(sync, space, key.as_bytes()).await? {
            old = unpack::<V>(sync, space, &page.data)?;
            range.remove(&page, &old);
            next = store.pages_after(sync, space, Some(&page.first), 1).await?.pop();
        }
        let mut merged = merge_sorted(space, old, &mut changes, next.as_ref());
        // Pages that shrank are joined with the next one, so that removals do not leave a trail of small pages.
        while merged.len() < JOIN
            && let Some(page) = next
        {
            let old = unpack::<V>(sync, space, &page.data)?;
            range.remove(&page, &old);
            next = store.pages_after(sync, space, Some(&page.first), 1).await?.pop();
            merged.extend(merge_sorted(space, old, &mut changes, next.as_ref()));
        }
        range.put(sync, space, &merged);
        range.commit_if_full(place, space).await?;
    }
    range.commit(place, space).await
}

/// Applies to a page the changes that come before the next page.
fn merge_sorted<V: PageValue>(
    space: Space,
    old: Vec<(Key, V)>,
    changes: &mut std::iter::Peekable<impl Iterator<Item = (Key, Option<V>)>>,
    next: Option<&PageRow>,
) -> Vec<(Key, V)> {
    let mut merged = Vec::with_capacity(old.len());
    let mut old = old.into_iter().peekable();
    let here = |key: &Key| next.is_none_or(|next| key.as_bytes() < next.first.as_slice());
    loop {
        let change = changes.next_if(|(key, _)| here(key) && old.peek().is_none_or(|(before, _)| key <= before));
        match change {
            Some((key, value)) => {
                old.next_if(|(before, _)| *before == key);
                merged.extend(value.filter(|value| value.is_kept(space)).map(|value| (key, value)));
            }
            None => match old.next() {
                Some(item) => merged.push(item),
                None => return merged,
            },
        }
    }
}
