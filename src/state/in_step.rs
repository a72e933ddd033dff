//! A store whose every call takes simulated time and no other: for simulations on one thread, which must go the same way
//! each time.
//!
//! SQLite works on threads of its own. Under tokio's paused time a runtime that only waits for another thread moves the
//! time on, and the moment at which that thread answers is never the same twice. Here a call first takes a little simulated
//! time, and then the thread of the simulation stands still until the store has answered.

use std::{
    cell::Cell,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

use async_trait::async_trait;

use super::{
    NullShare, Request, RunRow, StateError, SyncRecord,
    lease::{Beat, Taken},
    open::Opened,
    store::{
        ApprovalRow, DirtyTotals, Extent, IntentRow, JournalBlob, Keyed, KeyedAfter, KeyedRow, PageRow, RunFilter,
        Space, StateStore, Write,
    },
};
use crate::{
    model::{Key, RunId, SyncId, Timestamp},
    wire::BudgetStore,
};

thread_local! {
    static LATENCY: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Each call of a state that this thread opens from now on takes up to `latency` of tokio's time, at random, and no other.
pub fn keep_in_step(latency: Option<Duration>) {
    LATENCY.set(latency);
}

/// The same store, in step if this thread wants that.
pub(super) fn kept(opened: Opened) -> Opened {
    match LATENCY.get() {
        Some(latency) => Opened { store: Arc::new(InStep::new(opened.store, latency)), ..opened },
        None => opened,
    }
}

/// A store in step with the simulation.
#[derive(Debug)]
struct InStep {
    store: Arc<dyn StateStore>,
    /// Longest simulated time of a call.
    latency: Duration,
    commits: AtomicU64,
    /// What is asked several times a second, as of so many commits: nobody else writes.
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    syncs: Option<(u64, Vec<SyncRecord>)>,
    requests: Option<(u64, Vec<Request>)>,
}

impl InStep {
    fn new(store: Arc<dyn StateStore>, latency: Duration) -> Self {
        Self { store, latency, commits: AtomicU64::new(0), asked: Mutex::default() }
    }

    async fn step<T>(&self, call: impl Future<Output = T> + Send) -> T {
        tokio::time::sleep(self.latency.mul_f64(fastrand::f64())).await;
        stand_still(call)
    }

    async fn write<T>(&self, call: impl Future<Output = T> + Send) -> T {
        let done = self.step(call).await;
        self.commits.fetch_add(1, Ordering::SeqCst);
        done
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread for what other threads do. Without tokio's budget, which only the runtime renews.
fn stand_still<T>(call: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut call = pin!(tokio::task::unconstrained(call));
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[async_trait]
impl StateStore for InStep {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<i64>, StateError> {
        self.write(self.store.commit(writes)).await
    }

    async fn commit_count(&self) -> Result<i64, StateError> {
        self.step(self.store.commit_count()).await
    }

    async fn opened(&self) -> Result<(), StateError> {
        self.step(self.store.opened()).await
    }

    async fn close(&self) -> Result<(), StateError> {
        self.step(self.store.close()).await
    }

    fn budget(&self) -> Option<Arc<dyn BudgetStore>> {
        self.store.budget()
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn origin(&self) -> Option<&str> {
        self.store.origin()
    }

    async fn take_lease(&self, sync: SyncId, holder: &str, ttl: Duration) -> Result<Taken, StateError> {
        self.write(self.store.take_lease(sync, holder, ttl)).await
    }

    async fn beat(&self, beat: &Beat) -> Result<Vec<SyncId>, StateError> {
        self.step(self.store.beat(beat)).await
    }

    async fn leave(&self, holder: &str) -> Result<(), StateError> {
        self.write(self.store.leave(holder)).await
    }

    async fn runs_daemon(&self) -> Result<bool, StateError> {
        self.step(self.store.runs_daemon()).await
    }

    async fn abandoned(&self) -> Result<Vec<SyncId>, StateError> {
        stand_still(self.store.abandoned())
    }

    async fn claim_requests(&self, holder: &str, ttl: Duration) -> Result<Vec<Request>, StateError> {
        let commits = self.commits();
        if let Some((_, requests)) = self.asked().requests.as_ref().filter(|(at, _)| *at == commits) {
            return Ok(requests.clone());
        }
        let requests = self.step(self.store.claim_requests(holder, ttl)).await?;
        self.asked().requests = Some((commits, requests.clone()));
        Ok(requests)
    }

    async fn release_request(&self, id: i64, holder: &str) -> Result<(), StateError> {
        self.write(self.store.release_request(id, holder)).await
    }

    async fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StateError> {
        self.step(self.store.meta(name)).await
    }

    async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError> {
        let commits = self.commits();
        if let Some((_, syncs)) = self.asked().syncs.as_ref().filter(|(at, _)| *at == commits) {
            return Ok(syncs.clone());
        }
        let syncs = self.step(self.store.syncs()).await?;
        self.asked().syncs = Some((commits, syncs.clone()));
        Ok(syncs)
    }

    async fn runs(&self, filter: RunFilter, limit: u32) -> Result<Vec<RunRow>, StateError> {
        self.step(self.store.runs(filter, limit)).await
    }

    async fn intents(&self, sync: SyncId) -> Result<Vec<IntentRow>, StateError> {
        self.step(self.store.intents(sync)).await
    }

    async fn page_at(&self, sync: SyncId, space: Space, key: &[u8]) -> Result<Option<PageRow>, StateError> {
        self.step(self.store.page_at(sync, space, key)).await
    }

    async fn pages_after(
        &self,
        sync: SyncId,
        space: Space,
        first: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<PageRow>, StateError> {
        self.step(self.store.pages_after(sync, space, first, limit)).await
    }

    async fn extent(&self, sync: SyncId, space: Space) -> Result<(Extent, Extent), StateError> {
        self.step(self.store.extent(sync, space)).await
    }

    async fn version(&self, sync: SyncId, space: Space) -> Result<i64, StateError> {
        self.step(self.store.version(sync, space)).await
    }

    async fn journal(&self, sync: SyncId, after: i64, limit: u32) -> Result<Vec<JournalBlob>, StateError> {
        self.step(self.store.journal(sync, after, limit)).await
    }

    async fn journal_size(&self, sync: SyncId) -> Result<(u64, u64), StateError> {
        self.step(self.store.journal_size(sync)).await
    }

    async fn keyed(
        &self,
        table: Keyed,
        sync: SyncId,
        after: Option<&KeyedAfter>,
        limit: u32,
    ) -> Result<Vec<KeyedRow>, StateError> {
        self.step(self.store.keyed(table, sync, after, limit)).await
    }

    async fn keyed_at(&self, table: Keyed, sync: SyncId, key: &Key) -> Result<Vec<KeyedRow>, StateError> {
        self.step(self.store.keyed_at(table, sync, key)).await
    }

    async fn crowded(&self, sync: SyncId, marks: u32) -> Result<Vec<Key>, StateError> {
        self.step(self.store.crowded(sync, marks)).await
    }

    async fn totals(&self, sync: SyncId) -> Result<DirtyTotals, StateError> {
        self.step(self.store.totals(sync)).await
    }

    async fn null_shares(&self, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
        self.step(self.store.null_shares(sync)).await
    }

    async fn invalid(&self, sync: SyncId, limit: u32) -> Result<Vec<Vec<u8>>, StateError> {
        self.step(self.store.invalid(sync, limit)).await
    }

    async fn guarded_sync(&self, run: RunId) -> Result<Option<SyncId>, StateError> {
        self.step(self.store.guarded_sync(run)).await
    }

    async fn guarded(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<(i64, Vec<u8>)>, StateError> {
        self.step(self.store.guarded(run, after, limit)).await
    }

    async fn approval(&self, sync: SyncId) -> Result<Option<ApprovalRow>, StateError> {
        self.step(self.store.approval(sync)).await
    }

    async fn removals_since(&self, sync: SyncId, since: Timestamp) -> Result<u64, StateError> {
        self.step(self.store.removals_since(sync, since)).await
    }

    async fn grants(&self, account: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.step(self.store.grants(account)).await
    }

    async fn token(&self, account: &str) -> Result<Option<(i64, Vec<u8>)>, StateError> {
        self.step(self.store.token(account)).await
    }

    async fn identity(&self, credential: [u8; 8]) -> Result<Option<String>, StateError> {
        self.step(self.store.identity(credential)).await
    }

    async fn requests(&self, id: Option<i64>) -> Result<Vec<Request>, StateError> {
        self.step(self.store.requests(id)).await
    }
}
