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
    Request, StateError,
    lease::{Beat, Taken},
    open::Opened,
    reads::{Arg, Row},
    store::{StateStore, Write},
};
use crate::{model::SyncId, wire::BudgetStore};

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
    /// The open requests as of so many commits, which are asked for twice a second: nobody else writes.
    requests: Mutex<Option<(u64, Vec<Request>)>>,
}

impl InStep {
    fn new(store: Arc<dyn StateStore>, latency: Duration) -> Self {
        Self { store, latency, commits: AtomicU64::new(0), requests: Mutex::default() }
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

    fn requests(&self) -> MutexGuard<'_, Option<(u64, Vec<Request>)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn select(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StateError> {
        self.step(self.store.select(sql, args)).await
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
        if let Some((_, requests)) = self.requests().as_ref().filter(|(at, _)| *at == commits) {
            return Ok(requests.clone());
        }
        let requests = self.step(self.store.claim_requests(holder, ttl)).await?;
        *self.requests() = Some((commits, requests.clone()));
        Ok(requests)
    }

    async fn release_request(&self, id: i64, holder: &str) -> Result<(), StateError> {
        self.write(self.store.release_request(id, holder)).await
    }
}
