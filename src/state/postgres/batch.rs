//! Rows that one settle writes by the hundred, as one statement a table.

use std::collections::HashMap;

use super::{apply::run, link::Link};
use crate::{
    model::{IntentId, Key, SyncId, Timestamp},
    state::{StateError, store::Write},
};

/// Rows of one statement.
const ROWS: usize = 2_000;

/// Writes the leading marks of one table, and answers how many of `writes` that were: 0 when the first is something else.
/// The last word counts for rows that are named twice.
pub(super) async fn put(c: &mut Link, writes: &[Write]) -> Result<usize, StateError> {
    let (dirty, rejected, quiet) = (leading(writes, dirty), leading(writes, rejected), leading(writes, quiet));
    let taken = dirty.len() + rejected.len() + quiet.len();
    if !dirty.is_empty() {
        put_dirty(c, &dirty).await?;
    }
    if !rejected.is_empty() {
        put_rejected(c, &rejected).await?;
    }
    if !quiet.is_empty() {
        put_quiet(c, &quiet).await?;
    }
    Ok(taken)
}

fn leading<'a, T>(writes: &'a [Write], of: impl Fn(&'a Write) -> Option<T>) -> Vec<T> {
    writes.iter().take(ROWS).map_while(of).collect()
}

type Dirty<'a> = (SyncId, &'a Key, IntentId, Timestamp, &'a [u8]);
type Rejected<'a> = (SyncId, &'a Key, &'a [u8]);
type Quiet<'a> = (SyncId, &'a Key, Timestamp, &'a [u8]);

fn dirty(write: &Write) -> Option<Dirty<'_>> {
    let Write::PutDirty { sync, key, intent, since, data } = write else { return None };
    Some((*sync, key, *intent, *since, data))
}

fn rejected(write: &Write) -> Option<Rejected<'_>> {
    let Write::PutRejected { sync, key, data } = write else { return None };
    Some((*sync, key, data))
}

fn quiet(write: &Write) -> Option<Quiet<'_>> {
    let Write::PutQuiet { sync, key, until, data } = write else { return None };
    Some((*sync, key, *until, data))
}

async fn put_dirty(c: &mut Link, rows: &[Dirty<'_>]) -> Result<(), StateError> {
    let rows: HashMap<_, _> = rows.iter().map(|row| ((row.0, row.1, row.2), (row.3, row.4))).collect();
    let sql = "insert into dirty (sync, key, batch, position, since, data)
               select * from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
               on conflict (sync, key, batch, position) do update set data = excluded.data";
    let sql = sqlx::query(sql)
        .bind(rows.keys().map(|(sync, ..)| sync.0).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, key, _)| key.as_bytes()).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, _, intent)| intent.batch).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, _, intent)| i64::from(intent.position)).collect::<Vec<_>>())
        .bind(rows.values().map(|(since, _)| since.as_micros()).collect::<Vec<_>>())
        .bind(rows.values().map(|(_, data)| *data).collect::<Vec<_>>());
    run(c, sql).await.map(drop)
}

async fn put_rejected(c: &mut Link, rows: &[Rejected<'_>]) -> Result<(), StateError> {
    let rows: HashMap<_, _> = rows.iter().map(|row| ((row.0, row.1), row.2)).collect();
    let sql = "insert into rejected (sync, key, data)
               select * from unnest($1::bigint[], $2::bytea[], $3::bytea[])
               on conflict (sync, key) do update set data = excluded.data";
    let sql = sqlx::query(sql)
        .bind(rows.keys().map(|(sync, _)| sync.0).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, key)| key.as_bytes()).collect::<Vec<_>>())
        .bind(rows.values().copied().collect::<Vec<_>>());
    run(c, sql).await.map(drop)
}

async fn put_quiet(c: &mut Link, rows: &[Quiet<'_>]) -> Result<(), StateError> {
    let mut latest: HashMap<_, (Timestamp, &[u8])> = HashMap::new();
    for (sync, key, until, data) in rows {
        let slot = latest.entry((*sync, *key)).or_insert((*until, data));
        if *until > slot.0 {
            *slot = (*until, data);
        }
    }
    let sql = "insert into quiet (sync, key, until, data)
               select * from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[])
               on conflict (sync, key) do update set until = excluded.until, data = excluded.data
               where excluded.until > quiet.until";
    let sql = sqlx::query(sql)
        .bind(latest.keys().map(|(sync, _)| sync.0).collect::<Vec<_>>())
        .bind(latest.keys().map(|(_, key)| key.as_bytes()).collect::<Vec<_>>())
        .bind(latest.values().map(|(until, _)| until.as_micros()).collect::<Vec<_>>())
        .bind(latest.values().map(|(_, data)| *data).collect::<Vec<_>>());
    run(c, sql).await.map(drop)
}
