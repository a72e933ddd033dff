//! Opening the file read-only, and stopping a statement that is no longer wanted.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::Instant;

use super::errors;
use crate::source::SourceError;

/// Orders text by its UTF-8 bytes whatever the database's encoding is; SQLite converts the operands for us.
pub(super) const UTF8_ORDER: &str = "syncline_utf8";
/// Virtual machine steps between two looks at the clock: some 20 to 50 microseconds.
const STEPS: i32 = 1_000;
/// How long to wait for a writer that holds the file.
const BUSY: Duration = Duration::from_secs(30);
/// Rows that SQLite's thread may be ahead of the reading task.
const ROWS_AHEAD: usize = 256;

/// A connection in a transaction, which sees one state of the file.
pub(super) struct Session {
    pub(super) connection: SqliteConnection,
    /// Texts are stored as UTF-16, so that `collate binary` is not our order.
    pub(super) utf16: bool,
    stop: Stop,
}

impl Session {
    pub(super) async fn open(path: &Path, statement_timeout: Duration) -> Result<Self, SourceError> {
        if !tokio::fs::metadata(path).await.is_ok_and(|file| file.is_file()) {
            let reason = format!("there is no database file `{}`", path.display());
            return Err(SourceError::Settings { reason });
        }
        let failed = |error: sqlx::Error| errors::connect(path, &error);
        let mut connection = options(path).connect().await.map_err(failed)?;
        let stop = Stop::default();
        stop.watch(&mut connection, statement_timeout).await.map_err(failed)?;
        sqlx::raw_sql("begin").execute(&mut connection).await.map_err(failed)?;
        let encoding: String =
            sqlx::query_scalar("pragma encoding").fetch_one(&mut connection).await.map_err(failed)?;
        Ok(Self { connection, utf16: encoding != "UTF-8", stop })
    }

    /// Whether a statement was stopped because its time was over.
    pub(super) fn timed_out(&self) -> bool {
        self.stop.0.late.load(Ordering::Relaxed)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    // `query_only` refuses writes to attached and temporary databases too.
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        .pragma("query_only", "on")
        .collation(UTF8_ORDER, |a: &str, b: &str| a.as_bytes().cmp(b.as_bytes()))
        .statement_cache_capacity(0)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

/// Interrupts the connection's statement when it is dropped or late.
#[derive(Default)]
struct Stop(Arc<Flags>);

#[derive(Default)]
struct Flags {
    dropped: AtomicBool,
    late: AtomicBool,
}

impl Stop {
    /// The clock is read on SQLite's own thread, where paused time of a test does not reach.
    async fn watch(&self, connection: &mut SqliteConnection, limit: Duration) -> Result<(), sqlx::Error> {
        let flags = Arc::clone(&self.0);
        let mut started = None;
        connection.lock_handle().await?.set_progress_handler(STEPS, move || {
            if started.get_or_insert_with(Instant::now).elapsed() >= limit {
                flags.late.store(true, Ordering::Relaxed);
            }
            !flags.late.load(Ordering::Relaxed) && !flags.dropped.load(Ordering::Relaxed)
        });
        Ok(())
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::Relaxed);
    }
}
