//! Rate windows, counted exactly as the vendors say: at arrival, over any span of the window's length.

use std::{collections::VecDeque, time::Duration};

use jiff::{civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::options::Window;
use crate::model::Timestamp;

/// All quotas of the account.
pub(super) struct Quota {
    windows: Vec<WindowLog>,
    daily: Option<Daily>,
    zone: TimeZone,
}

struct WindowLog {
    window: Window,
    allowed: VecDeque<Instant>,
    arrived: VecDeque<Instant>,
    max_allowed: usize,
    max_arrived: usize,
    first_violation: Option<Instant>,
}

struct Daily {
    limit: u64,
    used: u64,
    day: Option<Date>,
}

/// A refused request.
pub(super) struct Denial {
    pub(super) policy: Policy,
    /// How long until the request would have been allowed.
    pub(super) wait: Duration,
    /// The `Retry-After` header to send, when a fault asked for one.
    pub(super) retry_after: Option<String>,
    pub(super) quota: QuotaView,
}

/// The quota that was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Window(Window),
    Daily,
}

/// What the quota headers say: the first window and the day.
#[derive(Clone, Copy, Default)]
pub(super) struct QuotaView {
    pub(super) window: Option<(Window, u64)>,
    /// Limit and what is left.
    pub(super) daily: Option<(u64, u64)>,
}

impl Quota {
    /// No request counted yet. The day ends at midnight in `zone`.
    pub(super) fn new(windows: &[Window], daily: Option<u64>, zone: TimeZone) -> Self {
        let windows = windows.iter().map(|window| WindowLog::new(*window)).collect();
        Self { windows, daily: daily.map(|limit| Daily { limit, used: 0, day: None }), zone }
    }

    /// Counts a request when every quota has room; a refused one consumes nothing.
    pub(super) fn admit(&mut self, now: Instant, wall: Timestamp) -> Result<QuotaView, Denial> {
        self.turn_day(wall);
        for log in &mut self.windows {
            log.arrive(now);
        }
        let blocked = self.windows.iter_mut().filter_map(|log| log.blocked(now).map(|wait| (log.window, wait)));
        // `max_by_key` looks at every window, so that each one notes its violation.
        if let Some((window, wait)) = blocked.max_by_key(|(_, wait)| *wait) {
            return Err(self.denial(Policy::Window(window), wait));
        }
        if self.daily.as_ref().is_some_and(|daily| daily.used >= daily.limit) {
            return Err(self.denial(Policy::Daily, until_midnight(wall, &self.zone)));
        }
        for log in &mut self.windows {
            log.allow(now);
        }
        if let Some(daily) = &mut self.daily {
            daily.used += 1;
        }
        Ok(self.view())
    }

    /// The present state of the quotas, as headers tell it.
    pub(super) fn view(&self) -> QuotaView {
        let window = self.windows.first().map(|log| {
            let left = u64::from(log.window.requests).saturating_sub(log.allowed.len() as u64);
            (log.window, left)
        });
        let daily = self.daily.as_ref().map(|daily| (daily.limit, daily.limit.saturating_sub(daily.used)));
        QuotaView { window, daily }
    }

    /// A denial that a fault invents.
    pub(super) fn invented(&self, daily: bool, retry_after: Option<String>) -> Denial {
        let window = self.windows.first().map_or(Window::HUBSPOT, |log| log.window);
        let policy = if daily { Policy::Daily } else { Policy::Window(window) };
        Denial { policy, wait: Duration::from_secs(1), retry_after, quota: self.view() }
    }

    fn denial(&self, policy: Policy, wait: Duration) -> Denial {
        Denial { policy, wait, retry_after: None, quota: self.view() }
    }

    fn turn_day(&mut self, wall: Timestamp) {
        let Some(daily) = &mut self.daily else { return };
        let today = local(wall, &self.zone).map(|at| at.date());
        if today != daily.day {
            (daily.day, daily.used) = (today, 0);
        }
    }

    /// Per window what was seen; times in microseconds since `origin`.
    pub(super) fn report(&self, origin: Instant) -> (Value, Value) {
        let windows = self.windows.iter().map(|log| {
            json!({
                "limit": log.window.requests,
                "seconds": log.window.per.as_secs_f64(),
                "max_allowed": log.max_allowed,
                "max_arrived": log.max_arrived,
                "first_violation_us": log.first_violation.map(|at| micros(at, origin)),
            })
        });
        let daily = self.daily.as_ref().map(|daily| json!({ "limit": daily.limit, "used": daily.used }));
        (windows.collect(), json!(daily))
    }
}

impl WindowLog {
    fn new(window: Window) -> Self {
        let (allowed, arrived) = (VecDeque::new(), VecDeque::new());
        Self { window, allowed, arrived, max_allowed: 0, max_arrived: 0, first_violation: None }
    }

    fn arrive(&mut self, now: Instant) {
        forget(&mut self.allowed, now, self.window.per);
        forget(&mut self.arrived, now, self.window.per);
        self.arrived.push_back(now);
        self.max_arrived = self.max_arrived.max(self.arrived.len());
    }

    /// How long until the window has room, `None` when it has.
    fn blocked(&mut self, now: Instant) -> Option<Duration> {
        let limit = self.window.requests as usize;
        if self.allowed.len() < limit {
            return None;
        }
        self.first_violation.get_or_insert(now);
        let frees = self.allowed.front().map_or(now, |oldest| *oldest + self.window.per);
        Some(frees.saturating_duration_since(now))
    }

    fn allow(&mut self, now: Instant) {
        self.allowed.push_back(now);
        self.max_allowed = self.max_allowed.max(self.allowed.len());
    }
}

fn forget(log: &mut VecDeque<Instant>, now: Instant, per: Duration) {
    while log.front().is_some_and(|at| now.saturating_duration_since(*at) >= per) {
        log.pop_front();
    }
}

/// Microseconds from `origin` to `at`.
pub(super) fn micros(at: Instant, origin: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(origin).as_micros()).unwrap_or(u64::MAX)
}

/// The wall time in a zone.
pub(super) fn local(wall: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    Some(jiff::Timestamp::from_microsecond(wall.as_micros()).ok()?.to_zoned(zone.clone()))
}

fn until_midnight(wall: Timestamp, zone: &TimeZone) -> Duration {
    let next = local(wall, zone).and_then(|at| {
        let midnight = at.tomorrow().ok()?.start_of_day().ok()?;
        Duration::try_from(midnight.timestamp().duration_since(at.timestamp())).ok()
    });
    next.unwrap_or(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(limit: u32, millis: u64) -> Quota {
        Quota::new(&[Window { requests: limit, per: Duration::from_millis(millis) }], None, TimeZone::UTC)
    }

    proptest! {
        /// Against the definition: allowed unless the span that ends now holds `limit` allowed requests.
        #[test]
        fn a_window_is_exact(limit in 1_u32..6, gaps in proptest::collection::vec(0_u64..40, 1..200)) {
            let (start, per) = (Instant::now(), 100);
            let mut quota = quota(limit, per);
            let (mut now, mut allowed) = (0_u64, Vec::new());
            for gap in gaps {
                now += gap;
                let recent = allowed.iter().filter(|at| now - **at < per).count();
                let verdict = quota.admit(start + Duration::from_millis(now), Timestamp::from_micros(0));
                prop_assert_eq!(verdict.is_ok(), recent < limit as usize);
                match verdict {
                    Ok(_) => allowed.push(now),
                    Err(denial) => {
                        let oldest = allowed[allowed.len() - limit as usize];
                        prop_assert_eq!(denial.wait, Duration::from_millis(oldest + per - now));
                    }
                }
            }
        }
    }

    #[test]
    fn every_window_must_have_room_and_a_refusal_takes_none() {
        let second = Window { requests: 2, per: Duration::from_secs(1) };
        let ten = Window { requests: 3, per: Duration::from_secs(10) };
        let mut quota = Quota::new(&[second, ten], None, TimeZone::UTC);
        let start = Instant::now();
        let mut at = |millis| quota.admit(start + Duration::from_millis(millis), Timestamp::from_micros(0));
        assert!(at(0).is_ok() && at(1).is_ok());
        assert!(at(2).is_err_and(|denial| denial.policy == Policy::Window(second)));
        assert!(at(1_000).is_ok());
        assert!(at(5_000).is_err_and(|denial| denial.policy == Policy::Window(ten)));
        assert!(at(9_999).is_err() && at(10_000).is_ok() && at(10_000).is_err() && at(10_001).is_ok());
    }

    #[test]
    fn the_day_turns_at_midnight_of_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut quota = Quota::new(&[], Some(1), zone);
        let at = |text: &str| Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        let mut admit = |text| quota.admit(Instant::now(), at(text));
        assert!(admit("2026-11-22T21:00:00Z").is_ok());
        assert!(admit("2026-11-22T21:59:59Z").is_err_and(|denial| denial.wait == Duration::from_secs(1)));
        assert!(admit("2026-11-22T22:00:00Z").is_ok());
        assert!(admit("2026-11-22T23:00:00Z").is_err_and(|denial| denial.policy == Policy::Daily));
    }
}
