//! How much an account may send, and when: windows as the vendor counts them, smooth rates, the day's quota, concurrency,
//! the hold and the probing of an outage, all at once and in order of arrival. All times are tokio's, so that tests can
//! pause them; the wall clock only tells the day and what is saved.

mod buckets;
mod daily;
mod outage;
mod pool;
mod saved;
mod sharing;
mod smooth;
#[cfg(test)]
mod tests;
mod ticket;
mod window;

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{clock::Clock, shutdown::Shutdown};

use super::{
    account::Observed,
    fault::{Fault, FaultKind, Sent},
    hold::{Gate, Hold, HoldState},
    limits::Limits,
    locked,
    request::Class,
    stats::WindowUse,
};
use buckets::{Buckets, Wait};
use outage::Outage;
use pool::Pool;
pub use saved::Ahead;
use sharing::Sharing;
pub(super) use ticket::{Grant, OutageNews, Ticket};

/// Longest wait inside one request. What takes longer is a fault, so that the run can end and come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// The limiter of one account.
pub(super) struct Limiter {
    pub(super) hold: Hold,
    clock: Clock,
    shutdown: Shutdown,
    /// Fair, so requests are served in order of arrival. One for each class with limits of its own, so that a wait for
    /// searches does not stop writes; then one for all.
    class_turns: [tokio::sync::Mutex<()>; 3],
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Something was freed or learnt.
    changed: Notify,
    /// Unset where nobody else sends to the account, or its name is not known yet.
    sharing: OnceLock<Sharing>,
}

struct State {
    buckets: Buckets,
    outage: Outage,
    /// Permits of the shared budget.
    pool: Option<Pool>,
}

impl Limiter {
    /// The wall clock's time.
    pub(super) fn now(&self) -> crate::model::Timestamp {
        self.clock.now()
    }

    pub(super) fn new(limits: &Limits, heaviest: NonZeroU32, clock: Clock, shutdown: Shutdown) -> Self {
        Self {
            hold: Hold::new(),
            clock,
            shutdown,
            class_turns: Default::default(),
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(State { buckets: Buckets::new(limits, heaviest), outage: Outage::default(), pool: None }),
            changed: Notify::new(),
            sharing: OnceLock::new(),
        }
    }

    /// Waits until a request may leave. Dropping the future uses nothing up, except what a smooth rate has already let
    /// through.
    pub(super) async fn acquire(self: &Arc<Self>, class: Class, weight: NonZeroU32) -> Result<Ticket, Fault> {
        let mut ticket = Ticket::new(self.clone(), weight);
        let _waiting = self.waiting(weight.get());
        let _class_turn = if locked(&self.state).buckets.limits(class) {
            let turn = self.class_turns[class as usize].lock().await;
            self.pass(&mut ticket, Some(class)).await?;
            Some(turn)
        } else {
            None
        };
        let _turn = self.turn.lock().await;
        self.pass(&mut ticket, None).await?;
        Ok(ticket)
    }

    /// Passes the buckets of one class, or with `None` those for all requests.
    async fn pass(self: &Arc<Self>, ticket: &mut Ticket, scope: Option<Class>) -> Result<(), Fault> {
        let mut smooth_passed = 0;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wait = match self.held()? {
                Some(until) => Wait::Until(until),
                None => match self.try_pass(ticket, scope, &mut smooth_passed)? {
                    None => return Ok(()),
                    Some(Wait::ForPermits) => match self.refill(scope, ticket.weight().get()).await? {
                        None => continue,
                        Some(wait) => wait,
                    },
                    Some(wait) => wait,
                },
            };
            tokio::select! {
                () = wait.over() => {}
                () = changed => {}
                () = self.shutdown.cancelled() => return Err(Fault::new(FaultKind::Stopped, Sent::No)),
            }
        }
    }

    /// Until when the account is on hold, if a request should wait for the end.
    fn held(&self) -> Result<Option<Instant>, Fault> {
        match self.hold.gate() {
            Gate::Open => Ok(None),
            Gate::Until(at, _) if at <= Instant::now() + PATIENCE => Ok(Some(at)),
            Gate::Until(..) | Gate::Shut(_) => Err(Fault::new(FaultKind::Held(self.hold_state()), Sent::No)),
        }
    }

    fn try_pass(
        &self,
        ticket: &mut Ticket,
        scope: Option<Class>,
        smooth_passed: &mut usize,
    ) -> Result<Option<Wait>, Fault> {
        let mut state = locked(&self.state);
        let State { buckets, outage, pool } = &mut *state;
        if scope.is_none() && !outage.may_pass() {
            return Ok(Some(Wait::ForChange));
        }
        if let Err(wait) = buckets.room(scope, ticket.weight(), smooth_passed, self.clock.now()) {
            return self.patient(wait).map(Some);
        }
        if let Some(pool) = pool {
            let shared = buckets.shared();
            let full = scope.is_none() && shared.concurrent.is_some() && !pool.may_begin(buckets.under_way);
            if full || shared.limits(scope) && !pool.take(scope, ticket.weight().get(), ticket.id()) {
                return Ok(Some(Wait::ForPermits));
            }
        }
        buckets.grant(scope, ticket.id(), ticket.weight(), self.clock.now());
        if scope.is_none() {
            ticket.granted(outage.pass());
        }
        Ok(None)
    }

    /// Turns a wait that is too long for a request into a fault.
    fn patient(&self, wait: Wait) -> Result<Wait, Fault> {
        let spent = |until| Fault::new(FaultKind::QuotaSpent { until }, Sent::No);
        match wait {
            Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
                long if long > PATIENCE => Err(spent(Some(self.clock.now() + long))),
                _ => Ok(Wait::Until(at)),
            },
            Wait::NextDay(until) => Err(spent(until)),
            Wait::Never => {
                Err(Fault::new(FaultKind::Settings, Sent::No).because("a request weighs more than its limit"))
            }
            Wait::ForChange | Wait::ForPermits => Ok(wait),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut locked(&self.state));
        self.changed.notify_waiters();
        result
    }

    /// Wakes whoever waits, after the hold has changed.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    pub(super) fn hold_state(&self) -> HoldState {
        self.hold.state(&self.clock)
    }

    pub(super) fn observe(&self, observed: &Observed) {
        let now = self.clock.now();
        self.change(|state| {
            let pool = state.pool.as_ref();
            let others = |class, per| pool.map_or(0, |pool| pool.others(class, per));
            state.buckets.observe(observed, now, others);
        });
    }

    /// Joins the limits of another destination of the same account.
    pub(super) fn narrow(&self, limits: &Limits, heaviest: NonZeroU32) {
        self.change(|state| state.buckets.narrow(limits, heaviest));
    }

    /// Replaces the limits; what was granted still counts.
    pub(super) fn relimit(&self, limits: &Limits, heaviest: NonZeroU32) {
        self.change(|state| state.buckets = state.buckets.successor(limits, heaviest));
    }

    pub(super) fn usage(&self) -> (Vec<WindowUse>, Option<(u32, u32)>) {
        locked(&self.state).buckets.usage(self.clock.now())
    }
}
