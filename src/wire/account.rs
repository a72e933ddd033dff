//! One account of one external system: the only way to send anything to it.

use std::{
    borrow::Cow,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use tokio::time::Instant;

use super::{
    backoff::RetryBudget,
    budget::LATE,
    client::Client,
    credential::Credential,
    fault::{Directive, Fault, FaultKind, Sent},
    hold::{DEFAULT_HOLD, HoldReason, HoldState},
    limiter::{Ahead, Limiter, OutageNews, Ticket},
    limits::Limits,
    oauth::Trouble,
    request::{Request, Response},
    stats::{AccountStats, Counts},
    store::SavedGrants,
};
use crate::telemetry::{self, event, events};

/// One account of one external system, cheap to clone. Limits, hold and budget are shared by everything that uses the
/// account; credentials and address belong to the destination that it was opened for.
#[derive(Clone)]
pub struct Account {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Arc<Client>,
    /// No request begins later.
    pub(super) deadline: Option<Instant>,
    /// Requests do not ask the limiter, because a rule is broken.
    #[cfg(feature = "proof")]
    pub(super) unlimited: bool,
}

pub(super) struct Shared {
    /// Unset while the vendor has not been asked yet.
    pub(super) identity: OnceLock<String>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) budget: RetryBudget,
    pub(super) counts: Counts,
}

/// What the headers of an answer say about the limits.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Per window that the vendor reports.
    pub windows: Vec<ObservedWindow>,
    /// Requests a day.
    pub daily_limit: Option<u32>,
    /// Requests left today.
    pub daily_remaining: Option<u32>,
}

/// One window as the vendor reports it.
#[derive(Debug, Clone, Copy)]
pub struct ObservedWindow {
    /// Its length; a window of the account is narrowed only if it has the same.
    pub per: Duration,
    /// Requests that it allows.
    pub limit: Option<u32>,
    /// Requests left in it when the vendor answered.
    pub remaining: Option<u32>,
}

impl Account {
    pub(super) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Self {
        Self {
            shared,
            client,
            deadline: None,
            #[cfg(feature = "proof")]
            unlimited: false,
        }
    }

    /// The account's name at the vendor, such as `hubspot:4242`; empty while it is provisional.
    pub fn identity(&self) -> &str {
        self.shared.identity.get().map_or("", String::as_str)
    }

    /// The same account for requests that must begin within `time`: one that is still waiting for its turn then is not
    /// sent and ends in [`FaultKind::Expired`].
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self { deadline: Some(Instant::now() + time), ..self.clone() }
    }

    /// How long requests may still be begun; `None`: without end.
    #[cfg(test)]
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline - Instant::now())
    }

    /// One logical attempt. Waits in order of arrival for hold, limits and concurrency; sends once, and once more after a
    /// 401 if there is a newer secret or token by then. Any HTTP status is an `Ok`: what it means is for the connector to
    /// say. A grant that the token endpoint refuses for good shuts the account's hold.
    ///
    /// Cancel-safe: dropped before the request leaves, it uses nothing up.
    ///
    /// # Errors
    /// A fault, which says whether the vendor can have seen the request.
    pub async fn send(&self, request: Request) -> Result<Response, Fault> {
        self.client.admit(&request.url)?;
        let (answer, credential) = self.attempt(&request, None, 1).await?;
        let Some(refused) = credential.filter(|_| answer.status == StatusCode::UNAUTHORIZED) else {
            return Ok(answer);
        };
        match self.client.credentials.newer_than(&refused).await {
            Ok(Some(newer)) => self.attempt(&request, Some(newer), 2).await.map(|(answer, _)| answer),
            Ok(None) => Ok(answer),
            Err(trouble) => Err(self.without_credential(trouble)),
        }
    }

    /// Waits for a turn and counts one request, which another account sends that is most likely this one, until the
    /// answer is dropped.
    ///
    /// # Errors
    /// A fault when nothing may be sent, as when the day's quota is spent.
    pub async fn count_another(&self) -> Result<impl Drop + Send + use<>, Fault> {
        let mut ticket = self.shared.limiter.acquire(super::Class::Read, NonZeroU32::MIN).await?;
        ticket.handed();
        Ok(ticket)
    }

    /// The same account for requests that ask no limiter: a rule is broken.
    #[cfg(feature = "proof")]
    #[must_use]
    pub fn unlimited(&self) -> Self {
        Self { unlimited: true, ..self.clone() }
    }

    /// Takes a turn for nothing, until the answer is dropped: a rule is broken.
    #[cfg(feature = "proof")]
    pub async fn take_turn(&self) -> Option<impl Drop + Send> {
        self.shared.limiter.acquire(super::Class::Write, NonZeroU32::MIN).await.ok()
    }

    async fn turn(&self, request: &Request) -> Result<Ticket, Fault> {
        #[cfg(feature = "proof")]
        if self.unlimited {
            return Ok(Ticket::new(self.shared.limiter.clone(), request.weight));
        }
        self.shared.limiter.acquire(request.class, request.weight).await
    }

    fn without_credential(&self, trouble: Trouble) -> Fault {
        if trouble.dead {
            self.shut(HoldReason::Credentials);
        }
        trouble.fault
    }

    /// Waits for its turn and sends once, with `newer` or else the credential as it is then: a token could end while the
    /// request waits.
    async fn attempt(
        &self,
        request: &Request,
        newer: Option<Credential>,
        attempt: u8,
    ) -> Result<(Response, Option<Credential>), Fault> {
        let asked = Instant::now();
        let ready = self.ready(request, newer);
        let (mut ticket, credential) = match self.deadline {
            Some(deadline) => match tokio::time::timeout_at(deadline, ready).await {
                Ok(ready) if Instant::now() <= deadline => ready?,
                Ok(_) => return Err(Fault::new(FaultKind::Expired, Sent::No)),
                Err(_) => {
                    self.shared.counts.waited(asked.elapsed());
                    return Err(Fault::new(FaultKind::Expired, Sent::No));
                }
            },
            None => ready.await?,
        };
        self.shared.budget.deposit();
        let (started, grant) = (Instant::now(), ticket.handed());
        let result = match self.signed(request).await {
            Ok(request) => self.client.transmit(&request, credential.as_ref(), grant).await,
            Err(fault) => Err(fault),
        };
        if matches!(&result, Ok(answer) if answer.status == StatusCode::UNAUTHORIZED) {
            self.client.signer.forget().await;
        }
        if matches!(&result, Err(fault) if fault.sent == Sent::No) {
            ticket.unsent();
        }
        self.trace(request, &result, started.elapsed(), attempt);
        self.shared.counts.ended(&result);
        if let Some(failed) = vendor_failed(&result) {
            self.report(ticket.ended(failed));
        }
        result.map(|answer| (answer, credential))
    }

    /// The leave to send, and what to send it with.
    pub(super) async fn ready(
        &self,
        request: &Request,
        newer: Option<Credential>,
    ) -> Result<(Ticket, Option<Credential>), Fault> {
        let asked = Instant::now();
        let turn = self.turn(request).await;
        self.shared.counts.waited(asked.elapsed());
        let (ticket, granted) = (turn?, Instant::now());
        let credential = match newer {
            Some(newer) => Some(newer),
            None => {
                let current = self.client.credentials.get().await;
                current.map_err(|trouble| self.without_credential(trouble))?
            }
        };
        if granted.elapsed() <= LATE / 2 {
            return Ok((ticket, credential));
        }
        // The permits are about to lapse, and others may have them before the request arrives.
        drop(ticket);
        Ok((self.turn(request).await?, credential))
    }

    /// The request with the headers of a signature made now, if it asks for one.
    async fn signed<'a>(&self, request: &'a Request) -> Result<Cow<'a, Request>, Fault> {
        let Some(id) = &request.sign_as else { return Ok(Cow::Borrowed(request)) };
        let mut signed = request.clone();
        let now = self.shared.limiter.now();
        self.client.signer.sign(&mut signed.headers, id, &request.body, now).await?;
        Ok(Cow::Owned(signed))
    }

    /// Never headers, bodies or whole URLs: they hold secrets and row values.
    fn trace(&self, request: &Request, result: &Result<Response, Fault>, took: Duration, attempt: u8) {
        event!(
            events::REQUEST_ENDED,
            account = self.identity(),
            method = %request.method,
            host = request.url.host_str(),
            route = request.route,
            status = result.as_ref().ok().map(|answer| answer.status.as_u16()),
            fault = result.as_ref().err().map(|fault| telemetry::display(&fault.kind)),
            request_id = result.as_ref().ok().and_then(|answer| answer.request_id.as_deref()),
            total_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            attempt,
        );
    }

    fn report(&self, news: Option<OutageNews>) {
        match news {
            Some(OutageNews::Begun) => self.log_opened(HoldReason::Outage),
            // It may still be on hold for another reason.
            Some(OutageNews::Over) if self.hold_state() == HoldState::Open => self.log_closed(),
            Some(OutageNews::Over) | None => {}
        }
    }

    fn log_opened(&self, reason: HoldReason) {
        let state = self.hold_state();
        event!(events::HOLD_OPENED, account = self.identity(), %reason, %state);
    }

    fn log_closed(&self) {
        event!(events::HOLD_CLOSED, account = self.identity());
    }

    /// Puts the account on hold for at least this long. Never shortens a hold.
    pub fn hold_for(&self, duration: Duration, reason: HoldReason) {
        if self.shared.limiter.hold.hold_for(duration, reason) {
            self.log_opened(reason);
        }
        self.shared.limiter.tell_hold(duration, reason);
        self.shared.limiter.wake();
    }

    /// Puts the account on hold where this fault of one of its requests says that the vendor wants to be left alone.
    /// Whoever does not send the request again at once calls it; a fault of another kind changes nothing.
    pub fn heed(&self, fault: &Fault) {
        if fault.kind.directive() == Directive::Hold {
            self.hold_for(fault.retry_after.unwrap_or(DEFAULT_HOLD), HoldReason::RetryAfter);
        }
    }

    /// Puts the account on hold until it is released.
    pub fn shut(&self, reason: HoldReason) {
        if self.shared.limiter.hold.shut(reason) {
            self.log_opened(reason);
        }
        self.shared.limiter.wake();
    }

    /// Ends a hold that refused credentials have shut, because new ones were accepted. Holds of other reasons go on.
    pub fn credentials_accepted(&self) {
        if self.shared.limiter.hold.open(HoldReason::Credentials) && self.hold_state() == HoldState::Open {
            self.log_closed();
        }
        self.shared.limiter.wake();
    }

    /// Whether the account may send.
    pub fn hold_state(&self) -> HoldState {
        self.shared.limiter.hold_state()
    }

    /// Takes over what an answer's headers say: limits are narrowed, and requests of others are counted.
    pub fn observe(&self, observed: &Observed) {
        self.shared.limiter.observe(observed);
    }

    /// Replaces the limits of everything that uses the account; the day stays that of the account's time zone. What was
    /// sent still counts.
    pub fn relimit(&self, limits: &Limits) {
        self.shared.limiter.relimit(limits, NonZeroU32::MIN);
    }

    /// What it has done so far.
    pub fn stats(&self) -> AccountStats {
        let (windows, day) = self.shared.limiter.usage();
        let mut stats = self.shared.counts.stats();
        stats.retries = self.shared.budget.spent();
        (stats.windows, stats.day) = (windows, day);
        stats
    }

    /// The retries that may still be made.
    pub fn retry_budget(&self) -> &RetryBudget {
        &self.shared.budget
    }

    /// The grants to save in one transaction with intents; `ahead` are the requests that these will make. After a crash
    /// they count as made, so a restart never bursts.
    pub fn snapshot(&self, ahead: &[Ahead]) -> SavedGrants {
        self.shared.limiter.save(ahead)
    }
}

/// Whether the vendor seems to be down; `None` when the attempt says nothing about that.
fn vendor_failed(result: &Result<Response, Fault>) -> Option<bool> {
    match result {
        Ok(answer) => Some(answer.status.is_server_error()),
        Err(fault) => match fault.kind {
            FaultKind::Connect | FaultKind::TimedOut | FaultKind::Dropped | FaultKind::Server => Some(true),
            FaultKind::Protocol => Some(false),
            FaultKind::Tls
            | FaultKind::Blocked
            | FaultKind::Throttled
            | FaultKind::QuotaSpent { .. }
            | FaultKind::Credentials
            | FaultKind::Forbidden
            | FaultKind::NotFound
            | FaultKind::BatchRefused
            | FaultKind::TooLarge
            | FaultKind::Held(_)
            | FaultKind::Budget
            | FaultKind::Stopped
            | FaultKind::Expired
            | FaultKind::Settings => None,
        },
    }
}
