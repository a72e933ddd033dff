//! The alarm of a sync that has not closed well for too long: what does not happen is logged too.

use std::time::Duration;

use crate::{
    model::Timestamp,
    telemetry::{event, events},
};

/// Whether a sync is overdue, and when that was said last.
#[derive(Debug)]
pub(super) struct Alarm {
    /// Since when this process watches: the beginning for a sync that the state does not know.
    watched_since: Timestamp,
    rung: Option<Timestamp>,
}

impl Alarm {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { watched_since: now, rung: None }
    }

    /// Logs when the last good close, or else the registration, is longer ago than `max_age`: once, and again after each
    /// further `max_age`. Logs the end of it too.
    pub(super) fn look(&mut self, sync: &str, max_age: Duration, since: Option<Timestamp>, now: Timestamp) {
        let since = since.unwrap_or(self.watched_since);
        let age = now.since(since);
        if age <= max_age {
            if self.rung.take().is_some() {
                event!(events::SYNC_RECOVERED, sync, since = %since);
            }
        } else if self.rung.is_none_or(|rung| now.since(rung) >= max_age) {
            self.rung = Some(now);
            event!(
                events::SYNC_OVERDUE,
                sync,
                since = %since,
                age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
                max_age_ms = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX)
            );
        }
    }

    #[cfg(test)]
    pub(super) fn rung(&self) -> Option<Timestamp> {
        self.rung
    }
}
