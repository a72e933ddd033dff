//! The day's requests, counted from midnight to midnight in the account's time zone.

use jiff::civil::Date;

use crate::{
    model::Timestamp,
    wire::{
        budget::SharedDay,
        limits::{Daily, usable},
        store::SavedDay,
    },
};

/// The count of one day.
#[derive(Debug)]
pub(super) struct Day {
    settings: Daily,
    /// The limit before the reserve, as configured or as the vendor says if that is less.
    limit: u32,
    date: Option<Date>,
    used: u32,
}

impl Day {
    pub(super) fn new(settings: Daily) -> Self {
        Self { limit: settings.requests.get(), settings, date: None, used: 0 }
    }

    /// Begins a new count when the date has changed.
    fn turn(&mut self, now: Timestamp) {
        let date = self.date_at(now);
        if date != self.date {
            self.date = date;
            self.used = 0;
        }
    }

    fn date_at(&self, now: Timestamp) -> Option<Date> {
        let now = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
        Some(self.settings.zone.to_datetime(now).date())
    }

    /// Requests counted today and those allowed.
    pub(super) fn usage(&mut self, now: Timestamp) -> (u32, u32) {
        self.turn(now);
        (self.used, usable(self.limit, self.settings.reserve_percent))
    }

    /// Whether `weight` more are allowed today. Otherwise when the next day begins.
    pub(super) fn room(&mut self, weight: u32, now: Timestamp) -> Result<(), Option<Timestamp>> {
        let (used, allowed) = self.usage(now);
        if used.saturating_add(weight) <= allowed { Ok(()) } else { Err(self.next_midnight()) }
    }

    pub(super) fn count(&mut self, weight: u32, now: Timestamp) {
        self.turn(now);
        self.used = self.used.saturating_add(weight);
    }

    pub(super) fn take_back(&mut self, weight: u32) {
        self.used = self.used.saturating_sub(weight);
    }

    fn next_midnight(&self) -> Option<Timestamp> {
        let midnight = self.date?.tomorrow().ok()?.to_zoned(self.settings.zone.clone()).ok()?;
        Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
    }

    /// What the vendor says. Its count is better than ours, since others may share the account; `under_way` requests may be
    /// missing in it.
    pub(super) fn observe(&mut self, limit: Option<u32>, remaining: Option<u32>, under_way: u32, now: Timestamp) {
        self.turn(now);
        if let Some(limit) = limit {
            self.limit = limit.min(self.settings.requests.get());
        }
        let total = limit.unwrap_or(self.settings.requests.get());
        if let Some(remaining) = remaining {
            self.used = total.saturating_sub(remaining).saturating_add(under_way);
        }
    }

    /// The limit, for the book that several processes share.
    pub(super) fn shared(&self) -> SharedDay {
        SharedDay { settings: self.settings.clone(), limit: self.limit }
    }

    /// Joins another daily limit of the same account.
    pub(super) fn narrow(&mut self, other: Daily) {
        if other.usable() < self.settings.usable() {
            self.limit = self.limit.min(other.requests.get());
            self.settings = other;
        }
    }

    /// Takes over the count and when the day begins.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        self.settings.zone = before.settings.zone.clone();
        (self.date, self.used) = (before.date, before.used);
    }

    pub(super) fn save(&mut self, ahead: u32, now: Timestamp) -> Option<SavedDay> {
        self.turn(now);
        Some(SavedDay { date: self.date?.to_string(), used: self.used.saturating_add(ahead) })
    }

    /// Takes over a saved count if it is of today.
    pub(super) fn seed(&mut self, saved: &SavedDay, now: Timestamp) {
        self.turn(now);
        if self.date.is_some_and(|date| date.to_string() == saved.date) {
            self.used = self.used.saturating_add(saved.used);
        }
    }
}
