//! When a sync is due next, as far as the clock decides it.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Cron, Timestamp, spec::Schedule};

/// First runs after a start are spread over this share of the interval, at most [`MAX_SPREAD`].
const SPREAD: f64 = 0.1;
const MAX_SPREAD: Duration = Duration::from_secs(30);
/// A wall clock that goes back further than this was wrong before: cron times are then counted from where it stands.
const WRONG_CLOCK: Duration = Duration::from_secs(24 * 3600);

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock.
    pub wall: Timestamp,
}

/// When one sync is due. Intervals are monotonic, so a jump of the wall clock moves nothing. Cron follows the wall clock:
/// a jump forward is one run however many times it passes, a jump back repeats none.
#[derive(Debug, Clone)]
pub struct Due(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Asked for, or after other syncs.
    Never,
    Every {
        every: Duration,
        next: Instant,
    },
    Cron {
        cron: Box<Cron>,
        next: Option<Timestamp>,
        /// The latest time that the wall clock has shown.
        seen: Timestamp,
    },
}

impl Due {
    /// The first time. An interval begins soon after `now`, at the share `spread` (0 to 1) of a short while, so that a
    /// restart does not start everything at once. A cron time that has passed since the last start of a run is due at
    /// once; a sync that never ran waits for its first time.
    pub fn new(schedule: &Schedule, now: Now, last_start: Option<Timestamp>, spread: f64) -> Self {
        Self(match schedule {
            Schedule::Manual | Schedule::After(_) => Kind::Never,
            Schedule::Every(every) => {
                let most = every.mul_f64(SPREAD).min(MAX_SPREAD);
                Kind::Every { every: *every, next: now.instant + most.mul_f64(spread) }
            }
            Schedule::Cron(cron) => {
                let next = cron.after(last_start.map_or(now.wall, |last| last.min(now.wall)));
                Kind::Cron { cron: cron.clone(), next, seen: now.wall }
            }
        })
    }

    /// How long until it is due, if it ever is; as the wall clock stands now.
    pub fn wait(&self, now: Now) -> Option<Duration> {
        match &self.0 {
            Kind::Never => None,
            Kind::Every { next, .. } => Some(next.saturating_duration_since(now.instant)),
            Kind::Cron { next, .. } => next.map(|next| next.since(now.wall)),
        }
    }

    /// Takes the sync as due, since when, and moves to the next time after `now`: missed times are one run, not many.
    pub fn take(&mut self, now: Now) -> Option<Timestamp> {
        match &mut self.0 {
            Kind::Never => None,
            Kind::Every { every, next } => {
                let late = now.instant.checked_duration_since(*next)?;
                let missed = late.as_nanos() / every.as_nanos().max(1);
                *next += every.saturating_mul(u32::try_from(missed + 1).unwrap_or(u32::MAX));
                Some(now.wall - late)
            }
            Kind::Cron { cron, next, seen } => {
                if seen.since(now.wall) > WRONG_CLOCK {
                    *next = cron.after(now.wall);
                    *seen = now.wall;
                }
                *seen = (*seen).max(now.wall);
                let due = next.filter(|next| *next <= now.wall)?;
                *next = cron.after(now.wall);
                Some(due)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(pattern: &str) -> Schedule {
        Schedule::Cron(Box::new(Cron::parse(pattern, "UTC").unwrap()))
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000) + Duration::from_secs(hours * 3600)
    }

    fn now(wall: Timestamp) -> Now {
        Now { instant: Instant::now(), wall }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_is_one_run_and_keeps_the_rhythm() {
        let (start, wall) = (Instant::now(), at(0));
        let after = |time: Duration| Now { instant: start + time, wall: wall + time };
        let mut due = Due::new(&Schedule::Every(Duration::from_secs(60)), after(Duration::ZERO), None, 0.5);
        let first = Duration::from_secs(3);
        assert_eq!(due.wait(after(Duration::ZERO)), Some(first));
        assert_eq!(due.take(after(first)), Some(wall + first));
        assert_eq!(due.take(after(first)), None);
        let late = first + Duration::from_secs(605);
        assert_eq!(due.take(after(late)), Some(wall + first + Duration::from_secs(60)));
        assert_eq!(due.wait(after(late)), Some(Duration::from_secs(55)));
    }

    #[tokio::test]
    async fn what_no_clock_starts_is_never_due() {
        for schedule in [Schedule::Manual, Schedule::After(vec!["a".to_owned()])] {
            let mut due = Due::new(&schedule, now(at(0)), None, 0.0);
            assert_eq!((due.wait(now(at(0))), due.take(now(at(100)))), (None, None));
        }
    }

    #[tokio::test]
    async fn a_time_missed_while_nothing_ran_is_made_up_for_once() {
        let daily = cron("0 3 * * *");
        let mut due = Due::new(&daily, now(at(24 * 3 + 10)), Some(at(10)), 0.0);
        assert_eq!(due.take(now(at(24 * 3 + 10))), Some(at(27)));
        assert_eq!(due.take(now(at(24 * 3 + 10))), None);
        assert_eq!(due.wait(now(at(24 * 3 + 10))), Some(Duration::from_secs(17 * 3600)));
        let mut ran = Due::new(&daily, now(at(10)), Some(at(4)), 0.0);
        assert_eq!(ran.take(now(at(10))), None, "it has run since");
        let mut fresh = Due::new(&daily, now(at(10)), None, 0.0);
        assert_eq!(fresh.take(now(at(10))), None, "it waits for its first time");
    }

    #[tokio::test]
    async fn jumps_of_the_wall_clock_repeat_and_miss_nothing() {
        let mut due = Due::new(&cron("0 * * * *"), now(at(0)), None, 0.0);
        assert_eq!(due.take(now(at(1))), Some(at(1)));
        assert_eq!(due.take(now(at(0))), None);
        assert_eq!(due.take(now(at(1))), None, "a jump back repeats nothing");
        assert_eq!(due.take(now(at(9))), Some(at(2)), "a jump forward is one run");
        assert_eq!(due.take(now(at(9))), None);
        assert_eq!(due.take(now(at(24 * 400))), Some(at(10)));
        assert_eq!(due.take(now(at(10))), None, "a clock that was wrong by a year is forgotten");
        assert_eq!(due.take(now(at(11))), Some(at(11)));
    }
}
