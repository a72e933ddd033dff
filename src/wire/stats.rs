//! What an account has done so far, for the run's closing line and the status.

use std::{sync::Mutex, time::Duration};

use http::StatusCode;

use super::{
    fault::{Fault, Sent},
    locked,
    request::{Class, Response},
};

/// Counts since the daemon's start. Subtract two of them for one run's share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountStats {
    /// Requests sent, repeats included.
    pub requests: u64,
    /// Retries taken from the budget.
    pub retries: u64,
    /// Answers with status 429.
    pub throttled: u64,
    /// Time that requests waited for hold, limits and concurrency, summed over requests.
    pub limiter_wait: Duration,
    /// How full each window is now.
    pub windows: Vec<WindowUse>,
    /// Requests counted today and those allowed, when there is a daily limit.
    pub day: Option<(u32, u32)>,
}

/// One window's use at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowUse {
    /// Which class it limits; `None`: all.
    pub class: Option<Class>,
    /// Its length.
    pub per: Duration,
    /// Requests that count in it now.
    pub used: u32,
    /// Requests that it allows now.
    pub limit: u32,
}

/// The counts that grow with every request.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<AccountStats>);

impl Counts {
    pub(super) fn waited(&self, time: Duration) {
        locked(&self.0).limiter_wait += time;
    }

    /// Counts a request unless it certainly never left.
    pub(super) fn ended(&self, result: &Result<Response, Fault>) {
        let mut stats = locked(&self.0);
        match result {
            Ok(answer) => {
                stats.requests += 1;
                stats.throttled += u64::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
            }
            Err(fault) => stats.requests += u64::from(fault.sent != Sent::No),
        }
    }

    pub(super) fn stats(&self) -> AccountStats {
        locked(&self.0).clone()
    }
}
