//! Reads of pages, journal and intents.

use super::Row;
use crate::{
    model::SyncId,
    state::{
        StateError,
        store::{Extent, IntentRow, JournalBlob, PageRow, Space, StateStore},
    },
};

impl dyn StateStore + '_ {
    /// Commits so far, over the store's whole life.
    pub(crate) async fn commit_count(&self) -> Result<i64, StateError> {
        self.one("select value from counters where name = 'commit'", &[], |row| row.get(0)).await
    }

    pub(crate) async fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StateError> {
        self.first("select value from meta where name = $1", &[name.into()], |row| row.get(0)).await
    }

    pub(crate) async fn intents(&self, sync: SyncId) -> Result<Vec<IntentRow>, StateError> {
        let sql = "select batch, send_before, attempted_at, members, data from intents where sync = $1 order by batch";
        self.all(sql, &[sync.0.into()], intent).await
    }

    /// The page that holds `key`'s place: the last one that begins at or before it, else the very first.
    pub(crate) async fn page_at(&self, sync: SyncId, space: Space, key: &[u8]) -> Result<Option<PageRow>, StateError> {
        let sql = "select id, first, data from pages
                    where sync = $1 and space = $2 and first <= $3 order by first desc limit 1";
        match self.first(sql, &[sync.0.into(), space.into(), key.into()], page).await? {
            Some(page) => Ok(Some(page)),
            None => Ok(self.pages_after(sync, space, None, 1).await?.pop()),
        }
    }

    /// The same page, and where the one after it begins; both of one moment.
    pub(crate) async fn page_with_next(
        &self,
        sync: SyncId,
        space: Space,
        key: &[u8],
    ) -> Result<Option<(PageRow, Option<Vec<u8>>)>, StateError> {
        let sql = "select p.id, p.first, p.data, (select n.first from pages n
                            where n.sync = $1 and n.space = $2 and n.first > p.first order by n.first limit 1)
                     from pages p where p.sync = $1 and p.space = $2
                      and p.first = coalesce(
                            (select o.first from pages o
                              where o.sync = $1 and o.space = $2 and o.first <= $3 order by o.first desc limit 1),
                            (select o.first from pages o where o.sync = $1 and o.space = $2 order by o.first limit 1))";
        self.first(sql, &[sync.0.into(), space.into(), key.into()], |row| Ok((page(row)?, row.get(3)?))).await
    }

    /// Pages that begin after `first` (`None`: all), in order.
    pub(crate) async fn pages_after(
        &self,
        sync: SyncId,
        space: Space,
        first: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<PageRow>, StateError> {
        let sql =
            "select id, first, data from pages where sync = $1 and space = $2 and first > $3 order by first limit $4";
        // No key is empty, so every page begins after the empty blob.
        let first = first.unwrap_or_default();
        self.all(sql, &[sync.0.into(), space.into(), first.into(), limit.into()], page).await
    }

    /// What the pages add up to, and what they should.
    pub(crate) async fn extent(&self, sync: SyncId, space: Space) -> Result<(Extent, Extent), StateError> {
        let sql =
            "select count(*), cast(coalesce(sum(p.entries), 0) as bigint), cast(coalesce(sum(p.live), 0) as bigint),
                          coalesce((select pages from extents where sync = $1 and space = $2), 0),
                          coalesce((select entries from extents where sync = $1 and space = $2), 0),
                          coalesce((select live from extents where sync = $1 and space = $2), 0)
                     from pages p where sync = $1 and space = $2";
        self.one(sql, &[sync.0.into(), space.into()], |row| Ok((extent(row, 0)?, extent(row, 3)?))).await
    }

    /// Changes whenever pages are replaced.
    pub(crate) async fn version(&self, sync: SyncId, space: Space) -> Result<i64, StateError> {
        let sql = "select version from extents where sync = $1 and space = $2";
        let version = self.first(sql, &[sync.0.into(), space.into()], |row| row.get(0)).await?;
        Ok(version.unwrap_or(0))
    }

    /// In the order of writing.
    pub(crate) async fn journal(&self, sync: SyncId, after: i64, limit: u32) -> Result<Vec<JournalBlob>, StateError> {
        let sql = "select seq, entries, data from journal where sync = $1 and seq > $2 order by seq limit $3";
        self.all(sql, &[sync.0.into(), after.into(), limit.into()], blob).await
    }

    /// The oldest row of the journal.
    pub(crate) async fn journal_start(&self, sync: SyncId) -> Result<Option<i64>, StateError> {
        self.one("select min(seq) from journal where sync = $1", &[sync.0.into()], |row| row.get(0)).await
    }

    /// Rows and entries of the journal.
    pub(crate) async fn journal_size(&self, sync: SyncId) -> Result<(u64, u64), StateError> {
        let sql = "select count(*), cast(coalesce(sum(entries), 0) as bigint) from journal where sync = $1";
        self.one(sql, &[sync.0.into()], |row| Ok((row.unsigned(0)?, row.unsigned(1)?))).await
    }
}

fn intent(row: &Row) -> Result<IntentRow, sqlx::Error> {
    Ok(IntentRow {
        batch: row.get(0)?,
        send_before: row.time(1)?,
        attempted_at: row.maybe_time(2)?,
        members: row.unsigned(3)?,
        data: row.get(4)?,
    })
}

fn page(row: &Row) -> Result<PageRow, sqlx::Error> {
    Ok(PageRow { id: row.get(0)?, first: row.get(1)?, data: row.get(2)? })
}

fn extent(row: &Row, from: usize) -> Result<Extent, sqlx::Error> {
    Ok(Extent { pages: row.get(from)?, entries: row.get(from + 1)?, live: row.get(from + 2)? })
}

fn blob(row: &Row) -> Result<JournalBlob, sqlx::Error> {
    Ok(JournalBlob { seq: row.get(0)?, entries: row.unsigned(1)?, data: row.get(2)? })
}
