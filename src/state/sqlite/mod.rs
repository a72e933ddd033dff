//! The state in one SQLite file: WAL, `synchronous=FULL`, `secure_delete`.

mod commit;
mod copy;
mod open;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Semaphore};

pub(super) use open::open;

use super::{
    Request, StateError,
    lease::{Beat, Taken},
    reads::{Arg, READ, Row},
    store::{StateStore, Write},
};
use crate::model::SyncId;

/// Read connections. More would not help: the overlay is read by one task per run.
const READERS: usize = 4;

/// The SQLite store: one writing connection, a few read-only ones.
#[derive(Debug)]
pub(super) struct SqliteStore {
    writer: Mutex<Option<SqliteConnection>>,
    readers: Readers,
}

/// A pool without timers, so that tests under paused time do not time out in it.
#[derive(Debug)]
struct Readers {
    path: PathBuf,
    permits: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    fn new(path: PathBuf) -> Self {
        Self { path, permits: Semaphore::new(READERS), idle: Mutex::new(Vec::new()) }
    }

    async fn run<T: Send>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let _permit = self.permits.acquire().await.map_err(|_| StateError::Stopped)?;
        let idle = self.idle.lock().await.pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open::connect_reader(&self.path).await.map_err(|error| error.at(&self.path))?,
        };
        let result = work(&mut connection).await.map_err(|error| error.at(&self.path));
        self.idle.lock().await.push(connection);
        result
    }
}

/// Maps database errors; damage is told apart from failure.
fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> StateError {
    move |error| {
        let code = error.as_database_error().and_then(|error| error.code());
        let primary = code.and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xFF);
        match primary {
            // SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html
            Some(11) => StateError::damaged("the database file is malformed"),
            Some(26) => StateError::damaged("the file is not a database, or its header is damaged"),
            Some(_) | None => StateError::Store { action, place: None, source: std::sync::Arc::new(error) },
        }
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
        let mut guard = self.writer.lock().await;
        let connection = guard.as_mut().ok_or(StateError::Stopped)?;
        commit::commit(connection, writes).await.map_err(|error| error.at(&self.readers.path))
    }

    async fn select(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StateError> {
        let query = args.iter().fold(sqlx::query(sql), |query, arg| match *arg {
            Arg::Int(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value),
        });
        let rows = self.readers.run(async |c| query.fetch_all(c).await.map_err(failed(READ))).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    async fn close(&self) -> Result<(), StateError> {
        for connection in self.readers.idle.lock().await.drain(..) {
            connection.close().await.map_err(failed("close the state"))?;
        }
        let writer = self.writer.lock().await.take();
        if let Some(connection) = writer {
            connection.close().await.map_err(failed("close the state"))?;
        }
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn origin(&self) -> Option<&str> {
        None
    }

    async fn take_lease(&self, sync: SyncId, holder: &str, _ttl: Duration) -> Result<Taken, StateError> {
        let mut guard = self.writer.lock().await;
        let connection = guard.as_mut().ok_or(StateError::Stopped)?;
        let taken = commit::take_lease(connection, sync, holder).await.map(Taken::Epoch);
        taken.map_err(|error| error.at(&self.readers.path))
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<SyncId>, StateError> {
        Ok(beat.leases.iter().map(|(sync, _)| *sync).collect())
    }

    async fn leave(&self, _holder: &str) -> Result<(), StateError> {
        Ok(())
    }

    async fn runs_daemon(&self) -> Result<bool, StateError> {
        Ok(crate::state::open::is_locked(&self.readers.path))
    }

    async fn abandoned(&self) -> Result<Vec<SyncId>, StateError> {
        Ok(Vec::new())
    }

    async fn claim_requests(&self, _holder: &str, _ttl: Duration) -> Result<Vec<Request>, StateError> {
        (self as &dyn StateStore).requests(None).await
    }

    async fn release_request(&self, _id: i64, _holder: &str) -> Result<(), StateError> {
        Ok(())
    }
}
