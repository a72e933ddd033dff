//! Reads of pages, journal and intents.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::failed;
use crate::{
    model::{SyncId, Timestamp},
    state::{
        StateError,
        store::{Extent, IntentRow, JournalBlob, PageRow, Space},
    },
};

const READ: &str = "read the state";

pub(super) async fn commit_count(c: &mut PgConnection) -> Result<i64, StateError> {
    sqlx::query_scalar("select value from counters where name = 'commit'").fetch_one(c).await.map_err(failed(READ))
}

pub(super) async fn meta(c: &mut PgConnection, name: &str) -> Result<Option<Vec<u8>>, StateError> {
    sqlx::query_scalar("select value from meta where name = $1")
        .bind(name)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn intents(c: &mut PgConnection, sync: SyncId) -> Result<Vec<IntentRow>, StateError> {
    let rows = sqlx::query(
        "select batch, send_before, attempted_at, members, data from intents where sync = $1 order by batch",
    )
    .bind(sync.0)
    .fetch_all(c)
    .await
    .map_err(failed(READ))?;
    rows.into_iter().map(|row| intent(&row).map_err(failed(READ))).collect()
}

fn intent(row: &PgRow) -> Result<IntentRow, sqlx::Error> {
    Ok(IntentRow {
        batch: row.try_get(0)?,
        send_before: Timestamp::from_micros(row.try_get(1)?),
        attempted_at: row.try_get::<Option<i64>, _>(2)?.map(Timestamp::from_micros),
        members: unsigned(row, 3)?,
        data: row.try_get(4)?,
    })
}

pub(super) async fn page_at(
    c: &mut PgConnection,
    sync: SyncId,
    space: Space,
    key: &[u8],
) -> Result<Option<PageRow>, StateError> {
    let row = sqlx::query(
        "select id, first, data from pages where sync = $1 and space = $2 and first <= $3 order by first desc limit 1",
    )
    .bind(sync.0)
    .bind(i64::from(space.code()))
    .bind(key)
    .fetch_optional(&mut *c)
    .await
    .map_err(failed(READ))?;
    match row {
        Some(row) => page(&row).map(Some).map_err(failed(READ)),
        None => Ok(pages_after(c, sync, space, None, 1).await?.pop()),
    }
}

pub(super) async fn pages_after(
    c: &mut PgConnection,
    sync: SyncId,
    space: Space,
    first: Option<&[u8]>,
    limit: u32,
) -> Result<Vec<PageRow>, StateError> {
    // No key is empty, so every page begins after the empty blob.
    let rows = sqlx::query(
        "select id, first, data from pages where sync = $1 and space = $2 and first > $3 order by first limit $4",
    )
    .bind(sync.0)
    .bind(i64::from(space.code()))
    .bind(first.unwrap_or_default())
    .bind(i64::from(limit))
    .fetch_all(c)
    .await
    .map_err(failed(READ))?;
    rows.into_iter().map(|row| page(&row).map_err(failed(READ))).collect()
}

fn page(row: &PgRow) -> Result<PageRow, sqlx::Error> {
    Ok(PageRow { id: row.try_get(0)?, first: row.try_get(1)?, data: row.try_get(2)? })
}

pub(super) async fn extent(c: &mut PgConnection, sync: SyncId, space: Space) -> Result<(Extent, Extent), StateError> {
    let row = sqlx::query(
        "select count(*), coalesce(sum(p.entries), 0)::bigint, coalesce(sum(p.live), 0)::bigint,
                coalesce((select pages from extents where sync = $1 and space = $2), 0),
                coalesce((select entries from extents where sync = $1 and space = $2), 0),
                coalesce((select live from extents where sync = $1 and space = $2), 0)
           from pages p where sync = $1 and space = $2",
    )
    .bind(sync.0)
    .bind(i64::from(space.code()))
    .fetch_one(c)
    .await
    .map_err(failed(READ))?;
    let at = |from: usize| -> Result<Extent, sqlx::Error> {
        Ok(Extent { pages: row.try_get(from)?, entries: row.try_get(from + 1)?, live: row.try_get(from + 2)? })
    };
    Ok((at(0).map_err(failed(READ))?, at(3).map_err(failed(READ))?))
}

pub(super) async fn version(c: &mut PgConnection, sync: SyncId, space: Space) -> Result<i64, StateError> {
    let version: Option<i64> = sqlx::query_scalar("select version from extents where sync = $1 and space = $2")
        .bind(sync.0)
        .bind(i64::from(space.code()))
        .fetch_optional(c)
        .await
        .map_err(failed(READ))?;
    Ok(version.unwrap_or(0))
}

pub(super) async fn journal(
    c: &mut PgConnection,
    sync: SyncId,
    after: i64,
    limit: u32,
) -> Result<Vec<JournalBlob>, StateError> {
    let rows = sqlx::query("select seq, entries, data from journal where sync = $1 and seq > $2 order by seq limit $3")
        .bind(sync.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    let blob = |row: &PgRow| -> Result<JournalBlob, sqlx::Error> {
        Ok(JournalBlob { seq: row.try_get(0)?, entries: unsigned(row, 1)?, data: row.try_get(2)? })
    };
    rows.iter().map(|row| blob(row).map_err(failed(READ))).collect()
}

pub(super) async fn journal_size(c: &mut PgConnection, sync: SyncId) -> Result<(u64, u64), StateError> {
    let row = sqlx::query("select count(*), coalesce(sum(entries), 0)::bigint from journal where sync = $1")
        .bind(sync.0)
        .fetch_one(c)
        .await
        .map_err(failed(READ))?;
    Ok((unsigned(&row, 0).map_err(failed(READ))?, unsigned(&row, 1).map_err(failed(READ))?))
}

/// A number that is never negative in an undamaged state.
pub(super) fn unsigned(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
