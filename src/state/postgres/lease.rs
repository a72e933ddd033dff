//! Leases, signs of life and claims, all by the database's clock. Each statement is a transaction of its own, so that no two
//! processes wait for each other in a circle.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use super::failed;
use crate::{
    model::{SyncId, Timestamp},
    state::{
        Request, StateError,
        lease::{Beat, DAEMON, Taken},
        reads::{Row, request},
    },
};

const LEASE: &str = "take or renew a lease";

pub(super) async fn take(c: &mut PgConnection, sync: SyncId, holder: &str, ttl: Duration) -> Result<Taken, StateError> {
    let mut transaction = c.begin().await.map_err(failed(LEASE))?;
    // Waits for a transaction under the lease that is over (`check_epoch` locks against this one). A lease that somebody
    // has is not waited for: its renewal would have to wait too.
    let sql = "select 1 from leases where sync = $1 and (expires_at is null or expires_at <= clock_timestamp() or holder = $2)
                for update";
    let locked = sqlx::query(sql).bind(sync.0).bind(holder).execute(&mut *transaction).await;
    locked.map_err(failed(LEASE))?;
    let sql = "insert into leases as l (sync, epoch, holder, expires_at)
               values ($1, 1, $2, clock_timestamp() + make_interval(secs => $3))
               on conflict (sync) do update
                  set epoch = l.epoch + 1, holder = excluded.holder, expires_at = excluded.expires_at
                where l.expires_at is null or l.expires_at <= clock_timestamp() or l.holder = excluded.holder
               returning epoch";
    let taken: Option<i64> = sqlx::query_scalar(sql)
        .bind(sync.0)
        .bind(holder)
        .bind(ttl.as_secs_f64())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(LEASE))?;
    transaction.commit().await.map_err(failed(LEASE))?;
    if let Some(epoch) = taken {
        return Ok(Taken::Epoch(epoch));
    }
    let sql = "select holder, (extract(epoch from coalesce(expires_at, clock_timestamp())) * 1000000)::bigint
                 from leases where sync = $1";
    let held = |row: &PgRow| -> Result<Taken, sqlx::Error> {
        Ok(Taken::Held { holder: row.try_get(0)?, until: Timestamp::from_micros(row.try_get(1)?) })
    };
    let row = sqlx::query(sql).bind(sync.0).fetch_one(c).await.map_err(failed(LEASE))?;
    held(&row).map_err(failed(LEASE))
}

/// Answers the syncs whose leases are still held. One that was given back while the renewal was under way stays free.
pub(super) async fn beat(c: &mut PgConnection, beat: &Beat) -> Result<Vec<SyncId>, StateError> {
    let mut kept = Vec::with_capacity(beat.leases.len());
    for (sync, epoch) in &beat.leases {
        let sql = "update leases set expires_at = clock_timestamp() + make_interval(secs => $4)
                    where sync = $1 and epoch = $2 and holder = $3 and expires_at is not null";
        let sql = sqlx::query(sql).bind(sync.0).bind(epoch).bind(&beat.holder).bind(beat.ttl.as_secs_f64());
        let renewed = sql.execute(&mut *c).await.map_err(failed(LEASE))?.rows_affected() == 1;
        kept.extend(renewed.then_some(*sync));
    }
    let sql = "with claims as (
                 update operator_requests set claimed_until = clock_timestamp() + make_interval(secs => $3)
                  where claimed_by = $1 and finished_at is null),
               gone as (delete from instances where id <> $1 and expires_at < clock_timestamp() - interval '1 day')
               insert into instances (id, command, expires_at)
               values ($1, $2, clock_timestamp() + make_interval(secs => $3))
               on conflict (id) do update set command = excluded.command, expires_at = excluded.expires_at";
    let sql = sqlx::query(sql).bind(&beat.holder).bind(&beat.command).bind(beat.ttl.as_secs_f64());
    sql.execute(c).await.map_err(failed("show that this process lives"))?;
    Ok(kept)
}

/// Leases that are still held are of runs that did not close: they are over at once, and so seen as abandoned.
pub(super) async fn leave(c: &mut PgConnection, holder: &str) -> Result<(), StateError> {
    for sql in [
        "update leases set expires_at = clock_timestamp() where holder = $1 and expires_at > clock_timestamp()",
        "update operator_requests set claimed_by = null, claimed_until = null where claimed_by = $1 and finished_at is null",
        "delete from instances where id = $1",
    ] {
        sqlx::query(sql).bind(holder).execute(&mut *c).await.map_err(failed("leave the state"))?;
    }
    Ok(())
}

pub(super) async fn runs_daemon(c: &mut PgConnection) -> Result<bool, StateError> {
    sqlx::query_scalar("select exists (select from instances where command = $1 and expires_at > clock_timestamp())")
        .bind(DAEMON)
        .fetch_one(c)
        .await
        .map_err(failed("look for a daemon"))
}

pub(super) async fn abandoned(c: &mut PgConnection) -> Result<Vec<SyncId>, StateError> {
    let found: Vec<i64> = sqlx::query_scalar("select sync from leases where expires_at <= clock_timestamp()")
        .fetch_all(c)
        .await
        .map_err(failed("look for abandoned runs"))?;
    Ok(found.into_iter().map(SyncId).collect())
}

/// Claims what nobody works on, except runs of a sync that another instance runs now: it can answer them itself.
pub(super) async fn claim_requests(
    c: &mut PgConnection,
    holder: &str,
    ttl: Duration,
) -> Result<Vec<Request>, StateError> {
    const CLAIM: &str = "claim operator requests";
    let open: bool = sqlx::query_scalar("select exists (select from operator_requests where finished_at is null)")
        .fetch_one(&mut *c)
        .await
        .map_err(failed(CLAIM))?;
    if !open {
        return Ok(Vec::new());
    }
    let sql =
        "update operator_requests set claimed_by = $1, claimed_until = clock_timestamp() + make_interval(secs => $2)
                where id in (
                  select o.id from operator_requests o
                   where o.finished_at is null and (o.claimed_by is null or o.claimed_until <= clock_timestamp())
                     and not exists (select from leases l join syncs s on s.id = l.sync
                                      where s.name = o.args::jsonb ->> 'sync' and l.holder <> $1
                                        and l.expires_at > clock_timestamp())
                   order by o.id for update of o skip locked)";
    sqlx::query(sql).bind(holder).bind(ttl.as_secs_f64()).execute(&mut *c).await.map_err(failed(CLAIM))?;
    let sql = "select id, kind, sync, args, posted_at, finished_at, result from operator_requests
                where finished_at is null and claimed_by = $1 order by id";
    let rows = sqlx::query(sql).bind(holder).fetch_all(c).await.map_err(failed(CLAIM))?;
    rows.into_iter().map(|row| request(&Row::Postgres(row)).map_err(failed(CLAIM))).collect()
}

pub(super) async fn release_request(c: &mut PgConnection, id: i64, holder: &str) -> Result<(), StateError> {
    let sql = "update operator_requests set claimed_by = null, claimed_until = null where id = $1 and claimed_by = $2";
    let released = sqlx::query(sql).bind(id).bind(holder).execute(c).await;
    released.map(drop).map_err(failed("release an operator request"))
}
