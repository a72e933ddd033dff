//! The state in a schema of a PostgreSQL database: for several daemons, or none with a durable disk.
//!
//! Every commit is one transaction on one writing connection. A connection that was lost before `commit` was sent is made
//! anew and the transaction repeated; a lost answer to `commit` is an error that stops the process's writer (P7).

mod apply;
mod batch;
mod budget;
mod commit;
mod lease;
mod link;
mod open;
mod session;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use open::Gate;
pub(super) use open::{address, open};

use self::budget::PostgresBudget;
use self::link::Link;
use self::session::{Connector, failed, is_lost};
use super::{
    Request, StateError,
    lease::{Beat, Taken},
    reads::{Arg, READ, Row},
    store::{StateStore, Write},
};
use crate::{model::SyncId, wire::BudgetStore};

/// Read connections.
const READERS: usize = 4;
/// A connection that was used so lately is taken for alive: reads of a run follow each other, polls do not.
const FRESH: Duration = Duration::from_millis(100);
/// A connection that says nothing for so long is gone: the network may drop one without a word.
const PING: Duration = Duration::from_secs(5);
/// Reads and exchanges take at most so long; the server's own limits are shorter for each statement.
const PATIENCE: Duration = Duration::from_secs(90);
/// A read that takes so long is made once more on a new connection: the network may have dropped the old one without a word.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);
/// What concerns no lease takes at most so long on the keeper's connection, for renewals wait behind it.
const KEEP: Duration = Duration::from_secs(10);
/// Operator requests are claimed and released on new connections, once more and again, for so long: that can be done twice.
const KEEP_TRYING: Duration = Duration::from_secs(90);

/// The PostgreSQL store: one writing connection, one that keeps leases, a few for reading.
#[derive(Debug)]
pub(super) struct PostgresStore {
    writer: commit::Committer,
    /// Apart from the writer, so that a long commit does not delay a renewal.
    keeper: Mutex<Option<Idle>>,
    readers: Readers,
    connector: Connector,
    /// The database's address without credentials, for errors.
    place: Arc<Path>,
    /// Keeps other processes from opening the state, until this one has.
    gate: Mutex<Option<Gate>>,
    /// What the database says of itself ([`StateStore::origin`]).
    origin: Option<String>,
}

/// Connections for reading, made when needed. A pool without timers of its own.
#[derive(Debug)]
struct Readers {
    connector: Connector,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

/// A connection in order, and since when nobody uses it.
#[derive(Debug)]
struct Idle(Link, Instant);

impl Idle {
    /// The connection; asked first whether it is still there, unless it was used a moment ago.
    async fn revive(self) -> Option<Link> {
        let Self(mut connection, since) = self;
        let fresh = since.elapsed() < FRESH;
        (fresh || matches!(timeout(PING, connection.ping()).await, Ok(Ok(())))).then_some(connection)
    }
}

impl Readers {
    fn new(connector: Connector) -> Self {
        Self { connector, permits: Semaphore::new(READERS), idle: Mutex::new(Vec::new()) }
    }

    async fn run<T: Send>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let _permit = self.permits.acquire().await.map_err(|_| StateError::Stopped)?;
        let idle = self.idle.lock().await.pop();
        let mut connection = connection(&self.connector, idle).await?;
        let result = within(patience, connection.alone(READ, work)).await;
        if is_in_order(&result) {
            self.idle.lock().await.push(Idle(connection, Instant::now()));
        }
        result
    }
}

impl Readers {
    /// Whether the connection was lost, or silent: reading twice does no harm. The idle ones have most likely gone the same way.
    async fn may_read_again(&self, error: &StateError) -> bool {
        let lost = is_lost_link(error);
        if lost {
            self.idle.lock().await.clear();
        }
        lost
    }
}

/// A read of the store `$self`: `$patience => $read` is made once more on a new connection where the first was lost.
macro_rules! read_twice {
    ($self:ident, $patience:ident => $read:expr) => {{
        let $patience = FIRST_PATIENCE;
        let result = match $read.await {
            Err(error) if $self.readers.may_read_again(&error).await => {
                let $patience = PATIENCE;
                $read.await
            }
            result => result,
        };
        $self.named(result)
    }};
}

impl PostgresStore {
    /// Errors say which database they are of.
    fn named<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        result.map_err(|error| error.at(&self.place))
    }

    async fn select_once(
        &self,
        patience: Duration,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StateError> {
        let query = args.iter().fold(sqlx::query(sql), |query, arg| match *arg {
            Arg::Int(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value),
        });
        let rows = self.readers.run(patience, async |c| query.fetch_all(c).await.map_err(failed(READ))).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    /// Whether what was tried since `began` on the keeper's connection, and can be done twice, is tried again.
    fn may_try_again<T>(result: &Result<T, StateError>, began: Instant) -> bool {
        result.as_ref().is_err_and(is_lost_link) && began.elapsed() < KEEP_TRYING
    }

    /// Runs on the connection that keeps leases, for at most `patience`.
    async fn keep<T: Send>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut slot = self.keeper.lock().await;
        let kept = within(patience, async {
            // Taken out: a call that is dropped half-way leaves no connection in an unknown state behind.
            let mut connection = connection(&self.connector, slot.take()).await?;
            let result = work(&mut connection).await;
            if is_in_order(&result) {
                *slot = Some(Idle(connection, Instant::now()));
            }
            result
        })
        .await;
        self.named(kept)
    }
}

/// An idle connection, else a new one.
async fn connection(connector: &Connector, idle: Option<Idle>) -> Result<Link, StateError> {
    if let Some(idle) = idle
        && let Some(connection) = idle.revive().await
    {
        return Ok(connection);
    }
    connector.connect_patiently().await
}

/// Ends what takes too long as a lost connection.
async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, StateError>>) -> Result<T, StateError> {
    let late = |_| Err(failed("get an answer in time")(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    timeout(patience, work).await.unwrap_or_else(late)
}

fn is_in_order<T>(result: &Result<T, StateError>) -> bool {
    !result.as_ref().is_err_and(is_lost_link)
}

/// Whether the connection was lost, or silent for too long.
fn is_lost_link(error: &StateError) -> bool {
    matches!(error, StateError::Store { source, .. } if is_lost(source))
}

#[async_trait]
impl StateStore for PostgresStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
        self.named(self.writer.commit(writes).await)
    }

    async fn select(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StateError> {
        read_twice!(self, patience => self.select_once(patience, sql, args))
    }

    async fn opened(&self) -> Result<(), StateError> {
        if let Some(gate) = self.gate.lock().await.take() {
            let connection = self.named(gate.lift().await)?;
            self.readers.idle.lock().await.push(Idle(connection, Instant::now()));
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), StateError> {
        self.writer.close().await;
        let idle = std::mem::take(&mut *self.readers.idle.lock().await);
        for Idle(connection, _) in idle.into_iter().chain(self.keeper.lock().await.take()) {
            // Everything is committed; a connection that cannot say good-bye is dropped.
            drop(connection.close().await);
        }
        Ok(())
    }

    fn budget(&self) -> Option<Arc<dyn BudgetStore>> {
        Some(Arc::new(PostgresBudget::new(self.connector.clone())))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    async fn take_lease(&self, sync: SyncId, holder: &str, ttl: Duration) -> Result<Taken, StateError> {
        self.writer.holder.get_or_init(|| holder.to_owned());
        self.keep(ttl / 2, async |c| lease::take(c, sync, holder, ttl).await).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<SyncId>, StateError> {
        self.keep(beat.ttl / 2, async |c| lease::beat(c, beat).await).await
    }

    async fn leave(&self, holder: &str) -> Result<(), StateError> {
        self.keep(KEEP, async |c| lease::leave(c, holder).await).await
    }

    async fn runs_daemon(&self) -> Result<bool, StateError> {
        read_twice!(self, patience => self.readers.run(patience, async |c| lease::runs_daemon(c).await))
    }

    async fn abandoned(&self) -> Result<Vec<SyncId>, StateError> {
        read_twice!(self, patience => self.readers.run(patience, async |c| lease::abandoned(c).await))
    }

    async fn claim_requests(&self, holder: &str, ttl: Duration) -> Result<Vec<Request>, StateError> {
        let began = Instant::now();
        loop {
            let claimed = self.keep(KEEP, async |c| lease::claim_requests(c, holder, ttl).await).await;
            if !Self::may_try_again(&claimed, began) {
                return claimed;
            }
        }
    }

    async fn release_request(&self, id: i64, holder: &str) -> Result<(), StateError> {
        let began = Instant::now();
        loop {
            let released = self.keep(KEEP, async |c| lease::release_request(c, id, holder).await).await;
            if !Self::may_try_again(&released, began) {
                return released;
            }
        }
    }
}
