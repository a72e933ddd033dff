//! The overlay of pages, journal, dirty marks, rejects and quiet keys.

use std::{collections::VecDeque, fmt, iter::Peekable, sync::Arc};

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::{
    StateError,
    codec::{PageValue, unpack, unpack_dirty, unpack_quiet, unpack_rejected},
    compact::{JournalMap, Part},
    last_words::Words,
    store::{Keyed, KeyedAfter, KeyedRow, PageRow, Space, StateStore},
};
use crate::model::{DirtyMark, Entry, Held, IntentId, Key, SyncId};

/// Pages read at once.
const PAGES: u32 = 8;
/// Marks read at once.
const MARKS: u32 = 512;

/// The pages of one space, item by item.
pub(super) struct PageScan<V> {
    pages: VecDeque<PageRow>,
    after: Option<Vec<u8>>,
    /// The pages' version when the scan began; they must not be replaced under it.
    version: Option<i64>,
    ended: bool,
    items: Peekable<std::vec::IntoIter<(Key, V)>>,
    last: Option<Key>,
}

impl<V: PageValue> PageScan<V> {
    pub(super) fn new() -> Self {
        Self {
            pages: VecDeque::new(),
            after: None,
            version: None,
            ended: false,
            items: Vec::new().into_iter().peekable(),
            last: None,
        }
    }

    /// Makes the next item, if any, visible in `items`.
    pub(super) async fn fill(&mut self, store: &dyn StateStore, sync: SyncId, space: Space) -> Result<(), StateError> {
        while self.items.peek().is_none() {
            let Some(page) = self.pages.pop_front() else {
                if self.ended {
                    return Ok(());
                }
                let begun = match self.version {
                    Some(version) => version,
                    None => *self.version.insert(store.version(sync, space).await?),
                };
                let pages = store.pages_after(sync, space, self.after.as_deref(), PAGES).await?;
                self.ended = pages.len() < PAGES as usize;
                self.after = pages.last().map(|page| page.first.clone()).or_else(|| self.after.take());
                self.pages = pages.into();
                if store.version(sync, space).await? != begun {
                    return Err(StateError::Changed);
                }
                continue;
            };
            let items = unpack::<V>(sync, space, &page.data)?;
            let ordered = items.first().is_none_or(|(first, _)| self.last.as_ref().is_none_or(|last| last < first));
            if !ordered {
                return Err(StateError::damaged("pages overlap"));
            }
            self.last = items.last().map(|(key, _)| key.clone());
            self.items = items.into_iter().peekable();
        }
        Ok(())
    }

    pub(super) fn peek(&mut self) -> Option<&Key> {
        self.items.peek().map(|(key, _)| key)
    }

    pub(super) fn take(&mut self) -> Option<(Key, V)> {
        self.items.next()
    }
}

/// A table of marks, row by row.
struct MarkScan {
    table: Keyed,
    rows: VecDeque<KeyedRow>,
    after: Option<KeyedAfter>,
    ended: bool,
}

impl MarkScan {
    const fn new(table: Keyed) -> Self {
        Self { table, rows: VecDeque::new(), after: None, ended: false }
    }

    async fn fill(&mut self, store: &dyn StateStore, sync: SyncId) -> Result<(), StateError> {
        if self.rows.is_empty() && !self.ended {
            let rows = store.keyed(self.table, sync, self.after.as_ref(), MARKS).await?;
            self.ended = rows.len() < MARKS as usize;
            self.after = rows.last().map(|row| (row.key.clone(), row.intent));
            self.rows = rows.into();
        }
        Ok(())
    }

    fn peek(&self) -> Option<&Key> {
        self.rows.front().map(|row| &row.key)
    }

    fn take(&mut self, key: &Key) -> Option<KeyedRow> {
        if self.peek() == Some(key) { self.rows.pop_front() } else { None }
    }
}

/// All that the state holds for a sync, in key order, read in chunks.
pub struct Overlay {
    store: Arc<dyn StateStore>,
    sync: SyncId,
    begun: bool,
    /// Nothing is compacted in this process from the first key to the last, or until this is dropped.
    lock: Arc<RwLock<()>>,
    compacting: Option<OwnedRwLockReadGuard<()>>,
    journal: Words<Option<Entry>>,
    pages: PageScan<Entry>,
    dirty: MarkScan,
    rejected: MarkScan,
    quiet: MarkScan,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("sync", &self.sync).finish_non_exhaustive()
    }
}

impl Overlay {
    pub(super) fn new(store: Arc<dyn StateStore>, sync: SyncId, lock: Arc<RwLock<()>>) -> Self {
        Self {
            store,
            sync,
            begun: false,
            lock,
            compacting: None,
            journal: Vec::new().into_iter().peekable(),
            pages: PageScan::new(),
            dirty: MarkScan::new(Keyed::Dirty),
            rejected: MarkScan::new(Keyed::Rejected),
            quiet: MarkScan::new(Keyed::Quiet),
        }
    }

    /// The next key's holdings, keys strictly increasing; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged; the run must then send nothing.
    pub async fn next(&mut self) -> Result<Option<Held>, StateError> {
        loop {
            self.fill().await?;
            let Some(key) = self.smallest() else {
                self.compacting = None;
                return Ok(None);
            };
            let held = self.take(key).await?;
            // A key that the journal removed, without marks, is gone.
            if held.entry.is_some() || !held.dirty.is_empty() || held.rejected.is_some() || held.quiet_until.is_some() {
                return Ok(Some(held));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), StateError> {
        let store = self.store.as_ref();
        if !self.begun {
            // The journal first: what a compaction moves to the pages meanwhile is then seen twice, not missed.
            self.compacting = Some(Arc::clone(&self.lock).read_owned().await);
            let map = JournalMap::read_whole(store, self.sync, Part::Entries).await?;
            self.journal = map.entries.into_iter().peekable();
            self.begun = true;
        }
        self.pages.fill(store, self.sync, Space::Entries).await?;
        for marks in [&mut self.dirty, &mut self.rejected, &mut self.quiet] {
            marks.fill(store, self.sync).await?;
        }
        Ok(())
    }

    fn smallest(&mut self) -> Option<Key> {
        let journal = self.journal.peek().map(|(key, _)| key);
        let keys = [journal, self.pages.peek(), self.dirty.peek(), self.rejected.peek(), self.quiet.peek()];
        keys.into_iter().flatten().min().cloned()
    }

    async fn take(&mut self, key: Key) -> Result<Held, StateError> {
        let mut entry = None;
        if self.pages.peek() == Some(&key) {
            entry = self.pages.take().map(|(_, entry)| entry);
        }
        if let Some((_, newer)) = self.journal.next_if(|(next, _)| *next == key) {
            entry = newer;
        }
        let mut dirty = Vec::new();
        while let Some(row) = self.dirty.take(&key) {
            dirty.push(row);
            self.dirty.fill(self.store.as_ref(), self.sync).await?;
        }
        let (rejected, quiet) = (self.rejected.take(&key), self.quiet.take(&key));
        held(self.sync, key, entry, &dirty, rejected.as_ref(), quiet.as_ref())
    }
}

/// Puts together what the tables say of a key.
fn held(
    sync: SyncId,
    key: Key,
    entry: Option<Entry>,
    dirty: &[KeyedRow],
    rejected: Option<&KeyedRow>,
    quiet: Option<&KeyedRow>,
) -> Result<Held, StateError> {
    let dirty = dirty
        .iter()
        .map(|row| unpack_dirty(sync, &key, row.intent, &row.data))
        .collect::<Result<Vec<DirtyMark>, StateError>>()?;
    let rejected = rejected.map(|row| unpack_rejected(sync, &key, &row.data).map(Box::new)).transpose()?;
    let quiet_until = quiet.map(|row| unpack_quiet(sync, &key, &row.data)).transpose()?;
    Ok(Held { key, entry, dirty, rejected, quiet_until })
}

/// What the state holds for one key.
pub(super) async fn held_at(store: &dyn StateStore, sync: SyncId, key: &Key) -> Result<Held, StateError> {
    let mut map = JournalMap::read_whole(store, sync, Part::Entries).await?;
    let mut entry = None;
    if let Some(page) = store.page_at(sync, Space::Entries, key.as_bytes()).await? {
        let items = unpack::<Entry>(sync, Space::Entries, &page.data)?;
        entry = items.into_iter().find(|(found, _)| found == key).map(|(_, entry)| entry);
    }
    let entry = map.entries.take(key).unwrap_or(entry);
    let dirty = store.keyed_at(Keyed::Dirty, sync, key).await?;
    let rejected = store.keyed_at(Keyed::Rejected, sync, key).await?;
    let quiet = store.keyed_at(Keyed::Quiet, sync, key).await?;
    held(sync, key.clone(), entry, &dirty, rejected.first(), quiet.first())
}

/// The dirty marks of one key.
pub(super) async fn marks_of(store: &dyn StateStore, sync: SyncId, key: &Key) -> Result<Vec<DirtyMark>, StateError> {
    let rows = store.keyed_at(Keyed::Dirty, sync, key).await?;
    let mark = |row: &KeyedRow| unpack_dirty(sync, key, IntentId { ..row.intent }, &row.data);
    rows.iter().map(mark).collect()
}
