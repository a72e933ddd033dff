//! Reads of marks, guarded sets, approvals and accounts.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{failed, read::unsigned};
use crate::{
    model::{IntentId, Key, RunId, SyncId, Timestamp},
    state::{
        GuardedSet, NullShare, StateError,
        store::{ApprovalRow, DirtyTotals, Keyed, KeyedAfter, KeyedRow},
    },
};

const READ: &str = "read the state";

pub(super) async fn keyed(
    c: &mut SqliteConnection,
    table: Keyed,
    sync: SyncId,
    after: Option<&KeyedAfter>,
    limit: u32,
) -> Result<Vec<KeyedRow>, StateError> {
    let sql = match table {
        Keyed::Dirty => {
            "select key, batch, position, data from dirty
              where sync = ?1 and (key, batch, position) > (?2, ?3, ?4) order by key, batch, position limit ?5"
        }
        Keyed::Rejected => {
            "select key, 0, 0, data from rejected
              where sync = ?1 and key > ?2 and ?3 = ?3 and ?4 = ?4 order by key limit ?5"
        }
        Keyed::Quiet => {
            "select key, 0, 0, data from quiet
              where sync = ?1 and key > ?2 and ?3 = ?3 and ?4 = ?4 order by key limit ?5"
        }
    };
    let (key, intent) =
        after.map_or((&[][..], IntentId { batch: 0, position: 0 }), |(key, intent)| (key.as_bytes(), *intent));
    let rows = sqlx::query(sql)
        .bind(sync.0)
        .bind(key)
        .bind(intent.batch)
        .bind(intent.position)
        .bind(limit)
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    rows.iter().map(|row| keyed_row(row).map_err(failed(READ))).collect()
}

pub(super) async fn keyed_at(
    c: &mut SqliteConnection,
    table: Keyed,
    sync: SyncId,
    key: &Key,
) -> Result<Vec<KeyedRow>, StateError> {
    let sql = match table {
        Keyed::Dirty => {
            "select key, batch, position, data from dirty where sync = ? and key = ? order by batch, position"
        }
        Keyed::Rejected => "select key, 0, 0, data from rejected where sync = ? and key = ?",
        Keyed::Quiet => "select key, 0, 0, data from quiet where sync = ? and key = ?",
    };
    let rows = sqlx::query(sql).bind(sync.0).bind(key.as_bytes()).fetch_all(c).await.map_err(failed(READ))?;
    rows.iter().map(|row| keyed_row(row).map_err(failed(READ))).collect()
}

fn keyed_row(row: &SqliteRow) -> Result<KeyedRow, sqlx::Error> {
    Ok(KeyedRow {
        key: Key::from_encoded(row.try_get(0)?),
        intent: IntentId { batch: row.try_get(1)?, position: row.try_get(2)? },
        data: row.try_get(3)?,
    })
}

pub(super) async fn crowded(c: &mut SqliteConnection, sync: SyncId, marks: u32) -> Result<Vec<Key>, StateError> {
    let rows = sqlx::query("select key from dirty where sync = ? group by key having count(*) > ? order by key")
        .bind(sync.0)
        .bind(marks)
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    rows.iter().map(|row| row.try_get(0).map(Key::from_encoded).map_err(failed(READ))).collect()
}

pub(super) async fn totals(c: &mut SqliteConnection, sync: SyncId) -> Result<DirtyTotals, StateError> {
    let row = sqlx::query(
        "select (select count(distinct key) from dirty where sync = ?1),
                (select min(since) from dirty where sync = ?1),
                (select count(*) from rejected where sync = ?1)",
    )
    .bind(sync.0)
    .fetch_one(c)
    .await
    .map_err(failed(READ))?;
    let totals = || -> Result<DirtyTotals, sqlx::Error> {
        Ok(DirtyTotals {
            dirty: unsigned(&row, 0)?,
            oldest: row.try_get::<Option<i64>, _>(1)?.map(Timestamp::from_micros),
            rejected: unsigned(&row, 2)?,
        })
    };
    totals().map_err(failed(READ))
}

pub(super) async fn invalid(c: &mut SqliteConnection, sync: SyncId, limit: u32) -> Result<Vec<Vec<u8>>, StateError> {
    sqlx::query_scalar("select data from invalid where sync = ? order by position limit ?")
        .bind(sync.0)
        .bind(limit)
        .fetch_all(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn null_shares(c: &mut SqliteConnection, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
    let rows = sqlx::query("select field, read, nulls from null_shares where sync = ? order by field")
        .bind(sync.0)
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    let share = |row: &SqliteRow| -> Result<NullShare, sqlx::Error> {
        Ok(NullShare { field: row.try_get(0)?, read: unsigned(row, 1)?, nulls: unsigned(row, 2)? })
    };
    rows.iter().map(|row| share(row).map_err(failed(READ))).collect()
}

pub(super) async fn guarded_sync(c: &mut SqliteConnection, run: RunId) -> Result<Option<SyncId>, StateError> {
    let sync: Option<i64> = sqlx::query_scalar("select sync from guarded_sets where run = ?")
        .bind(run.0)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))?;
    Ok(sync.map(SyncId))
}

pub(super) async fn guarded(
    c: &mut SqliteConnection,
    run: RunId,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, Vec<u8>)>, StateError> {
    sqlx::query_as("select id, data from guarded where run = ? and id > ? order by id limit ?")
        .bind(run.0)
        .bind(after)
        .bind(limit)
        .fetch_all(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn approval(c: &mut SqliteConnection, sync: SyncId) -> Result<Option<ApprovalRow>, StateError> {
    let row = sqlx::query(
        "select a.run, g.first_run, g.of_invalid, g.entries, a.expires_at
           from approvals a join guarded_sets g on g.run = a.run where a.sync = ?",
    )
    .bind(sync.0)
    .fetch_optional(c)
    .await
    .map_err(failed(READ))?;
    let approval = |row: &SqliteRow| -> Result<ApprovalRow, sqlx::Error> {
        Ok(ApprovalRow {
            run: RunId(row.try_get(0)?),
            set: GuardedSet { first_run: row.try_get(1)?, of_invalid: row.try_get(2)? },
            rows: unsigned(row, 3)?,
            expires_at: Timestamp::from_micros(row.try_get(4)?),
        })
    };
    row.as_ref().map(approval).transpose().map_err(failed(READ))
}

pub(super) async fn removals_since(
    c: &mut SqliteConnection,
    sync: SyncId,
    since: Timestamp,
) -> Result<u64, StateError> {
    let row = sqlx::query("select coalesce(sum(removals), 0) from removal_log where sync = ? and at >= ?")
        .bind(sync.0)
        .bind(since.as_micros())
        .fetch_one(c)
        .await
        .map_err(failed(READ))?;
    unsigned(&row, 0).map_err(failed(READ))
}

pub(super) async fn grants(c: &mut SqliteConnection, account: &str) -> Result<Option<Vec<u8>>, StateError> {
    let row: Option<Option<Vec<u8>>> = sqlx::query_scalar("select grants from accounts where account = ?")
        .bind(account)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))?;
    Ok(row.flatten())
}

pub(super) async fn token(c: &mut SqliteConnection, account: &str) -> Result<Option<(i64, Vec<u8>)>, StateError> {
    sqlx::query_as("select generation, data from tokens where account = ?")
        .bind(account)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn identity(c: &mut SqliteConnection, credential: [u8; 8]) -> Result<Option<String>, StateError> {
    sqlx::query_scalar("select account from identities where credential = ?")
        .bind(&credential[..])
        .fetch_optional(c)
        .await
        .map_err(failed(READ))
}
