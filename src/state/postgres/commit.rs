//! One durable transaction of writes, and what happens when the connection is lost around it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use sqlx::Row as _;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    Idle,
    apply::apply,
    batch, connection,
    link::Link,
    session::{Connector, failed, is_collision, is_lost},
};
use crate::{
    proof::{Boundary, reach},
    state::{StateError, store::Write},
};

/// A transaction takes at most so long; the server's own limits are shorter for each statement.
const PATIENCE: Duration = Duration::from_secs(180);
/// It waits for nobody before it has begun, except for a pooler with all hands full: a connection that says nothing for so
/// long is gone, and nothing has happened.
const BEGIN: Duration = Duration::from_secs(15);
/// Attempts of a transaction that surely did not happen, and the first wait between them, doubled each time.
const ATTEMPTS: u32 = 4;
const BACKOFF: Duration = Duration::from_millis(100);

/// The one writing connection.
#[derive(Debug)]
pub(super) struct Committer {
    connector: Connector,
    slot: Mutex<Slot>,
    /// Who takes leases through this store.
    pub(super) holder: OnceLock<String>,
    /// The number of the last commit here.
    last: AtomicI64,
}

#[derive(Debug)]
enum Slot {
    Open(Option<Idle>),
    Closed,
}

/// Why a transaction did not happen, or may have.
enum Failure {
    /// It surely did not happen and may be repeated.
    Repeat(StateError),
    /// It did not happen, and would fail again; or nobody knows whether it happened.
    Final(StateError),
}

impl Failure {
    /// Of what happens before `commit` is sent.
    fn before_commit(error: StateError) -> Self {
        match &error {
            StateError::Store { source, .. } if is_lost(source) || is_collision(source) => Self::Repeat(error),
            _ => Self::Final(error),
        }
    }

    /// Of `commit` itself. A server that answers with an error has rolled back.
    fn at_commit(error: sqlx::Error) -> Self {
        if is_collision(&error) {
            Self::Repeat(failed("commit to the state")(error))
        } else if error.as_database_error().is_some() && !is_lost(&error) {
            Self::Final(failed("commit to the state")(error))
        } else {
            Self::Final(StateError::CommitUnknown { place: None, source: Arc::new(error) })
        }
    }
}

impl Committer {
    pub(super) fn new(connector: Connector, connection: Link) -> Self {
        let slot = Mutex::new(Slot::Open(Some(Idle(connection, Instant::now()))));
        Self { connector, slot, holder: OnceLock::new(), last: AtomicI64::new(i64::MIN) }
    }

    pub(super) async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
        let mut slot = self.slot.lock().await;
        let Slot::Open(slot) = &mut *slot else { return Err(StateError::Stopped) };
        let mut attempt = 1;
        loop {
            match self.once(slot, &writes).await {
                Ok(ids) => return Ok(ids),
                Err(Failure::Repeat(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(BACKOFF * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                Err(Failure::Repeat(error) | Failure::Final(error)) => return Err(error),
            }
        }
    }

    /// The connection is back in its slot only when it is in order: whatever was left open ends with it otherwise.
    async fn once(&self, slot: &mut Option<Idle>, writes: &[Write]) -> Result<Vec<i64>, Failure> {
        let mut connection = connection(&self.connector, slot.take()).await.map_err(Failure::before_commit)?;
        let committing = AtomicBool::new(false);
        let transaction = timeout(PATIENCE, self.transact(&mut connection, writes, &committing)).await;
        let result = transaction.unwrap_or_else(|_| {
            let late = sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
            Err(match committing.load(Ordering::Relaxed) {
                true => Failure::Final(StateError::CommitUnknown { place: None, source: Arc::new(late) }),
                false => Failure::before_commit(failed("write to the state")(late)),
            })
        });
        if result.is_ok() {
            *slot = Some(Idle(connection, Instant::now()));
        }
        result
    }

    /// `committing` becomes true when `commit` is about to be sent.
    async fn transact(&self, c: &mut Link, writes: &[Write], committing: &AtomicBool) -> Result<Vec<i64>, Failure> {
        let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let begun = timeout(BEGIN, c.begin()).await.unwrap_or_else(late);
        begun.map_err(failed("begin a transaction")).map_err(Failure::before_commit)?;
        let had = self.last.load(Ordering::Relaxed);
        match apply_all(c, writes, self.holder.get().map(String::as_str), had).await {
            Ok((ids, number)) => {
                committing.store(true, Ordering::Relaxed);
                c.commit().await.map_err(Failure::at_commit)?;
                self.last.store(number, Ordering::Relaxed);
                Ok(ids)
            }
            Err(error) => {
                c.rollback().await;
                Err(Failure::before_commit(error))
            }
        }
    }

    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        if let Slot::Open(Some(Idle(connection, _))) = std::mem::replace(&mut *slot, Slot::Closed) {
            // Everything is committed; a connection that cannot say good-bye is dropped.
            drop(connection.close().await);
        }
    }
}

/// Answers also the transaction's number, which must be above that of this process's last one.
async fn apply_all(
    c: &mut Link,
    writes: &[Write],
    holder: Option<&str>,
    had: i64,
) -> Result<(Vec<i64>, i64), StateError> {
    let mut ids = Vec::with_capacity(writes.len());
    let mut rest = writes;
    let half = writes.len().div_ceil(2);
    while let Some(first) = rest.first() {
        let before = ids.len();
        let taken = batch::put(c, rest).await?;
        if taken > 0 {
            ids.extend(std::iter::repeat_n(0, taken));
        } else {
            ids.push(apply(c, first, holder).await?);
        }
        rest = writes.get(ids.len()..).unwrap_or_default();
        if before < half && ids.len() >= half {
            reach(Boundary::SettleInside).await?;
        }
    }
    let counted = sqlx::query("update counters set value = value + 1 where name = 'commit' returning value");
    let number = counted.fetch_one(c).await.and_then(|row| row.try_get(0)).map_err(failed("count a commit"))?;
    if number <= had { Err(StateError::WentBack { found: number - 1, had }) } else { Ok((ids, number)) }
}
