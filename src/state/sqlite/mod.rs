//! The state in one SQLite file: WAL, `synchronous=FULL`, `secure_delete`.

mod commit;
mod open;
mod read;
mod rows;
mod tables;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Semaphore};

pub(super) use open::open;

use super::{
    NullShare, Request, RunRow, StateError, SyncRecord,
    lease::{Beat, Taken},
    store::{
        ApprovalRow, DirtyTotals, Extent, IntentRow, JournalBlob, Keyed, KeyedAfter, KeyedRow, PageRow, RunFilter,
        Space, StateStore, Write,
    },
};
use crate::model::{Key, RunId, SyncId, Timestamp};

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
            None => open::connect_reader(&self.path).await?,
        };
        let result = work(&mut connection).await;
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
            Some(_) | None => StateError::Store { action, source: std::sync::Arc::new(error) },
        }
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
        let mut guard = self.writer.lock().await;
        let connection = guard.as_mut().ok_or(StateError::Stopped)?;
        commit::commit(connection, writes).await
    }

    async fn commit_count(&self) -> Result<i64, StateError> {
        self.readers.run(async |c| read::commit_count(c).await).await
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
        commit::take_lease(connection, sync, holder).await.map(Taken::Epoch)
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
        self.requests(None).await
    }

    async fn release_request(&self, _id: i64, _holder: &str) -> Result<(), StateError> {
        Ok(())
    }

    async fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StateError> {
        self.readers.run(async |c| read::meta(c, name).await).await
    }

    async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError> {
        self.readers.run(async |c| rows::syncs(c).await).await
    }

    async fn runs(&self, filter: RunFilter, limit: u32) -> Result<Vec<RunRow>, StateError> {
        self.readers.run(async |c| rows::runs(c, filter, limit).await).await
    }

    async fn intents(&self, sync: SyncId) -> Result<Vec<IntentRow>, StateError> {
        self.readers.run(async |c| read::intents(c, sync).await).await
    }

    async fn page_at(&self, sync: SyncId, space: Space, key: &[u8]) -> Result<Option<PageRow>, StateError> {
        self.readers.run(async |c| read::page_at(c, sync, space, key).await).await
    }

    async fn pages_after(
        &self,
        sync: SyncId,
        space: Space,
        first: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<PageRow>, StateError> {
        self.readers.run(async |c| read::pages_after(c, sync, space, first, limit).await).await
    }

    async fn extent(&self, sync: SyncId, space: Space) -> Result<(Extent, Extent), StateError> {
        self.readers.run(async |c| read::extent(c, sync, space).await).await
    }

    async fn version(&self, sync: SyncId, space: Space) -> Result<i64, StateError> {
        self.readers.run(async |c| read::version(c, sync, space).await).await
    }

    async fn journal(&self, sync: SyncId, after: i64, limit: u32) -> Result<Vec<JournalBlob>, StateError> {
        self.readers.run(async |c| read::journal(c, sync, after, limit).await).await
    }

    async fn journal_size(&self, sync: SyncId) -> Result<(u64, u64), StateError> {
        self.readers.run(async |c| read::journal_size(c, sync).await).await
    }

    async fn keyed(
        &self,
        table: Keyed,
        sync: SyncId,
        after: Option<&KeyedAfter>,
        limit: u32,
    ) -> Result<Vec<KeyedRow>, StateError> {
        self.readers.run(async |c| tables::keyed(c, table, sync, after, limit).await).await
    }

    async fn keyed_at(&self, table: Keyed, sync: SyncId, key: &Key) -> Result<Vec<KeyedRow>, StateError> {
        self.readers.run(async |c| tables::keyed_at(c, table, sync, key).await).await
    }

    async fn crowded(&self, sync: SyncId, marks: u32) -> Result<Vec<Key>, StateError> {
        self.readers.run(async |c| tables::crowded(c, sync, marks).await).await
    }

    async fn totals(&self, sync: SyncId) -> Result<DirtyTotals, StateError> {
        self.readers.run(async |c| tables::totals(c, sync).await).await
    }

    async fn invalid(&self, sync: SyncId, limit: u32) -> Result<Vec<Vec<u8>>, StateError> {
        self.readers.run(async |c| tables::invalid(c, sync, limit).await).await
    }

    async fn null_shares(&self, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
        self.readers.run(async |c| tables::null_shares(c, sync).await).await
    }

    async fn guarded_sync(&self, run: RunId) -> Result<Option<SyncId>, StateError> {
        self.readers.run(async |c| tables::guarded_sync(c, run).await).await
    }

    async fn guarded(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<(i64, Vec<u8>)>, StateError> {
        self.readers.run(async |c| tables::guarded(c, run, after, limit).await).await
    }

    async fn approval(&self, sync: SyncId) -> Result<Option<ApprovalRow>, StateError> {
        self.readers.run(async |c| tables::approval(c, sync).await).await
    }

    async fn removals_since(&self, sync: SyncId, since: Timestamp) -> Result<u64, StateError> {
        self.readers.run(async |c| tables::removals_since(c, sync, since).await).await
    }

    async fn grants(&self, account: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.readers.run(async |c| tables::grants(c, account).await).await
    }

    async fn token(&self, account: &str) -> Result<Option<(i64, Vec<u8>)>, StateError> {
        self.readers.run(async |c| tables::token(c, account).await).await
    }

    async fn identity(&self, credential: [u8; 8]) -> Result<Option<String>, StateError> {
        self.readers.run(async |c| tables::identity(c, credential).await).await
    }

    async fn requests(&self, id: Option<i64>) -> Result<Vec<Request>, StateError> {
        self.readers.run(async |c| rows::requests(c, id).await).await
    }
}
