//! Single writes of a transaction.

use sqlx::{Postgres, Row as _, postgres::PgArguments, query::Query};

use super::{batch, link::Link, session::failed};
use crate::{
    model::{IntentId, Key, SyncId, Timestamp},
    proof::{Rule, is_broken},
    state::{
        GuardedSet, NewSync, NullShare, RunClose, RunStatus, StateError, SyncUpdate,
        codec::PackedPage,
        store::{Extent, Space, Write},
        write::{GUARDED_SETS, json, signed},
    },
};

const WRITE: &str = "write to the state";

type Sql<'a> = Query<'a, Postgres, PgArguments>;

pub(super) async fn run(c: &mut Link, sql: Sql<'_>) -> Result<u64, StateError> {
    Ok(sql.execute(c).await.map_err(failed(WRITE))?.rows_affected())
}

/// Runs a statement that must concern exactly one row.
async fn one(c: &mut Link, what: &str, sql: Sql<'_>) -> Result<i64, StateError> {
    if run(c, sql).await? == 1 { Ok(0) } else { Err(StateError::NotFound { what: what.to_owned() }) }
}

async fn some(c: &mut Link, sql: Sql<'_>) -> Result<i64, StateError> {
    run(c, sql).await.map(|_| 0)
}

/// Runs a statement that answers one number.
async fn scalar(c: &mut Link, sql: Sql<'_>) -> Result<i64, StateError> {
    sql.fetch_one(c).await.and_then(|row| row.try_get(0)).map_err(failed(WRITE))
}

#[allow(clippy::too_many_lines, reason = "one arm for each write")]
/// `holder`: who must have the leases that are checked; `None`: whoever has them.
pub(super) async fn apply(c: &mut Link, write: &Write, holder: Option<&str>) -> Result<i64, StateError> {
    match write {
        Write::PutMeta { name, value } => {
            let sql = "insert into meta (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value";
            some(c, sqlx::query(sql).bind(name).bind(value)).await
        }
        Write::InsertSync { new, uuid, at } => insert_sync(c, new, *uuid, *at).await,
        Write::UpdateSync { id, update } => update_sync(c, *id, update).await,
        Write::Resync { sync } => {
            let sql = "update syncs set resync_through = (select coalesce(max(id), 0) from runs), resync_open = true,
                                        asked_through = case when $1::bigint is null then asked_through
                                                             else (select coalesce(max(id), 0) from runs) end,
                                        suspect = suspect or $1::bigint is null
                        where $1 is null or id = $1";
            some(c, sqlx::query(sql).bind(sync.map(|sync| sync.0))).await
        }
        Write::EndResync { sync, through } => {
            let sql = "update syncs set resync_open = false, asked_through = null, suspect = false
                        where id = $1 and resync_through = $2";
            some(c, sqlx::query(sql).bind(sync.0).bind(through.0)).await
        }
        Write::Trust { sync } => {
            let sql = "update syncs set suspect = false, resync_open = asked_through is not null,
                                        resync_through = asked_through
                        where id = $1 and suspect";
            some(c, sqlx::query(sql).bind(sync.0)).await
        }
        Write::SetInvalid { sync, run, rows, total } => set_invalid(c, *sync, run.0, rows, *total).await,
        Write::SetNullShares { sync, shares } => set_null_shares(c, *sync, shares).await,
        Write::InsertRun { sync, trigger, at } => {
            let sql =
                "insert into runs (sync, started_by, status, started_at) values ($1, $2, 'running', $3) returning id";
            scalar(c, sqlx::query(sql).bind(sync.0).bind(trigger).bind(at.as_micros())).await
        }
        Write::CloseRun { close, at } => close_run(c, close, *at).await,
        Write::InterruptRuns { sync, at } => {
            let sql = "update runs set status = 'interrupted', ended_at = $1 where sync = $2 and status = 'running'";
            some(c, sqlx::query(sql).bind(at.as_micros()).bind(sync.0)).await
        }
        Write::ReleaseLease { sync, epoch, unfinished } => {
            let sql = "update leases set expires_at = case when $3 then clock_timestamp() end
                        where sync = $1 and epoch = $2";
            some(c, sqlx::query(sql).bind(sync.0).bind(epoch).bind(unfinished)).await
        }
        Write::Nothing => Ok(0),
        // The check locks the lease.
        Write::CheckEpoch { sync, epoch } => check_epoch(c, *sync, *epoch, holder).await,
        Write::ReserveBatches { count } => {
            let sql = "update counters set value = value + $1 where name = 'batch' returning value - $1 + 1";
            scalar(c, sqlx::query(sql).bind(count)).await
        }
        Write::InsertIntent { batch, sync, run, epoch, send_before, members, data } => {
            let sql = "insert into intents (batch, sync, run, epoch, send_before, members, data)
                       values ($1, $2, $3, $4, $5, $6, $7)";
            let sql = sqlx::query(sql).bind(batch).bind(sync.0).bind(run.0).bind(epoch);
            some(c, sql.bind(send_before.as_micros()).bind(signed(*members)).bind(data)).await
        }
        Write::NoteAttempt { batch, at } => {
            // A batch that was settled meanwhile needs no note.
            let sql = "update intents set attempted_at = $1 where batch = $2";
            some(c, sqlx::query(sql).bind(at.as_micros()).bind(batch)).await
        }
        Write::DeleteIntent { batch } => {
            one(c, "open intent of that batch", sqlx::query("delete from intents where batch = $1").bind(batch)).await
        }
        Write::DeleteIntents { sync } => some(c, sqlx::query("delete from intents where sync = $1").bind(sync.0)).await,
        Write::Journal { sync, entries, data } => {
            let sql = "insert into journal (sync, entries, data) values ($1, $2, $3) returning seq";
            scalar(c, sqlx::query(sql).bind(sync.0).bind(signed(*entries)).bind(data)).await
        }
        Write::DeleteJournal { sync, through } => {
            let sql = "delete from journal where sync = $1 and seq <= $2";
            some(c, sqlx::query(sql).bind(sync.0).bind(through)).await
        }
        Write::ReplacePages { sync, space, remove, put, delta } => {
            replace_pages(c, *sync, *space, remove, put, *delta).await
        }
        Write::PutDirty { .. } | Write::PutRejected { .. } | Write::PutQuiet { .. } => {
            batch::put(c, std::slice::from_ref(write)).await.map(|_| 0)
        }
        Write::DeleteDirty { sync, intents } => delete_dirty(c, *sync, intents).await,
        Write::DeleteRejected { sync, keys } => delete_rejected(c, *sync, keys).await,
        Write::PruneQuiet { sync, before } => {
            let sql = "delete from quiet where sync = $1 and until <= $2";
            some(c, sqlx::query(sql).bind(sync.0).bind(before.as_micros())).await
        }
        Write::AddGuarded { run, sync, set, rows, at, chunks } => {
            add_guarded(c, (run.0, sync.0), *set, signed(*rows), *at, chunks).await
        }
        Write::PutApproval { sync, run, at, expires_at } => {
            let sql = "insert into approvals (sync, run, approved_at, expires_at) values ($1, $2, $3, $4)
                       on conflict (sync) do update set run = excluded.run, approved_at = excluded.approved_at,
                                                 expires_at = excluded.expires_at";
            let sql = sqlx::query(sql).bind(sync.0).bind(run.0).bind(at.as_micros());
            some(c, sql.bind(expires_at.as_micros())).await
        }
        Write::DropApproval { sync } => {
            some(c, sqlx::query("delete from approvals where sync = $1").bind(sync.0)).await
        }
        Write::LogRemovals { sync, run, at, count, prune_before } => {
            let sql = "delete from removal_log where at < $1";
            some(c, sqlx::query(sql).bind(prune_before.as_micros())).await?;
            let sql = "insert into removal_log (sync, run, at, removals) values ($1, $2, $3, $4)";
            some(c, sqlx::query(sql).bind(sync.0).bind(run.0).bind(at.as_micros()).bind(signed(*count))).await
        }
        Write::PutGrants { account, data } => {
            let sql = "insert into accounts (account, grants) values ($1, $2)
                       on conflict (account) do update set grants = excluded.grants";
            some(c, sqlx::query(sql).bind(account).bind(data)).await
        }
        Write::PutToken { account, after, data } => {
            let sql = "insert into tokens (account, generation, data) values ($1, $2 + 1, $3)
                       on conflict (account) do update set generation = excluded.generation, data = excluded.data
                       where tokens.generation = $2";
            let saved = run(c, sqlx::query(sql).bind(account).bind(after).bind(data)).await?;
            Ok(i64::from(saved == 1))
        }
        Write::PutIdentity { credential, account, at } => {
            let sql = "insert into identities (credential, account, seen_at) values ($1, $2, $3)
                       on conflict (credential) do update set account = excluded.account, seen_at = excluded.seen_at";
            some(c, sqlx::query(sql).bind(credential.as_slice()).bind(account).bind(at.as_micros())).await
        }
        Write::InsertRequest { kind, sync, args, at } => {
            let sql = "insert into operator_requests (kind, sync, args, posted_at) values ($1, $2, $3, $4)
                       returning id";
            let sql = sqlx::query(sql).bind(kind).bind(sync.map(|sync| sync.0)).bind(args);
            scalar(c, sql.bind(at.as_micros())).await
        }
        Write::FinishRequest { id, result, at, prune_before } => {
            let sql = "delete from operator_requests where finished_at < $1";
            some(c, sqlx::query(sql).bind(prune_before.as_micros())).await?;
            let sql =
                "update operator_requests set finished_at = $1, result = $2 where id = $3 and finished_at is null";
            some(c, sqlx::query(sql).bind(at.as_micros()).bind(result).bind(id)).await
        }
    }
}

/// Two daemons may register a sync at once: the first wins, and both go on with its id.
async fn insert_sync(c: &mut Link, new: &NewSync, uuid: [u8; 16], at: Timestamp) -> Result<i64, StateError> {
    let sql = "insert into syncs (name, uuid, target, mapping, created_at) values ($1, $2, $3, $4, $5)
               on conflict (name) do nothing";
    let sql = sqlx::query(sql).bind(&new.name).bind(uuid.to_vec()).bind(json(&new.target)?);
    run(c, sql.bind(new.mapping.as_ref().map(json).transpose()?).bind(at.as_micros())).await?;
    scalar(c, sqlx::query("select id from syncs where name = $1").bind(&new.name)).await
}

async fn add_guarded(
    c: &mut Link,
    (run_id, sync): (i64, i64),
    set: GuardedSet,
    rows: i64,
    at: Timestamp,
    chunks: &[Vec<u8>],
) -> Result<i64, StateError> {
    let sql = "insert into guarded_sets (run, sync, first_run, of_invalid, entries, created_at)
               values ($1, $2, $3, $4, $5, $6)
               on conflict (run) do update set entries = guarded_sets.entries + excluded.entries";
    let sql = sqlx::query(sql).bind(run_id).bind(sync).bind(set.first_run).bind(set.of_invalid);
    run(c, sql.bind(rows).bind(at.as_micros())).await?;
    let sql = "insert into guarded (run, data)
               select $1, data from unnest($2::bytea[]) with ordinality as chunk (data, n) order by n";
    run(c, sqlx::query(sql).bind(run_id).bind(chunks)).await?;
    let sql = "delete from guarded_sets where sync = $1
                and run not in (select run from approvals where sync = $1)
                and run not in (select run from guarded_sets where sync = $1 order by run desc limit $2)";
    some(c, sqlx::query(sql).bind(sync).bind(GUARDED_SETS)).await
}

async fn update_sync(c: &mut Link, id: SyncId, update: &SyncUpdate) -> Result<i64, StateError> {
    let sql = "update syncs set
                 name = coalesce($2, name),
                 target = coalesce($3, target),
                 previous_mapping = case when mapping::jsonb ->> 'hash' <> $4::jsonb ->> 'hash'
                                         then mapping else previous_mapping end,
                 mapping = coalesce($4, mapping),
                 first_run_closed = coalesce($5, first_run_closed),
                 last_ok_at = coalesce($6, last_ok_at),
                 paused = coalesce($7, paused),
                 last_removal_at = coalesce($8, last_removal_at),
                 full_read_answer = case when $9 then $10 else full_read_answer end,
                 full_read_at = case when $9 then $11 else full_read_at end,
                 cursor = coalesce($12, cursor)
               where id = $1";
    let full_read = update.full_read.flatten();
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

async fn set_invalid(c: &mut Link, sync: SyncId, run_id: i64, rows: &[Vec<u8>], total: u64) -> Result<i64, StateError> {
    run(c, sqlx::query("delete from invalid where sync = $1").bind(sync.0)).await?;
    let sql = "insert into invalid (sync, position, run, data)
               select $1, n - 1, $2, data from unnest($3::bytea[]) with ordinality as line (data, n)";
    run(c, sqlx::query(sql).bind(sync.0).bind(run_id).bind(rows)).await?;
    let sql = "update syncs set invalid = $1 where id = $2";
    one(c, "sync of that id", sqlx::query(sql).bind(signed(total)).bind(sync.0)).await
}

async fn set_null_shares(c: &mut Link, sync: SyncId, shares: &[NullShare]) -> Result<i64, StateError> {
    run(c, sqlx::query("delete from null_shares where sync = $1").bind(sync.0)).await?;
    let sql = "insert into null_shares (sync, field, read, nulls)
               select $1, s.* from unnest($2::text[], $3::bigint[], $4::bigint[]) as s";
    let sql = sqlx::query(sql)
        .bind(sync.0)
        .bind(shares.iter().map(|share| share.field.as_str()).collect::<Vec<_>>())
        .bind(shares.iter().map(|share| signed(share.read)).collect::<Vec<_>>())
        .bind(shares.iter().map(|share| signed(share.nulls)).collect::<Vec<_>>());
    some(c, sql).await
}

async fn close_run(c: &mut Link, close: &RunClose, at: Timestamp) -> Result<i64, StateError> {
    let sql = "update runs set status = $1, ended_at = $2, counts = $3, summary = $4, error = $5 where id = $6";
    let sql = sqlx::query(sql)
        .bind(close.status.name())
        .bind((close.status != RunStatus::Running).then(|| at.as_micros()))
        .bind(json(&close.counts)?)
        .bind(json(&close.summary)?)
        .bind(&close.error)
        .bind(close.run.0);
    one(c, "run of that id", sql).await
}

/// Locks the lease until the transaction ends: who takes it over waits for what is under way, and nothing follows. A renewal
/// does not wait. After the database went back another process may have taken the same epoch.
async fn check_epoch(c: &mut Link, sync: SyncId, epoch: i64, holder: Option<&str>) -> Result<i64, StateError> {
    if is_broken(Rule::Epoch) {
        return Ok(0);
    }
    let sql = "select 1 from leases where sync = $1 and epoch = $2 and holder = coalesce($3, holder) for key share";
    let held = sqlx::query(sql).bind(sync.0).bind(epoch).bind(holder).fetch_optional(c).await.map_err(failed(WRITE))?;
    held.map_or(Err(StateError::Fenced), |_| Ok(0))
}

async fn replace_pages(
    c: &mut Link,
    sync: SyncId,
    space: Space,
    remove: &[i64],
    put: &[PackedPage],
    delta: Extent,
) -> Result<i64, StateError> {
    let space = i64::from(space.code());
    if run(c, sqlx::query("delete from pages where id = any($1)").bind(remove)).await? != remove.len() as u64 {
        return Err(StateError::NotFound { what: "page to replace".to_owned() });
    }
    let sql = "insert into pages (sync, space, first, entries, live, data)
               select $1, $2, p.* from unnest($3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[]) as p";
    let sql = sqlx::query(sql)
        .bind(sync.0)
        .bind(space)
        .bind(put.iter().map(|page| page.first.as_slice()).collect::<Vec<_>>())
        .bind(put.iter().map(|page| signed(page.entries)).collect::<Vec<_>>())
        .bind(put.iter().map(|page| signed(page.live)).collect::<Vec<_>>())
        .bind(put.iter().map(|page| page.data.as_slice()).collect::<Vec<_>>());
    run(c, sql).await?;
    let sql = "insert into extents as e (sync, space, pages, entries, live) values ($1, $2, $3, $4, $5)
               on conflict (sync, space) do update
                  set pages = e.pages + excluded.pages, entries = e.entries + excluded.entries,
                      live = e.live + excluded.live, version = e.version + 1";
    let sql = sqlx::query(sql).bind(sync.0).bind(space).bind(delta.pages);
    some(c, sql.bind(delta.entries).bind(delta.live)).await
}

async fn delete_dirty(c: &mut Link, sync: SyncId, intents: &[IntentId]) -> Result<i64, StateError> {
    let sql = "delete from dirty where sync = $1
                and (batch, position) in (select * from unnest($2::bigint[], $3::bigint[]))";
    let batches: Vec<i64> = intents.iter().map(|intent| intent.batch).collect();
    let positions: Vec<i64> = intents.iter().map(|intent| i64::from(intent.position)).collect();
    some(c, sqlx::query(sql).bind(sync.0).bind(batches).bind(positions)).await
}

async fn delete_rejected(c: &mut Link, sync: SyncId, keys: &[Key]) -> Result<i64, StateError> {
    let keys: Vec<&[u8]> = keys.iter().map(Key::as_bytes).collect();
    some(c, sqlx::query("delete from rejected where sync = $1 and key = any($2)").bind(sync.0).bind(keys)).await
}
