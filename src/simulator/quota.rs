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
