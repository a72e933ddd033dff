//! A vendor's window: at most so many requests in any span of its length, as the vendor counts them at arrival.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::wire::{limits::Window, request::Class};

/// Vendors count in milliseconds; one more keeps two rounded times apart.
const ROUNDING: Duration = Duration::from_millis(1);

/// How long an entry is remembered after it stopped counting, for answers that were on the way meanwhile.
const GRACE: Duration = Duration::from_secs(1);

/// A request counts later by at most this part of the window because its answer was late: some of that is the vendor's work.
const LATE_PART: u32 = 20;

/// Entries that are kept without looking whether they still count.
const CROWD: usize = 64;

/// Round trips that say how long one usually takes.
const USUAL: usize = 15;

/// A sliding log of the requests sent. Exact: it allows the whole burst and never more than the limit in any window,
/// where a token bucket of the same numbers would admit almost twice as many in the first one.
#[derive(Debug)]
pub(super) struct WindowLog {
    pub(super) class: Option<Class>,
    pub(super) per: Duration,
    configured: u32,
    pub(super) limit: u32,
    entries: VecDeque<Entry>,
    /// The weight of all entries, those included that count no more.
    weight: u32,
    /// Entries at which to look for those that can be forgotten.
    crowd: usize,
    /// The latest round trips, from the first byte out to the end of the answer.
    trips: VecDeque<Duration>,
}

#[derive(Debug, Clone)]
struct Entry {
    id: u64,
    weight: u32,
    /// When the first byte left.
    left: Option<Instant>,
    arrived: Arrival,
}

/// When the vendor counts a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// It has not left yet, or nothing is known of it: it counts as if it arrived now, whenever now is.
    Pending,
    /// At this time at the latest.
    By(Instant),
}

impl WindowLog {
    pub(super) fn new(window: &Window) -> Self {
        let limit = window.requests.get();
        Self {
            class: window.class,
            per: window.per,
            configured: limit,
            limit,
            entries: VecDeque::new(),
            weight: 0,
            crowd: CROWD,
            trips: VecDeque::new(),
        }
    }

    /// How much later than its first byte left a request may arrive.
    fn slack(&self) -> Duration {
        (self.per / 100).clamp(Duration::from_millis(15), Duration::from_millis(100))
    }

    fn frees(&self, by: Instant) -> Instant {
        by + self.per + ROUNDING
    }

    fn counts(&self, entry: &Entry, now: Instant) -> bool {
        match entry.arrived {
            Arrival::Pending => true,
            Arrival::By(at) => self.frees(at) > now,
        }
    }

    /// Requests that count now.
    pub(super) fn used(&self, now: Instant) -> u32 {
        self.entries.iter().filter(|entry| self.counts(entry, now)).map(|entry| entry.weight).sum()
    }

    /// Whether `weight` more fit in. Otherwise when to look again, or `None` when that depends on requests under way.
    pub(super) fn room(&mut self, weight: u32, now: Instant) -> Result<(), Option<Instant>> {
        if self.entries.len() > self.crowd {
            self.forget(now);
        }
        // Below the limit with all that is remembered: nothing needs to be looked at.
        if self.weight.saturating_add(weight) <= self.limit {
            return Ok(());
        }
        self.forget(now);
        let mut used = self.used(now);
        // A request heavier than a limit that the vendor has narrowed meanwhile goes alone.
        if used == 0 || used.saturating_add(weight) <= self.limit {
            return Ok(());
        }
        for (frees, freed) in self.freeing(now) {
            used = used.saturating_sub(freed);
            if used == 0 || used.saturating_add(weight) <= self.limit {
                return Err(Some(frees));
            }
        }
        Err(None)
    }

    /// When which weight stops counting, soonest first.
    fn freeing(&self, now: Instant) -> Vec<(Instant, u32)> {
        let counted = self.entries.iter().filter(|entry| self.counts(entry, now));
        let mut freeing: Vec<_> = counted
            .filter_map(|entry| match entry.arrived {
                Arrival::Pending => None,
                Arrival::By(at) => Some((self.frees(at), entry.weight)),
            })
            .collect();
        freeing.sort_unstable();
        freeing
    }

    fn forget(&mut self, now: Instant) {
        let per = self.per;
        self.entries.retain(|entry| match entry.arrived {
            Arrival::Pending => true,
            Arrival::By(at) => at + per + GRACE > now,
        });
        self.weigh();
        self.crowd = CROWD.max(2 * self.entries.len());
    }

    fn weigh(&mut self) {
        self.weight = self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.weight));
    }

    /// Takes over the requests of a window with other limits.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        self.entries.clone_from(&before.entries);
        self.weight = before.weight;
        self.trips.clone_from(&before.trips);
    }

    /// Counts a request that has not left yet.
    pub(super) fn push(&mut self, id: u64, weight: u32) {
        self.weight = self.weight.saturating_add(weight);
        self.entries.push_back(Entry { id, weight, left: None, arrived: Arrival::Pending });
    }

    /// Counts what others have sent, or this account before.
    pub(super) fn push_arrived(&mut self, weight: u32, by: Instant) {
        self.weight = self.weight.saturating_add(weight);
        self.entries.push_back(Entry { id: 0, weight, left: None, arrived: Arrival::By(by) });
    }

    /// The first byte left at `now`.
    pub(super) fn left(&mut self, id: u64, now: Instant) {
        let by = now + self.slack();
        if let Some(entry) = self.entry(id) {
            entry.left = Some(now);
            entry.arrived = Arrival::By(by);
        }
    }

    /// The answer was there at `now`, or the request was over otherwise: it arrived before. An answer that took longer than
    /// usual may have been late on its way out.
    pub(super) fn answered(&mut self, id: u64, now: Instant) {
        let (slack, usual, most) = (self.slack(), self.usual_trip(), self.per / LATE_PART);
        let Some(entry) = self.entry(id) else { return };
        let Some(left) = entry.left else {
            entry.arrived = Arrival::By(now);
            return;
        };
        let trip = now.saturating_duration_since(left);
        let late = usual.map_or(Duration::ZERO, |usual| trip.saturating_sub(usual).min(most));
        entry.arrived = Arrival::By(now.min(left + slack + late));
        self.trips.push_back(trip);
        if self.trips.len() > USUAL {
            self.trips.pop_front();
        }
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.id == id)
    }

    /// The median of the latest round trips.
    fn usual_trip(&self) -> Option<Duration> {
        let mut trips: Vec<_> = self.trips.iter().copied().collect();
        trips.sort_unstable();
        trips.get(trips.len() / 2).copied()
    }

    /// The request certainly never left.
    pub(super) fn take_back(&mut self, id: u64) {
        self.entries.retain(|entry| entry.id != id);
        self.weigh();
    }

    /// What the vendor says at `now`. Its limit narrows ours, and what it counted beyond our own requests, remembered ones
    /// included, was sent by others; `siblings` of it by processes that share the budget.
    pub(super) fn observe(&mut self, limit: Option<u32>, remaining: Option<u32>, siblings: u32, now: Instant) {
        if let Some(limit) = limit {
            self.limit = limit.clamp(1, self.configured);
        }
        let (Some(limit), Some(remaining)) = (limit, remaining) else { return };
        // Requests that the vendor may have counted when it wrote the answer, which was on its way since.
        let trip = self.trips.iter().max().copied().unwrap_or_default();
        self.forget(now.checked_sub(trip).unwrap_or(now));
        let foreign = limit.saturating_sub(remaining).saturating_sub(self.weight).saturating_sub(siblings);
        if foreign > 0 {
            self.push_arrived(foreign, now);
        }
    }

    /// Joins another limit for the same window.
    pub(super) fn narrow(&mut self, requests: u32) {
        self.configured = self.configured.min(requests);
        self.limit = self.limit.min(requests);
    }

    /// What still counts: arrival at the latest (`now` for requests under way) and weight.
    pub(super) fn counted(&self, now: Instant) -> impl Iterator<Item = (Instant, u32)> {
        self.entries.iter().filter(move |entry| self.counts(entry, now)).map(move |entry| match entry.arrived {
            Arrival::Pending => (now, entry.weight),
            Arrival::By(at) => (at, entry.weight),
        })
    }
}
