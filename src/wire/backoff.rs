//! Waiting between attempts: how long, and how often at all.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

/// The wait before attempt `attempt + 1`, counting from 1: full jitter, drawn from 0 to `base` doubled per attempt, at
/// most `cap` (AWS Architecture Blog, "Exponential Backoff And Jitter").
pub fn backoff(attempt: u32, base: Duration, cap: Duration, rng: &mut fastrand::Rng) -> Duration {
    let doubled = 2u32.checked_pow(attempt.saturating_sub(1)).and_then(|factor| base.checked_mul(factor));
    doubled.unwrap_or(cap).min(cap).mul_f64(rng.f64())
}

/// Retries that an account may still make: a share of its first attempts, so that an outage does not multiply the load.
#[derive(Debug)]
pub struct RetryBudget {
    credit: Mutex<Credit>,
}

#[derive(Debug)]
struct Credit {
    /// In tenths of a retry.
    tenths: u32,
    spent: u64,
    /// Retries whose requests are yet to be counted: these earn nothing.
    owed: u32,
    /// Up to when the floor has been refilled.
    refilled: Instant,
}

/// Retries at the start, and after a quiet time.
const FLOOR: u32 = 20;
/// How long one retry of the floor takes to come back.
const REFILL: Duration = Duration::from_secs(30);
/// Most retries that can be saved up.
const CEILING: u32 = 200;

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self { credit: Mutex::new(Credit { tenths: FLOOR * 10, spent: 0, owed: 0, refilled: Instant::now() }) }
    }

    /// Takes one retry; `false` when there is none left, and the rows wait for the next run.
    pub fn withdraw(&self) -> bool {
        let mut credit = super::locked(&self.credit);
        credit.refill();
        let enough = credit.tenths >= 10;
        if enough {
            credit.tenths -= 10;
            credit.spent += 1;
            credit.owed += 1;
        }
        enough
    }

    /// Counts one request: a first attempt earns a tenth of a retry, a retry none.
    pub(super) fn deposit(&self) {
        let mut credit = super::locked(&self.credit);
        match credit.owed.checked_sub(1) {
            Some(owed) => credit.owed = owed,
            None => credit.tenths = (credit.tenths + 1).min(CEILING * 10),
        }
    }

    pub(super) fn spent(&self) -> u64 {
        super::locked(&self.credit).spent
    }
}

impl Credit {
    /// Gives back the retries of the time since the last refill, up to the floor.
    fn refill(&mut self) {
        let passed = self.refilled.elapsed().as_secs() / REFILL.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > 0 {
            self.refilled = Instant::now();
            self.tenths = self.tenths.max(self.tenths.saturating_add(passed.saturating_mul(10)).min(FLOOR * 10));
        }
    }
}
