//! A rate that is spread evenly: governor's GCRA. Only its arithmetic is used: waiting is ours, in tokio's time.

use std::{num::NonZeroU32, time::Duration};

use governor::{NotUntil, Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::InMemoryState};
use tokio::time::Instant;

use crate::wire::{limits::Window, request::Class};

/// Tokio's clock, which tests can pause, as the time since the bucket was made.
#[derive(Debug, Clone)]
struct TokioClock {
    origin: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

type Bucket = RateLimiter<governor::state::NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// One smooth rate.
pub(super) struct Smooth {
    pub(super) class: Option<Class>,
    pub(super) per: Duration,
    pub(super) requests: NonZeroU32,
    burst: NonZeroU32,
    clock: TokioClock,
    bucket: Bucket,
    last: Option<Instant>,
}

impl Smooth {
    /// `heaviest` is the weight that must fit into the burst.
    pub(super) fn new(window: &Window, heaviest: NonZeroU32) -> Self {
        let burst = burst(window.requests, heaviest);
        let clock = TokioClock { origin: Instant::now() };
        let bucket = RateLimiter::direct_with_clock(quota(window.requests, burst, window.per), clock.clone());
        Self { class: window.class, per: window.per, requests: window.requests, burst, clock, bucket, last: None }
    }

    /// Takes `weight` tokens. Otherwise when to look again; `None` when the weight never fits.
    pub(super) fn take(&mut self, weight: NonZeroU32) -> Result<(), Option<Instant>> {
        let now = Instant::now();
        match self.bucket.check_n(weight) {
            Ok(Ok(())) => {
                self.last = Some(now);
                Ok(())
            }
            Ok(Err(early)) => Err(Some(now + self.wait(&early))),
            Err(_) => Err(None),
        }
    }

    /// Never zero, so that a caller that waits and asks again cannot spin.
    fn wait(&self, early: &NotUntil<Duration>) -> Duration {
        early.wait_time_from(self.clock.now()).max(Duration::from_millis(1))
    }

    /// Empties the bucket, as after a burst. A bucket that is not full stays as it is.
    pub(super) fn drain(&mut self) {
        if self.bucket.check_n(self.burst).is_ok() {
            self.last = Some(Instant::now());
        }
    }

    /// Lowers the rate, beginning with an empty bucket.
    pub(super) fn narrow(&mut self, requests: NonZeroU32) {
        if requests < self.requests {
            let window = Window { requests, per: self.per, smooth: true, class: self.class };
            *self = Self::new(&window, self.burst.min(requests));
            self.drain();
        }
    }

    /// When a token was last taken.
    pub(super) fn last(&self) -> Option<Instant> {
        self.last
    }
}

fn burst(requests: NonZeroU32, heaviest: NonZeroU32) -> NonZeroU32 {
    let tenth = NonZeroU32::new(requests.get() / 10).unwrap_or(NonZeroU32::MIN);
    tenth.max(heaviest).min(requests)
}

/// A bucket admits its burst and then one request per interval, so in any window `burst + window / interval`. The interval
/// is chosen so that this is just the limit; burst = limit would admit almost twice the limit.
fn quota(requests: NonZeroU32, burst: NonZeroU32, per: Duration) -> Quota {
    let slack = (per / 100).clamp(Duration::from_millis(1), Duration::from_millis(100));
    let interval = (per + slack) / (requests.get() - burst.get() + 1);
    Quota::with_period(interval.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        .allow_burst(burst)
}
