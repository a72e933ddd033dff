//! When a sync is due next.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::spec::Schedule;

/// First runs after a start are spread over this share of the interval, at most [`MAX_SPREAD`].
const SPREAD: f64 = 0.1;
const MAX_SPREAD: Duration = Duration::from_secs(30);

/// When one sync is due. Times are monotonic: a jump of the wall clock moves nothing.
#[derive(Debug, Clone)]
pub struct Due {
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Due {
    /// The first time: soon after `now`, with jitter, so that a restart does not start everything at once.
    pub fn new(schedule: &Schedule, now: Instant) -> Self {
        match schedule {
            Schedule::Manual => Self { every: None, next: None },
            Schedule::Every(every) => {
                let spread = every.mul_f64(SPREAD).min(MAX_SPREAD);
                Self { every: Some(*every), next: Some(now + spread.mul_f64(fastrand::f64())) }
            }
        }
    }

    /// The next time, if there is one.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes the sync as due, since when, and moves to the next time after `now`: missed times are one run, not many.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next.filter(|next| *next <= now)?;
        let every = self.every?;
        let mut next = due + every;
        if next <= now {
            let missed = (now - due).as_nanos() / every.as_nanos().max(1);
            next = due + every.saturating_mul(u32::try_from(missed + 1).unwrap_or(u32::MAX));
        }
        self.next = Some(next);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_is_one_run_and_keeps_the_rhythm() {
        let start = Instant::now();
        let mut due = Due::new(&Schedule::Every(Duration::from_secs(60)), start);
        let first = due.next().unwrap();
        assert!(first <= start + Duration::from_secs(6));
        assert_eq!(due.take(first), Some(first));
        assert_eq!(due.take(first), None);
        let late = first + Duration::from_secs(605);
        assert_eq!(due.take(late), Some(first + Duration::from_secs(60)));
        assert_eq!(due.next(), Some(first + Duration::from_secs(660)));
    }

    #[tokio::test]
    async fn a_manual_sync_is_never_due() {
        assert_eq!(Due::new(&Schedule::Manual, Instant::now()).next(), None);
    }
}
