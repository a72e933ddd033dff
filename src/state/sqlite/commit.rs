//! One durable transaction of writes.

use sqlx::{Connection as _, Row as _, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{copy, failed};
use crate::{
    model::{IntentId, Key, SyncId, Timestamp},
    proof::{Boundary, Rule, is_broken, reach},
    state::{
        NewSync, NullShare, RunClose, RunStatus, StateError, SyncUpdate,
        codec::PackedPage,
        store::{Extent, Space, Write},
        write::{GUARDED_SETS, json, signed},
    },
};

const WRITE: &str = "write to the state";

type Sql<'a> = Query<'a, Sqlite, SqliteArguments>;

pub(super) async fn commit(c: &mut SqliteConnection, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
    let mut transaction = c.begin_with("begin immediate").await.map_err(failed("begin a transaction"))?;
    let mut ids = Vec::with_capacity(writes.len());
    let half = writes.len().div_ceil(2);
    let changes_syncs = writes.iter().any(copy::concerns);
    for write in writes {
        ids.push(apply(&mut transaction, write).await?);
        if ids.len() == half {
            reach(Boundary::SettleInside).await?;
        }
    }
    if changes_syncs {
        copy::renew(&mut transaction).await?;
    }
    run(&mut transaction, sqlx::query("update counters set value = value + 1 where name = 'commit'")).await?;
    transaction.commit().await.map_err(failed("commit to the state"))?;
    Ok(ids)
}

/// Takes a lease under a new epoch. It is always free: the lock file lets one process in, and that has one run of a sync.
pub(super) async fn take_lease(c: &mut SqliteConnection, sync: SyncId, holder: &str) -> Result<i64, StateError> {
    let sql = "insert into leases (sync, epoch, holder) values (?, 1, ?)
               on conflict (sync) do update set epoch = epoch + 1, holder = excluded.holder returning epoch";
    scalar(c, sqlx::query(sql).bind(sync.0).bind(holder)).await
}

async fn run(c: &mut SqliteConnection, sql: Sql<'_>) -> Result<u64, StateError> {
    Ok(sql.execute(c).await.map_err(failed(WRITE))?.rows_affected())
}

/// Runs an insert and answers the id it made.
async fn insert(c: &mut SqliteConnection, sql: Sql<'_>) -> Result<i64, StateError> {
    Ok(sql.execute(c).await.map_err(failed(WRITE))?.last_insert_rowid())
}

/// Runs a statement that must concern exactly one row.
async fn one(c: &mut SqliteConnection, what: &str, sql: Sql<'_>) -> Result<i64, StateError> {
    if run(c, sql).await? == 1 { Ok(0) } else { Err(StateError::NotFound { what: what.to_owned() }) }
}

async fn some(c: &mut SqliteConnection, sql: Sql<'_>) -> Result<i64, StateError> {
    run(c, sql).await.map(|_| 0)
}

#[allow(clippy::too_many_lines, reason = "one arm for each write")]
async fn apply(c: &mut SqliteConnection, write: Write) -> Result<i64, StateError> {
    match write {
        Write::PutMeta { name, value } => {
            let sql =
                "insert into meta (name, value) values (?, ?) on conflict (name) do update set value = excluded.value";
            some(c, sqlx::query(sql).bind(name).bind(value)).await
        }
        Write::InsertSync { new, uuid, at } => insert_sync(c, &new, uuid, at).await,
        Write::UpdateSync { id, update } => update_sync(c, id, &update).await,
        Write::Resync { sync } => {
            let sql = "update syncs set resync_through = (select coalesce(max(id), 0) from runs), resync_open = 1,
                                        asked_through = case when ?1 is null then asked_through
                                                             else (select coalesce(max(id), 0) from runs) end,
                                        suspect = case when ?1 is null then 1 else suspect end
                        where ?1 is null or id = ?1";
            some(c, sqlx::query(sql).bind(sync.map(|sync| sync.0))).await
        }
        Write::EndResync { sync, through } => {
            let sql = "update syncs set resync_open = 0, asked_through = null, suspect = 0
                        where id = ?1 and resync_through = ?2";
            some(c, sqlx::query(sql).bind(sync.0).bind(through.0)).await
        }
        Write::Trust { sync } => {
            let sql =
                "update syncs set suspect = 0, resync_open = asked_through is not null, resync_through = asked_through
                        where id = ? and suspect = 1";
            some(c, sqlx::query(sql).bind(sync.0)).await
        }
        Write::SetInvalid { sync, run, rows, total } => set_invalid(c, sync, run.0, rows, total).await,
        Write::SetNullShares { sync, shares } => set_null_shares(c, sync, shares).await,
        Write::InsertRun { sync, trigger, at } => {
            let sql = "insert into runs (sync, started_by, status, started_at) values (?, ?, 'running', ?)";
            insert(c, sqlx::query(sql).bind(sync.0).bind(trigger).bind(at.as_micros())).await
        }
        Write::CloseRun { close, at } => close_run(c, &close, at).await,
        Write::InterruptRuns { sync, at } => {
            let sql = "update runs set status = 'interrupted', ended_at = ? where sync = ? and status = 'running'";
            some(c, sqlx::query(sql).bind(at.as_micros()).bind(sync.0)).await
        }
        Write::ReleaseLease { sync, epoch, .. } => {
            let sql = "update leases set expires_at = null where sync = ? and epoch = ?";
            some(c, sqlx::query(sql).bind(sync.0).bind(epoch)).await
        }
        Write::Nothing => Ok(0),
        Write::CheckEpoch { sync, epoch } => check_epoch(c, sync, epoch).await,
        Write::ReserveBatches { count } => {
            let sql = "update counters set value = value + ?1 where name = 'batch' returning value - ?1 + 1";
            scalar(c, sqlx::query(sql).bind(count)).await
        }
        Write::InsertIntent { batch, sync, run, epoch, send_before, members, data } => {
            let sql = "insert into intents (batch, sync, run, epoch, send_before, members, data)
                       values (?, ?, ?, ?, ?, ?, ?)";
            let sql = sqlx::query(sql).bind(batch).bind(sync.0).bind(run.0).bind(epoch);
            some(c, sql.bind(send_before.as_micros()).bind(signed(members)).bind(data)).await
        }
        Write::NoteAttempt { batch, at } => {
            // A batch that was settled meanwhile needs no note.
            let sql = "update intents set attempted_at = ? where batch = ?";
            some(c, sqlx::query(sql).bind(at.as_micros()).bind(batch)).await
        }
        Write::DeleteIntent { batch } => {
            one(c, "open intent of that batch", sqlx::query("delete from intents where batch = ?").bind(batch)).await
        }
        Write::DeleteIntents { sync } => some(c, sqlx::query("delete from intents where sync = ?").bind(sync.0)).await,
        Write::Journal { sync, entries, data } => {
            let sql = "insert into journal (sync, entries, data) values (?, ?, ?)";
            insert(c, sqlx::query(sql).bind(sync.0).bind(signed(entries)).bind(data)).await
        }
        Write::DeleteJournal { sync, through } => {
            let sql = "delete from journal where sync = ? and seq <= ?";
            some(c, sqlx::query(sql).bind(sync.0).bind(through)).await
        }
        Write::ReplacePages { sync, space, remove, put, delta } => {
            replace_pages(c, sync, space, &remove, put, delta).await
        }
        Write::PutDirty { sync, key, intent, since, data } => {
            let sql = "insert into dirty (sync, key, batch, position, since, data) values (?, ?, ?, ?, ?, ?)
                       on conflict do update set data = excluded.data";
            let sql = sqlx::query(sql).bind(sync.0).bind(key.as_bytes()).bind(intent.batch).bind(intent.position);
            some(c, sql.bind(since.as_micros()).bind(data)).await
        }
        Write::DeleteDirty { sync, intents } => delete_dirty(c, sync, &intents).await,
        Write::PutRejected { sync, key, data } => {
            let sql = "insert into rejected (sync, key, data) values (?, ?, ?)
                       on conflict do update set data = excluded.data";
            some(c, sqlx::query(sql).bind(sync.0).bind(key.as_bytes()).bind(data)).await
        }
        Write::DeleteRejected { sync, keys } => delete_rejected(c, sync, &keys).await,
        Write::PutQuiet { sync, key, until, data } => {
            let sql = "insert into quiet (sync, key, until, data) values (?, ?, ?, ?)
                       on conflict do update set until = excluded.until, data = excluded.data
                       where excluded.until > until";
            let sql = sqlx::query(sql).bind(sync.0).bind(key.as_bytes()).bind(until.as_micros());
            some(c, sql.bind(data)).await
        }
        Write::PruneQuiet { sync, before } => {
            let sql = "delete from quiet where sync = ? and until <= ?";
            some(c, sqlx::query(sql).bind(sync.0).bind(before.as_micros())).await
        }
        Write::AddGuarded { run, sync, set, rows, at, chunks } => {
            let sql = "insert into guarded_sets (run, sync, first_run, of_invalid, entries, created_at)
                       values (?, ?, ?, ?, ?, ?)
                       on conflict do update set entries = entries + excluded.entries";
            let sql = sqlx::query(sql).bind(run.0).bind(sync.0).bind(set.first_run).bind(set.of_invalid);
            some(c, sql.bind(signed(rows)).bind(at.as_micros())).await?;
            for chunk in chunks {
                let sql = "insert into guarded (run, data) values (?, ?)";
                some(c, sqlx::query(sql).bind(run.0).bind(chunk)).await?;
            }
            let sql = "delete from guarded_sets where sync = ?1
                        and run not in (select run from approvals where sync = ?1)
                        and run not in (select run from guarded_sets where sync = ?1 order by run desc limit ?2)";
            some(c, sqlx::query(sql).bind(sync.0).bind(GUARDED_SETS)).await
        }
        Write::PutApproval { sync, run, at, expires_at } => {
            let sql = "insert into approvals (sync, run, approved_at, expires_at) values (?, ?, ?, ?)
                       on conflict do update set run = excluded.run, approved_at = excluded.approved_at,
                                                 expires_at = excluded.expires_at";
            let sql = sqlx::query(sql).bind(sync.0).bind(run.0).bind(at.as_micros());
            some(c, sql.bind(expires_at.as_micros())).await
        }
        Write::DropApproval { sync } => some(c, sqlx::query("delete from approvals where sync = ?").bind(sync.0)).await,
        Write::LogRemovals { sync, run, at, count, prune_before } => {
            let sql = "delete from removal_log where at < ?";
            some(c, sqlx::query(sql).bind(prune_before.as_micros())).await?;
            let sql = "insert into removal_log (sync, run, at, removals) values (?, ?, ?, ?)";
            some(c, sqlx::query(sql).bind(sync.0).bind(run.0).bind(at.as_micros()).bind(signed(count))).await
        }
        Write::PutGrants { account, data } => {
            let sql = "insert into accounts (account, grants) values (?, ?)
                       on conflict do update set grants = excluded.grants";
            some(c, sqlx::query(sql).bind(account).bind(data)).await
        }
        Write::PutToken { account, after, data } => {
            let sql = "insert into tokens (account, generation, data) values (?1, ?2 + 1, ?3)
                       on conflict do update set generation = excluded.generation, data = excluded.data
                       where generation = ?2";
            let saved = run(c, sqlx::query(sql).bind(account).bind(after).bind(data)).await?;
            Ok(i64::from(saved == 1))
        }
        Write::PutIdentity { credential, account, at } => {
            let sql = "insert into identities (credential, account, seen_at) values (?, ?, ?)
                       on conflict do update set account = excluded.account, seen_at = excluded.seen_at";
            some(c, sqlx::query(sql).bind(credential.to_vec()).bind(account).bind(at.as_micros())).await
        }
        Write::InsertRequest { kind, sync, args, at } => {
            let sql = "insert into operator_requests (kind, sync, args, posted_at) values (?, ?, ?, ?)";
            let sql = sqlx::query(sql).bind(kind).bind(sync.map(|sync| sync.0)).bind(args);
            insert(c, sql.bind(at.as_micros())).await
        }
        Write::FinishRequest { id, result, at, prune_before } => {
            let sql = "delete from operator_requests where finished_at < ?";
            some(c, sqlx::query(sql).bind(prune_before.as_micros())).await?;
            let sql = "update operator_requests set finished_at = ?, result = ? where id = ? and finished_at is null";
            some(c, sqlx::query(sql).bind(at.as_micros()).bind(result).bind(id)).await
        }
    }
}

async fn scalar(c: &mut SqliteConnection, sql: Sql<'_>) -> Result<i64, StateError> {
    sql.fetch_one(c).await.and_then(|row| row.try_get(0)).map_err(failed(WRITE))
}

async fn insert_sync(
    c: &mut SqliteConnection,
    new: &NewSync,
    uuid: [u8; 16],
    at: Timestamp,
) -> Result<i64, StateError> {
    let sql = "insert into syncs (name, uuid, target, mapping, created_at) values (?, ?, ?, ?, ?)";
    let sql = sqlx::query(sql).bind(&new.name).bind(uuid.to_vec()).bind(json(&new.target)?);
    insert(c, sql.bind(new.mapping.as_ref().map(json).transpose()?).bind(at.as_micros())).await
}

async fn update_sync(c: &mut SqliteConnection, id: SyncId, update: &SyncUpdate) -> Result<i64, StateError> {
    let full_read = update.full_read.flatten();
    let sql = "update syncs set
                 name = coalesce(?2, name),
                 target = coalesce(?3, target),
                 previous_mapping = case when mapping ->> 'hash' <> ?4 ->> 'hash' then mapping else previous_mapping end,
                 mapping = coalesce(?4, mapping),
                 first_run_closed = coalesce(?5, first_run_closed),
                 last_ok_at = coalesce(?6, last_ok_at),
                 paused = coalesce(?7, paused),
                 last_removal_at = coalesce(?8, last_removal_at),
                 full_read_answer = iif(?9, ?10, full_read_answer),
                 full_read_at = iif(?9, ?11, full_read_at),
                 cursor = coalesce(?12, cursor)
               where id = ?1";
    let sql = sqlx::query(sql)
        .bind(id.0)
        .bind(&update.name)
        .bind(update.target.as_ref().map(json).transpose()?)
        .bind(update.mapping.as_ref().map(json).transpose()?)
        .bind(update.first_run_closed)
        .bind(update.last_ok_at.map(Timestamp::as_micros))
        .bind(update.paused)
        .bind(update.last_removal_at.map(Timestamp::as_micros))
        .bind(update.full_read.is_some())
        .bind(full_read.map(|read| read.answer.to_bytes().to_vec()))
        .bind(full_read.map(|read| read.at.as_micros()))
        .bind(update.cursor.as_ref().map(json).transpose()?);
    one(c, "sync of that id", sql).await
}

async fn set_invalid(
    c: &mut SqliteConnection,
    sync: SyncId,
    run: i64,
    rows: Vec<Vec<u8>>,
    total: u64,
) -> Result<i64, StateError> {
    some(c, sqlx::query("delete from invalid where sync = ?").bind(sync.0)).await?;
    for (position, data) in (0_i64..).zip(rows) {
        let sql = "insert into invalid (sync, position, run, data) values (?, ?, ?, ?)";
        some(c, sqlx::query(sql).bind(sync.0).bind(position).bind(run).bind(data)).await?;
    }
    let sql = "update syncs set invalid = ? where id = ?";
    one(c, "sync of that id", sqlx::query(sql).bind(signed(total)).bind(sync.0)).await
}

async fn set_null_shares(c: &mut SqliteConnection, sync: SyncId, shares: Vec<NullShare>) -> Result<i64, StateError> {
    some(c, sqlx::query("delete from null_shares where sync = ?").bind(sync.0)).await?;
    for NullShare { field, read, nulls } in shares {
        let sql = "insert into null_shares (sync, field, read, nulls) values (?, ?, ?, ?)";
        some(c, sqlx::query(sql).bind(sync.0).bind(field).bind(signed(read)).bind(signed(nulls))).await?;
    }
    Ok(0)
}

async fn close_run(c: &mut SqliteConnection, close: &RunClose, at: Timestamp) -> Result<i64, StateError> {
    let sql = "update runs set status = ?, ended_at = ?, counts = ?, summary = ?, error = ? where id = ?";
    let sql = sqlx::query(sql)
        .bind(close.status.name())
        .bind((close.status != RunStatus::Running).then(|| at.as_micros()))
        .bind(json(&close.counts)?)
        .bind(json(&close.summary)?)
        .bind(&close.error)
        .bind(close.run.0);
    one(c, "run of that id", sql).await
}

async fn check_epoch(c: &mut SqliteConnection, sync: SyncId, epoch: i64) -> Result<i64, StateError> {
    if is_broken(Rule::Epoch) {
        return Ok(0);
    }
    let sql = "select 1 from leases where sync = ? and epoch = ?";
    let held = sqlx::query(sql).bind(sync.0).bind(epoch).fetch_optional(c).await.map_err(failed(WRITE))?;
    held.map_or(Err(StateError::Fenced), |_| Ok(0))
}

async fn replace_pages(
    c: &mut SqliteConnection,
    sync: SyncId,
    space: Space,
    remove: &[i64],
    put: Vec<PackedPage>,
    delta: Extent,
) -> Result<i64, StateError> {
    for id in remove {
        one(c, "page to replace", sqlx::query("delete from pages where id = ?").bind(id)).await?;
    }
    for page in put {
        let sql = "insert into pages (sync, space, first, entries, live, data) values (?, ?, ?, ?, ?, ?)";
        let sql = sqlx::query(sql).bind(sync.0).bind(space.code()).bind(page.first);
        some(c, sql.bind(signed(page.entries)).bind(signed(page.live)).bind(page.data)).await?;
    }
    let sql = "insert into extents (sync, space, pages, entries, live) values (?, ?, ?, ?, ?)
               on conflict do update set pages = pages + excluded.pages, entries = entries + excluded.entries,
                                         live = live + excluded.live, version = version + 1";
    let sql = sqlx::query(sql).bind(sync.0).bind(space.code()).bind(delta.pages);
    some(c, sql.bind(delta.entries).bind(delta.live)).await
}

async fn delete_dirty(c: &mut SqliteConnection, sync: SyncId, intents: &[IntentId]) -> Result<i64, StateError> {
    let pairs: Vec<(i64, u32)> = intents.iter().map(|intent| (intent.batch, intent.position)).collect();
    let sql = "delete from dirty where sync = ?1
                and (batch, position) in (select value ->> 0, value ->> 1 from json_each(?2))";
    some(c, sqlx::query(sql).bind(sync.0).bind(json(&pairs)?)).await
}

async fn delete_rejected(c: &mut SqliteConnection, sync: SyncId, keys: &[Key]) -> Result<i64, StateError> {
    let keys: Vec<String> = keys.iter().map(|key| hex(key.as_bytes())).collect();
    let sql = "delete from rejected where sync = ?1 and key in (select unhex(value) from json_each(?2))";
    some(c, sqlx::query(sql).bind(sync.0).bind(json(&keys)?)).await
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |&digit| char::from(digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
