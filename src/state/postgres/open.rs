//! Opening the schema: ours, of a known version, made or upgraded by one process at a time.

use std::borrow::Cow;

use secrecy::SecretString;
use sqlx::{
    PgConnection, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};
use tokio::sync::Mutex;

use super::{
    PostgresStore, Readers,
    commit::Committer,
    failed,
    session::{Connector, SCHEMA},
};
use crate::{
    proof::{Boundary, reach},
    state::{Access, StateError},
    telemetry::{event, events},
};

const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "initial", include_str!("../../../migrations/postgres/0001_initial.sql"))];
/// Held while the schema is made or upgraded and the labels are compared: `SYNL`, as in SQLite files.
const LOCK: i64 = 1_398_361_676;

/// Opens the state; a runner makes or upgrades the schema, and keeps others out until the store is told that it is opened.
/// `had_one`: a side file says that there was a state before, so that an empty database is damage.
pub(in crate::state) async fn open(
    url: &SecretString,
    access: Access,
    had_one: bool,
) -> Result<PostgresStore, StateError> {
    let connector = Connector::new(url)?;
    let mut c = connector.connect().await.map_err(failed("connect to the state"))?;
    if access == Access::Runner {
        // Session-wide: it ends with the connection at the latest.
        lock(&mut c, "select pg_advisory_lock($1)").await?;
    }
    let known = check_schema(&connector, &mut c).await?;
    match (access, known) {
        (_, None) if had_one => {
            return Err(StateError::damaged(format!(
                "`{}` is empty, though the `.mark` file says that there was a state; remove that file to begin anew",
                connector.address()
            )));
        }
        (Access::Reader, None) => return Err(StateError::Missing { path: connector.address().into() }),
        (Access::Runner, from) => {
            migrate(&mut c, from.unwrap_or(0)).await?;
            if let Some(from) = from.filter(|from| *from < newest()) {
                event!(events::STATE_MIGRATED, from, to = newest());
            }
        }
        (Access::Reader, Some(found)) if found < newest() => {
            return Err(StateError::Older { found, needed: newest() });
        }
        (Access::Reader, Some(_)) => {}
    }
    let origin = origin(&mut c).await;
    Ok(PostgresStore {
        writer: Committer::new(connector.clone(), c),
        keeper: Mutex::default(),
        readers: Readers::new(connector.clone()),
        connector,
        origin,
    })
}

/// The database's address, without user and password.
pub(in crate::state) fn address(url: &SecretString) -> Result<String, StateError> {
    Connector::new(url).map(|connector| connector.address())
}

/// Lets others open the state.
pub(super) async fn unlock(c: &mut PgConnection) -> Result<(), StateError> {
    lock(c, "select pg_advisory_unlock($1)").await
}

async fn lock(c: &mut PgConnection, sql: &'static str) -> Result<(), StateError> {
    sqlx::query(sql).bind(LOCK).execute(c).await.map(drop).map_err(failed("lock the schema"))
}

/// The schema's version; `None` when there is none yet. Refuses foreign and newer ones.
async fn check_schema(connector: &Connector, c: &mut PgConnection) -> Result<Option<i64>, StateError> {
    const READ: &str = "read the state's schema";
    let foreign = |reason: &str| StateError::Foreign { path: connector.address().into(), reason: reason.to_owned() };
    // The migrator makes its own table first: alone it is a first start that was cut short.
    let sql = "select count(*) filter (where relname <> '_sqlx_migrations'),
                      count(*) filter (where relname in ('_sqlx_migrations', 'counters', 'extents', 'leases'))
                 from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1) and relkind = 'r'";
    let (tables, ours): (i64, i64) = sqlx::query_as(sql).bind(SCHEMA).fetch_one(&mut *c).await.map_err(failed(READ))?;
    if tables == 0 {
        return Ok(None);
    }
    if ours < 4 {
        return Err(foreign("its schema `syncline` holds tables of another application"));
    }
    let found: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
        .fetch_one(c)
        .await
        .map_err(failed(READ))?;
    let found = found.ok_or_else(|| StateError::damaged("the schema has no version"))?;
    let known = newest();
    if found > known { Err(StateError::Newer { found, known }) } else { Ok(Some(found)) }
}

/// The newest schema version known here.
fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Makes the schema, and the steps after version `from`, each in a transaction of its own.
async fn migrate(c: &mut PgConnection, from: i64) -> Result<(), StateError> {
    // Asked first: who may not create schemas can be given this one.
    let sql = "select exists (select from pg_namespace where nspname = $1)";
    let there: bool =
        sqlx::query_scalar(sql).bind(SCHEMA).fetch_one(&mut *c).await.map_err(failed("find the schema"))?;
    if !there {
        sqlx::raw_sql("create schema syncline").execute(&mut *c).await.map_err(failed("make the schema `syncline`"))?;
    }
    let mut migrations = Vec::new();
    for &(version, name, sql) in MIGRATIONS {
        let (name, sql) = (Cow::Borrowed(name), sql.into_sql_str());
        migrations.push(Migration::new(version, name, MigrationType::Simple, sql, false));
        if version > from {
            reach(Boundary::Migration).await?;
        }
        // Also what is made already: it must be what is known here.
        if version >= from {
            let step = Migrator::with_migrations(migrations.clone()).run(&mut *c).await;
            step.map_err(|error| failed("upgrade the state's schema")(sqlx::Error::Migrate(Box::new(error))))?;
        }
    }
    Ok(())
}

/// Which cluster and database this is. A dump that was restored elsewhere, or over this, has another one, and so has a
/// cluster after `pg_upgrade`. `None` when the server does not tell.
async fn origin(c: &mut PgConnection) -> Option<String> {
    let sql = "select s.system_identifier::text || '/' || d.oid::text
                 from pg_control_system() s, pg_database d where d.datname = current_database()";
    // Not everywhere permitted, and then the mark file alone guards.
    sqlx::query_scalar(sql).fetch_one(c).await.ok()
}
