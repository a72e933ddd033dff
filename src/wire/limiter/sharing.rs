//! How a limiter takes part in the account's shared budget: it reserves permits before it lets requests pass.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    model::Timestamp,
    telemetry::{event, events},
    wire::{
        budget::{BudgetStore, LIVE, Reply},
        fault::{Fault, FaultKind, Sent},
        hold::HoldReason,
        locked,
        request::Class,
        store::{SavedGrants, StoreError},
    },
};

use super::{Limiter, State, buckets::Wait, pool::Pool};

/// How long after its last request an idle process gives its permits back.
const IDLE: Duration = Duration::from_millis(300);
/// When to tell again what did not land.
const AGAIN: Duration = Duration::from_secs(1);

/// The account's shared book, as this process takes part in it.
pub(super) struct Sharing {
    store: Arc<dyn BudgetStore>,
    account: String,
    holder: u64,
    /// One question at a time, so that what is told comes in order.
    asking: tokio::sync::Mutex<()>,
    /// Weight of the requests that wait.
    waiting: AtomicU32,
    /// A task waits to give permits back.
    flushing: AtomicBool,
    /// A task tells now and then that this process lives.
    keeping: AtomicBool,
    /// A task waits to tell again what did not land.
    repeating: AtomicBool,
}

/// Counts a request as waiting while it lives.
pub(super) struct Waiting<'a>(Option<(&'a AtomicU32, u32)>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some((count, weight)) = self.0 {
            count.fetch_sub(weight, Ordering::Relaxed);
        }
    }
}

/// What became of a question.
enum Answer {
    /// There may be permits now, or a time to ask again.
    Heard,
    /// The day is spent.
    Spent(Option<Timestamp>),
}

impl Limiter {
    /// Takes part in the shared budget from now on.
    pub(in crate::wire) fn share(&self, store: Arc<dyn BudgetStore>, account: &str) {
        let sharing = Sharing {
            store,
            account: account.to_owned(),
            holder: fastrand::u64(1..),
            asking: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
            flushing: AtomicBool::new(false),
            keeping: AtomicBool::new(false),
            repeating: AtomicBool::new(false),
        };
        if self.sharing.set(sharing).is_ok() {
            self.change(|state| state.pool = Some(Pool::default()));
        }
    }

    /// Notes requests that were made before the account was known, for the book.
    pub(in crate::wire) fn tell_loose(&self, saved: &SavedGrants) {
        let (now, wall) = (Instant::now(), self.clock.now());
        self.change(|state| {
            let Some(pool) = &mut state.pool else { return };
            let longest = |class| saved.windows.iter().filter(move |w| w.class == class).max_by_key(|w| w.per);
            let classes = [None, Some(Class::Read), Some(Class::Write), Some(Class::Search)];
            for window in classes.into_iter().filter_map(longest) {
                for (at, weight) in &window.grants {
                    let age = wall.since(Timestamp::from_micros(*at));
                    pool.loose(window.class, *weight, now.checked_sub(age).unwrap_or(now));
                }
            }
        });
    }

    pub(super) fn waiting(&self, weight: u32) -> Waiting<'_> {
        Waiting(self.sharing.get().map(|sharing| {
            sharing.waiting.fetch_add(weight, Ordering::Relaxed);
            (&sharing.waiting, weight)
        }))
    }

    /// Asks the book for permits, unless it is known when that is worth it again. `None`: try again now.
    pub(super) async fn refill(self: &Arc<Self>, scope: Option<Class>, weight: u32) -> Result<Option<Wait>, Fault> {
        let wait = locked(&self.state).pool.as_ref().and_then(|pool| pool.wait(scope));
        if let Some(at) = wait {
            return self.patient(Wait::Until(at)).map(Some);
        }
        // A task of its own: what is granted while nobody waits any more is not lost.
        let asked = tokio::spawn(self.clone().exchange(Some((scope, weight))));
        let answer = tokio::select! {
            answer = asked => answer,
            () = self.shutdown.cancelled() => return Err(Fault::new(FaultKind::Stopped, Sent::No)),
        };
        match answer {
            Ok(Ok(Answer::Heard)) => Ok(None),
            Ok(Ok(Answer::Spent(until))) => self.patient(Wait::NextDay(until)).map(Some),
            Ok(Err(error)) => Err(Fault::new(FaultKind::Budget, Sent::No).because(error)),
            Err(error) => Err(Fault::new(FaultKind::Budget, Sent::No).because(error)),
        }
    }

    async fn exchange(self: Arc<Self>, want: Option<(Option<Class>, u32)>) -> Result<Answer, StoreError> {
        let answer = self.exchange_once(want).await;
        if answer.is_err() {
            self.repeat();
        }
        self.keep_share();
        answer
    }

    /// Says often enough that this process lives while it has a share of the requests under way: the book gives the share
    /// of one that is silent to others, and a request may last longer than that.
    fn keep_share(self: &Arc<Self>) {
        let Some(sharing) = self.sharing.get() else { return };
        let shares = locked(&self.state).pool.as_ref().is_some_and(Pool::has_share);
        if !shares || sharing.keeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let limiter = self.clone();
        drop(tokio::spawn(async move {
            let Some(sharing) = limiter.sharing.get() else { return };
            loop {
                sleep(LIVE / 3).await;
                let over = limiter.change(|state| {
                    let over = state.buckets.under_way == 0 && !state.pool.as_ref().is_some_and(Pool::has_share);
                    if over {
                        sharing.keeping.store(false, Ordering::Relaxed);
                    }
                    over
                });
                if over {
                    return;
                }
                // One that fails is made up for by the next.
                drop(limiter.exchange_once(None).await);
            }
        }));
    }

    /// Tells again what did not land, until it does.
    fn repeat(self: &Arc<Self>) {
        let Some(sharing) = self.sharing.get() else { return };
        if sharing.repeating.swap(true, Ordering::Relaxed) {
            return;
        }
        let limiter = self.clone();
        drop(tokio::spawn(async move {
            let Some(sharing) = limiter.sharing.get() else { return };
            loop {
                tokio::select! {
                    () = sleep(AGAIN) => {}
                    () = limiter.shutdown.cancelled() => return,
                }
                let told = limiter.change(|state| {
                    let told = !state.pool.as_ref().is_some_and(Pool::untold);
                    if told {
                        sharing.repeating.store(false, Ordering::Relaxed);
                    }
                    told
                });
                if told {
                    return;
                }
                // It failed before: what did not land is tried again.
                drop(limiter.exchange_once(None).await);
            }
        }));
    }

    async fn exchange_once(&self, want: Option<(Option<Class>, u32)>) -> Result<Answer, StoreError> {
        let Some(sharing) = self.sharing.get() else { return Ok(Answer::Heard) };
        let _one = sharing.asking.lock().await;
        let (asked, waiting) = (Instant::now(), sharing.waiting.load(Ordering::Relaxed));
        let message = self.change(|State { buckets, pool, .. }| {
            let (shared, busy) = (buckets.shared(), buckets.under_way);
            pool.as_mut().map(|pool| pool.message(shared, busy, waiting, want))
        });
        let Some(mut message) = message else { return Ok(Answer::Heard) };
        message.holder = sharing.holder;
        let reply = match sharing.store.exchange(&sharing.account, &message).await {
            Ok(reply) => reply,
            Err(error) => {
                self.change(|state| {
                    if let Some(pool) = &mut state.pool {
                        pool.restore(&message, asked);
                    }
                });
                return Err(error);
            }
        };
        self.change(|state| {
            if let Some(pool) = &mut state.pool {
                pool.take_in(&reply, asked, &message.windows, want.map(|(scope, _)| scope));
            }
        });
        self.take_hold(sharing, &reply);
        Ok(reply.spent.map_or(Answer::Heard, Answer::Spent))
    }

    fn take_hold(&self, sharing: &Sharing, reply: &Reply) {
        if let Some((left, reason)) = reply.hold
            && self.hold.hold_for(left, reason)
        {
            let state = self.hold_state();
            event!(events::HOLD_OPENED, account = sharing.account, %reason, %state);
        }
        self.wake();
    }

    /// Tells the others of a hold that began here.
    pub(in crate::wire) fn tell_hold(self: &Arc<Self>, duration: Duration, reason: HoldReason) {
        let until = Instant::now() + duration;
        self.tell(|pool| pool.hold(until, reason));
    }

    /// Tells the others that a hold is over.
    pub(in crate::wire) fn tell_release(self: &Arc<Self>, reason: HoldReason) {
        self.tell(|pool| pool.released(reason));
    }

    fn tell(self: &Arc<Self>, news: impl FnOnce(&mut Pool)) {
        let shares = self.change(|state| state.pool.as_mut().map(news)).is_some();
        if shares && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // What does not land is told again.
            drop(runtime.spawn(self.clone().exchange(None)));
        }
    }

    /// Gives permits back once nothing is under way.
    pub(super) fn flush_when_idle(self: &Arc<Self>) {
        let Some(sharing) = self.sharing.get() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if sharing.flushing.swap(true, Ordering::Relaxed) {
            return;
        }
        let limiter = self.clone();
        drop(runtime.spawn(async move {
            sleep(IDLE).await;
            let Some(sharing) = limiter.sharing.get() else { return };
            sharing.flushing.store(false, Ordering::Relaxed);
            let idle =
                limiter.change(|state| state.buckets.under_way == 0 && state.pool.as_ref().is_some_and(Pool::has_news));
            if idle && sharing.waiting.load(Ordering::Relaxed) == 0 {
                // As above.
                drop(limiter.clone().exchange(None).await);
            }
        }));
    }
}
