//! Opening the schema: ours, of a known version, made or upgraded by one process at a time.

use std::{borrow::Cow, path::Path};

use secrecy::SecretString;
use sqlx::{
    Connection as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};
use tokio::sync::Mutex;

use super::{
    PostgresStore, Readers,
    commit::Committer,
    failed,
    link::Link,
    session::{Connector, SCHEMA},
};
use crate::{
    proof::{Boundary, reach},
    state::{Access, StateError},
    telemetry::{event, events},
};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../migrations/postgres/0001_initial.sql")),
    (2, "owner_levels", include_str!("../../../migrations/postgres/0002_owner_levels.sql")),
    (3, "matches", include_str!("../../../migrations/postgres/0003_matches.sql")),
];
/// Held while the schema is made or upgraded and the labels are compared: `SYNL`, as in SQLite files.
const LOCK: i64 = 1_398_361_676;
const LOCKING: &str = "lock the schema";

/// Opens the state; a runner makes or upgrades the schema, and keeps others out until the store is told that it is opened.
/// `had_one`: a side file says that there was a state before, so that an empty database is damage.
pub(in crate::state) async fn open(
    url: &SecretString,
    access: Access,
    had_one: bool,
) -> Result<PostgresStore, StateError> {
    const OPEN: &str = "open the state";
    let connector = Connector::new(url)?;
    let mut c = connector.connect().await.map_err(failed("connect to the state"))?;
    let mut gate = None;
    if access == Access::Runner {
        // Under the lock, and in one transaction.
        let from = c.transact(OPEN, async |c| make(&connector, c, had_one).await).await?;
        if let Some(from) = from.filter(|from| *from < newest()) {
            event!(events::STATE_MIGRATED, from, to = newest());
        }
        gate = Some(Gate::shut(&connector).await?);
    } else {
        let schema = c.transact(OPEN, async |c| check_schema(&connector, c).await).await?;
        let found = known(schema, &connector, had_one)?.ok_or_else(|| missing(&connector))?;
        if found < newest() {
            return Err(StateError::Older { found, needed: newest() });
        }
    }
    let origin = origin(&mut c).await;
    Ok(PostgresStore {
        writer: Committer::new(connector.clone(), c),
        keeper: Mutex::default(),
        readers: Readers::new(connector.clone()),
        place: Path::new(&connector.address()).into(),
        connector,
        gate: Mutex::new(gate),
        origin,
    })
}

/// The database's address, without user and password.
pub(in crate::state) fn address(url: &SecretString) -> Result<String, StateError> {
    Connector::new(url).map(|connector| connector.address())
}

/// Keeps other processes from opening the state, in a transaction of its own: a pooler would lose a lock of a session.
#[derive(Debug)]
pub(super) struct Gate(Link);

impl Gate {
    async fn shut(connector: &Connector) -> Result<Self, StateError> {
        let mut connection = connector.connect().await.map_err(failed(LOCKING))?;
        connection.begin().await.map_err(failed(LOCKING))?;
        lock(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Lets others open the state; answers the connection.
    pub(super) async fn lift(self) -> Result<Link, StateError> {
        let Self(mut connection) = self;
        connection.commit().await.map_err(failed(LOCKING))?;
        Ok(connection)
    }
}

/// Until the end of the transaction.
async fn lock(c: &mut Link) -> Result<(), StateError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(c).await.map(drop).map_err(failed(LOCKING))
}

/// Makes or upgrades the schema; answers the version before.
async fn make(connector: &Connector, c: &mut Link, had_one: bool) -> Result<Option<i64>, StateError> {
    lock(c).await?;
    let from = known(check_schema(connector, c).await?, connector, had_one)?;
    migrate(c, from.unwrap_or(0)).await?;
    Ok(from)
}

/// An empty database where there was a state is damage.
fn known(found: Option<i64>, connector: &Connector, had_one: bool) -> Result<Option<i64>, StateError> {
    if found.is_none() && had_one {
        return Err(StateError::damaged(format!(
            "`{}` is empty, though the `.mark` file says that there was a state; remove that file to begin anew",
            connector.address()
        )));
    }
    Ok(found)
}

fn missing(connector: &Connector) -> StateError {
    StateError::Missing { path: connector.address().into() }
}

/// The schema's version; `None` when there is none yet. Refuses foreign and newer ones.
async fn check_schema(connector: &Connector, c: &mut Link) -> Result<Option<i64>, StateError> {
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

/// Makes the schema, and the steps after version `from`, within the transaction that is open.
async fn migrate(c: &mut Link, from: i64) -> Result<(), StateError> {
    const UPGRADE: &str = "upgrade the state's schema";
    // "No transaction" of the migrator's own.
    const IN_OURS: bool = true;
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
        migrations.push(Migration::new(version, name, MigrationType::Simple, sql, IN_OURS));
        if version > from {
            reach(Boundary::Migration).await?;
        }
        // Also what is made already: it must be what is known here.
        if version >= from {
            let mut migrator = Migrator::with_migrations(migrations.clone());
            // We hold our own lock, and the driver's would be the session's.
            migrator.set_locking(false);
            let step = migrator.run(c.driver()).await;
            step.map_err(|error| failed(UPGRADE)(sqlx::Error::Migrate(Box::new(error))))?;
        }
    }
    // The migrator names its statements, which a pooler would hand on.
    c.driver().clear_cached_statements().await.map_err(failed(UPGRADE))
}

/// Which cluster and database this is. A dump that was restored elsewhere, or over this, has another one, and so has a
/// cluster after `pg_upgrade`. `None` when the server does not tell.
async fn origin(c: &mut Link) -> Option<String> {
    const ASK: &str = "ask where the state is";
    let sql = "select s.system_identifier::text || '/' || d.oid::text
                 from pg_control_system() s, pg_database d where d.datname = current_database()";
    // Not everywhere permitted, and then the mark file alone guards.
    c.alone(ASK, async |c| sqlx::query_scalar(sql).fetch_one(c).await.map_err(failed(ASK))).await.ok()
}
