//! Opening the file: safe library, right file, known schema, sound bytes.

use std::{
    borrow::Cow,
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::{Readers, SqliteStore, copy, failed};
use crate::{
    model::Timestamp,
    proof::{Boundary, Rule, is_broken, reach},
    state::{
        Access, StateError,
        open::{beside, create_private, remove_partial, sync_folder},
    },
    telemetry::{event, events},
};

/// Before it, WAL files could be damaged at a reset, <https://sqlite.org/wal.html#walresetbug>.
const OLDEST_SQLITE: (&str, [u32; 3]) = ("3.51.3", [3, 51, 3]);
/// `SYNL`.
const APPLICATION_ID: i64 = 1_398_361_676;
/// Larger files are checked without their indexes.
const FULL_CHECK_BYTES: u64 = 64 << 20;
/// Most backups of one second.
const MAX_BACKUPS: u32 = 100;
/// Another program may hold the file's write lock for a while, such as a backup or somebody's shell: that is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// Pages of the write-ahead log before they go into the file, 16 MiB: with SQLite's own thousand a first run waited for a
/// checkpoint, and wrote the same pages anew, every tenth of a second.
const CHECKPOINT_PAGES: &str = "4000";

fn busy_timeout() -> Duration {
    if is_broken(Rule::LocksAwaited) { Duration::ZERO } else { BUSY_TIMEOUT }
}

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../migrations/sqlite/0001_initial.sql")),
    (2, "resync", include_str!("../../../migrations/sqlite/0002_resync.sql")),
    (3, "modes", include_str!("../../../migrations/sqlite/0003_modes.sql")),
    (4, "full_read", include_str!("../../../migrations/sqlite/0004_full_read.sql")),
    (5, "owner_levels", include_str!("../../../migrations/sqlite/0005_owner_levels.sql")),
    (6, "matches", include_str!("../../../migrations/sqlite/0006_matches.sql")),
];

/// Opens the file; a runner makes or upgrades it and checks it through.
pub(in crate::state) async fn open(path: &Path, access: Access, now: Timestamp) -> Result<SqliteStore, StateError> {
    let mut writer = options(path).connect().await.map_err(failed("open the state"))?;
    check_library(&mut writer).await?;
    let known = check_schema(path, &mut writer).await?;
    match (access, known) {
        (Access::Runner, Some(from)) => {
            check_bytes(path, &mut writer).await?;
            if from < newest() {
                let backup = backup(path, &mut writer, from, now).await?;
                migrate(&mut writer, from).await?;
                event!(events::STATE_MIGRATED, from, to = newest(), backup = %backup.display());
            }
        }
        (Access::Runner, None) => migrate(&mut writer, 0).await?,
        (Access::Reader, Some(found)) if found < newest() => {
            return Err(StateError::Older { found, needed: newest() });
        }
        (Access::Reader, Some(_)) => {}
        (Access::Reader, None) => return Err(StateError::Missing { path: path.to_owned() }),
    }
    if access == Access::Runner {
        copy::check(&mut writer).await?;
    }
    Ok(SqliteStore { readers: Readers::new(path.to_owned()), writer: Mutex::new(Some(writer)) })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(busy_timeout())
        .pragma("secure_delete", "on")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging()
}

/// A read-only connection. It needs no pragma of its own, and could not set the journal mode.
pub(super) async fn connect_reader(path: &Path) -> Result<SqliteConnection, StateError> {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(busy_timeout())
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed("open the state for reading"))
}

async fn check_library(c: &mut SqliteConnection) -> Result<(), StateError> {
    let found: String =
        sqlx::query_scalar("select sqlite_version()").fetch_one(c).await.map_err(failed("ask for SQLite's version"))?;
    let numbers: Vec<u32> = found.split('.').map_while(|part| part.parse().ok()).collect();
    let (needed, oldest) = OLDEST_SQLITE;
    if numbers.as_slice() < oldest.as_slice() { Err(StateError::SqliteVersion { found, needed }) } else { Ok(()) }
}

/// The file's schema version; `None` for a file without tables. Refuses foreign and newer files.
async fn check_schema(path: &Path, c: &mut SqliteConnection) -> Result<Option<i64>, StateError> {
    let foreign = |reason: &str| StateError::Foreign { path: path.to_owned(), reason: reason.to_owned() };
    let read = "read the state's schema";
    // The migrator makes its own table first: alone it is a first start that was cut short.
    let sql = "select count(*) from sqlite_schema where type = 'table' and name <> '_sqlx_migrations'";
    let tables: i64 = sqlx::query_scalar(sql).fetch_one(&mut *c).await.map_err(failed(read))?;
    if tables == 0 {
        return Ok(None);
    }
    let application: i64 =
        sqlx::query_scalar("pragma application_id").fetch_one(&mut *c).await.map_err(failed(read))?;
    if application != APPLICATION_ID {
        return Err(foreign("it is an SQLite file of another application"));
    }
    let found: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
        .fetch_one(c)
        .await
        .map_err(failed(read))?;
    let found = found.ok_or_else(|| StateError::damaged("the schema has no version"))?;
    let known = newest();
    if found > known { Err(StateError::Newer { found, known }) } else { Ok(Some(found)) }
}

async fn check_bytes(path: &Path, c: &mut SqliteConnection) -> Result<(), StateError> {
    // `metadata` does not open the file: closing a second handle would drop SQLite's locks.
    let bytes = std::fs::metadata(path).map_err(StateError::io("look at", path))?.len();
    let sql = if bytes <= FULL_CHECK_BYTES { "pragma integrity_check(1)" } else { "pragma quick_check(1)" };
    let answer: String = sqlx::query_scalar(sql).fetch_one(&mut *c).await.map_err(failed("check the state"))?;
    if answer != "ok" {
        return Err(StateError::damaged("the database file fails its integrity check"));
    }
    let orphans = sqlx::query("pragma foreign_key_check").fetch_optional(c).await.map_err(failed("check the state"))?;
    orphans.map_or(Ok(()), |_| Err(StateError::damaged("rows refer to rows that are gone")))
}

/// The newest schema version known here.
fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Copies the state as it is before an upgrade, beside it: migrations only go forward.
async fn backup(path: &Path, c: &mut SqliteConnection, from: i64, now: Timestamp) -> Result<PathBuf, StateError> {
    let stamp: String = now.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    // SQLite writes into an empty file; made here, it is private from the first byte.
    let (copy, file) = free_place(path, &format!(".backup-v{from}-{stamp}"))?;
    let name = copy.to_str().ok_or_else(|| StateError::Contract("the state's path is not UTF-8".to_owned()))?;
    let copied = sqlx::query("vacuum into ?").bind(name).execute(c).await;
    let copied = copied.map_err(failed("back the state up before its upgrade"));
    // `vacuum into` does not sync, https://sqlite.org/lang_vacuum.html
    let synced = || file.sync_all().and_then(|()| sync_folder(&copy)).map_err(StateError::io("sync the backup", &copy));
    if let Err(error) = copied.and_then(|_| synced()) {
        remove_partial(&copy);
        return Err(error);
    }
    Ok(copy)
}

/// An empty file of this name beside the state, with a number where an upgrade of the same second was cut short.
fn free_place(path: &Path, suffix: &str) -> Result<(PathBuf, File), StateError> {
    let mut number = 1_u32;
    loop {
        let numbered = if number == 1 { suffix.to_owned() } else { format!("{suffix}-{number}") };
        let copy = beside(path, &numbered);
        match create_private(&copy) {
            Ok(file) => return Ok((copy, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MAX_BACKUPS => number += 1,
            Err(error) => return Err(StateError::io("make the backup", &copy)(error)),
        }
    }
}

/// Makes the steps after version `from`, each in a transaction of its own.
async fn migrate(c: &mut SqliteConnection, from: i64) -> Result<(), StateError> {
    let mut migrations = Vec::new();
    for &(version, name, sql) in MIGRATIONS {
        let (name, sql) = (Cow::Borrowed(name), sql.into_sql_str());
        migrations.push(Migration::new(version, name, MigrationType::Simple, sql, false));
        if version > from {
            reach(Boundary::Migration).await?;
            let step = Migrator::with_migrations(migrations.clone()).run(&mut *c).await;
            step.map_err(|error| failed("upgrade the state's schema")(sqlx::Error::Migrate(Box::new(error))))?;
        }
    }
    Ok(())
}
