//! Reads of marks, guarded sets, approvals and accounts.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

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
    c: &mut PgConnection,
    table: Keyed,
    sync: SyncId,
    after: Option<&KeyedAfter>,
    limit: u32,
) -> Result<Vec<KeyedRow>, StateError> {
    let sql = match table {
        Keyed::Dirty => {
            "select key, batch, position, data from dirty
              where sync = $1 and (key, batch, position) > ($2, $3, $4) order by key, batch, position limit $5"
        }
        Keyed::Rejected => {
            "select key, 0::bigint, 0::bigint, data from rejected
              where sync = $1 and key > $2 and $3 = $3 and $4 = $4 order by key limit $5"
        }
        Keyed::Quiet => {
            "select key, 0::bigint, 0::bigint, data from quiet
              where sync = $1 and key > $2 and $3 = $3 and $4 = $4 order by key limit $5"
        }
    };
    let (key, intent) =
        after.map_or((&[][..], IntentId { batch: 0, position: 0 }), |(key, intent)| (key.as_bytes(), *intent));
    let rows = sqlx::query(sql)
        .bind(sync.0)
        .bind(key)
        .bind(intent.batch)
        .bind(i64::from(intent.position))
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    rows.iter().map(|row| keyed_row(row).map_err(failed(READ))).collect()
}

pub(super) async fn keyed_at(
    c: &mut PgConnection,
    table: Keyed,
    sync: SyncId,
    key: &Key,
) -> Result<Vec<KeyedRow>, StateError> {
    let sql = match table {
        Keyed::Dirty => {
            "select key, batch, position, data from dirty where sync = $1 and key = $2 order by batch, position"
        }
        Keyed::Rejected => "select key, 0::bigint, 0::bigint, data from rejected where sync = $1 and key = $2",
        Keyed::Quiet => "select key, 0::bigint, 0::bigint, data from quiet where sync = $1 and key = $2",
    };
    let rows = sqlx::query(sql).bind(sync.0).bind(key.as_bytes()).fetch_all(c).await.map_err(failed(READ))?;
    rows.iter().map(|row| keyed_row(row).map_err(failed(READ))).collect()
}

fn keyed_row(row: &PgRow) -> Result<KeyedRow, sqlx::Error> {
    let position = u32::try_from(row.try_get::<i64, _>(2)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(KeyedRow {
        key: Key::from_encoded(row.try_get(0)?),
        intent: IntentId { batch: row.try_get(1)?, position },
        data: row.try_get(3)?,
    })
}

pub(super) async fn crowded(c: &mut PgConnection, sync: SyncId, marks: u32) -> Result<Vec<Key>, StateError> {
    let rows = sqlx::query("select key from dirty where sync = $1 group by key having count(*) > $2 order by key")
        .bind(sync.0)
        .bind(i64::from(marks))
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    rows.iter().map(|row| row.try_get(0).map(Key::from_encoded).map_err(failed(READ))).collect()
}

pub(super) async fn totals(c: &mut PgConnection, sync: SyncId) -> Result<DirtyTotals, StateError> {
    let row = sqlx::query(
        "select (select count(distinct key) from dirty where sync = $1),
                (select min(since) from dirty where sync = $1),
                (select count(*) from rejected where sync = $1)",
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

pub(super) async fn invalid(c: &mut PgConnection, sync: SyncId, limit: u32) -> Result<Vec<Vec<u8>>, StateError> {
    sqlx::query_scalar("select data from invalid where sync = $1 order by position limit $2")
        .bind(sync.0)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn null_shares(c: &mut PgConnection, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
    let rows = sqlx::query("select field, read, nulls from null_shares where sync = $1 order by field")
        .bind(sync.0)
        .fetch_all(c)
        .await
        .map_err(failed(READ))?;
    let share = |row: &PgRow| -> Result<NullShare, sqlx::Error> {
        Ok(NullShare { field: row.try_get(0)?, read: unsigned(row, 1)?, nulls: unsigned(row, 2)? })
    };
    rows.iter().map(|row| share(row).map_err(failed(READ))).collect()
}

pub(super) async fn guarded_sync(c: &mut PgConnection, run: RunId) -> Result<Option<SyncId>, StateError> {
    let sync: Option<i64> = sqlx::query_scalar("select sync from guarded_sets where run = $1")
        .bind(run.0)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))?;
    Ok(sync.map(SyncId))
}

pub(super) async fn guarded(
    c: &mut PgConnection,
    run: RunId,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, Vec<u8>)>, StateError> {
    sqlx::query_as("select id, data from guarded where run = $1 and id > $2 order by id limit $3")
        .bind(run.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn approval(c: &mut PgConnection, sync: SyncId) -> Result<Option<ApprovalRow>, StateError> {
    let row = sqlx::query(
        "select a.run, g.first_run, g.of_invalid, g.entries, a.expires_at
           from approvals a join guarded_sets g on g.run = a.run where a.sync = $1",
    )
    .bind(sync.0)
    .fetch_optional(c)
    .await
    .map_err(failed(READ))?;
    let approval = |row: &PgRow| -> Result<ApprovalRow, sqlx::Error> {
        Ok(ApprovalRow {
            run: RunId(row.try_get(0)?),
            set: GuardedSet { first_run: row.try_get(1)?, of_invalid: row.try_get(2)? },
            rows: unsigned(row, 3)?,
            expires_at: Timestamp::from_micros(row.try_get(4)?),
        })
    };
    row.as_ref().map(approval).transpose().map_err(failed(READ))
}

pub(super) async fn removals_since(c: &mut PgConnection, sync: SyncId, since: Timestamp) -> Result<u64, StateError> {
    let row = sqlx::query("select coalesce(sum(removals), 0)::bigint from removal_log where sync = $1 and at >= $2")
        .bind(sync.0)
        .bind(since.as_micros())
        .fetch_one(c)
        .await
        .map_err(failed(READ))?;
    unsigned(&row, 0).map_err(failed(READ))
}

pub(super) async fn grants(c: &mut PgConnection, account: &str) -> Result<Option<Vec<u8>>, StateError> {
    let row: Option<Option<Vec<u8>>> = sqlx::query_scalar("select grants from accounts where account = $1")
        .bind(account)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))?;
    Ok(row.flatten())
}

pub(super) async fn token(c: &mut PgConnection, account: &str) -> Result<Option<(i64, Vec<u8>)>, StateError> {
    sqlx::query_as("select generation, data from tokens where account = $1")
        .bind(account)
        .fetch_optional(c)
        .await
        .map_err(failed(READ))
}

pub(super) async fn identity(c: &mut PgConnection, credential: [u8; 8]) -> Result<Option<String>, StateError> {
    sqlx::query_scalar("select account from identities where credential = $1")
        .bind(&credential[..])
        .fetch_optional(c)
        .await
        .map_err(failed(READ))
}
