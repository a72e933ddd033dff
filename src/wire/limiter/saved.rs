//! What is saved of a limiter and how it comes back after a restart.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    model::Timestamp,
    wire::{
        locked,
        request::Class,
        store::{SavedGrants, SavedWindow},
    },
};

use super::{Limiter, buckets::Buckets, smooth::Smooth, window::WindowLog};

/// Requests that are about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// What they count as.
    pub class: Class,
    /// How many requests they count as.
    pub weight: u32,
    /// When at the latest.
    pub by: Timestamp,
}

/// Grants of one window are saved in about this many groups, each as of its latest: it is saved with every batch.
const GROUPS: u32 = 32;

impl Limiter {
    /// What counts now, and `ahead` as if it were sent at its latest time.
    pub(in crate::wire) fn save(&self, ahead: &[Ahead]) -> SavedGrants {
        let now = Now { tokio: Instant::now(), wall: self.clock.now() };
        let mut state = locked(&self.state);
        let Buckets { windows, smooth, day, .. } = &mut state.buckets;
        let mut saved: Vec<_> = windows.iter().map(|log| save_window(log, ahead, now)).collect();
        saved.extend(smooth.iter().filter_map(|smooth| {
            let grants = vec![(now.wall_of(smooth.last()?).as_micros(), smooth.requests.get())];
            Some(SavedWindow { class: smooth.class, per: smooth.per, grants })
        }));
        let total = ahead.iter().map(|ahead| ahead.weight).sum();
        SavedGrants { windows: saved, day: day.as_mut().and_then(|day| day.save(total, now.wall)) }
    }

    /// Takes saved grants over. What was to be sent later than now was sent by now or never will be.
    pub(in crate::wire) fn seed(&self, saved: &SavedGrants) {
        let now = Now { tokio: Instant::now(), wall: self.clock.now() };
        self.change(|state| {
            let Buckets { windows, smooth, day, .. } = &mut state.buckets;
            for window in &saved.windows {
                for log in windows.iter_mut().filter(|log| log.class == window.class && log.per == window.per) {
                    seed_window(log, window, now);
                }
                let recent = window.grants.iter().any(|(at, _)| now.age(*at) < window.per);
                let same = |smooth: &&mut Smooth| smooth.class == window.class && smooth.per == window.per;
                smooth.iter_mut().filter(same).filter(|_| recent).for_each(Smooth::drain);
            }
            if let (Some(day), Some(saved)) = (day, &saved.day) {
                day.seed(saved, now.wall);
            }
        });
    }
}

/// The same moment on both clocks.
#[derive(Clone, Copy)]
struct Now {
    tokio: Instant,
    wall: Timestamp,
}

impl Now {
    fn wall_of(self, at: Instant) -> Timestamp {
        self.wall + at.saturating_duration_since(self.tokio) - self.tokio.saturating_duration_since(at)
    }

    /// How long ago a saved time is; zero for one in the future.
    fn age(self, micros: i64) -> Duration {
        self.wall.since(Timestamp::from_micros(micros))
    }
}

fn save_window(log: &WindowLog, ahead: &[Ahead], now: Now) -> SavedWindow {
    let mut groups = Groups { now: now.wall, span: log.per / GROUPS, of_age: BTreeMap::new() };
    log.counted(now.tokio).for_each(|(at, weight)| groups.add(now.wall_of(at), weight));
    let coming = ahead.iter().filter(|ahead| log.class.is_none_or(|class| class == ahead.class));
    coming.for_each(|ahead| groups.add(ahead.by, ahead.weight));
    SavedWindow { class: log.class, per: log.per, grants: groups.newest_first() }
}

/// Joins grants of about the same time.
struct Groups {
    now: Timestamp,
    span: Duration,
    /// By how many spans they lie in the past or in the future: the latest, and the weight of all.
    of_age: BTreeMap<(u128, u128), (Timestamp, u32)>,
}

impl Groups {
    fn add(&mut self, at: Timestamp, weight: u32) {
        let spans = |time: Duration| time.as_nanos() / self.span.as_nanos().max(1);
        let (latest, sum) =
            self.of_age.entry((spans(self.now.since(at)), spans(at.since(self.now)))).or_insert((at, 0));
        *latest = at.max(*latest);
        *sum = sum.saturating_add(weight);
    }

    fn newest_first(self) -> Vec<(i64, u32)> {
        let mut groups: Vec<_> = self.of_age.into_values().map(|(at, weight)| (at.as_micros(), weight)).collect();
        groups.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        groups
    }
}

fn seed_window(log: &mut WindowLog, saved: &SavedWindow, now: Now) {
    for (at, weight) in &saved.grants {
        let age = now.age(*at);
        if age < log.per {
            log.push_arrived(*weight, now.tokio.checked_sub(age).unwrap_or(now.tokio));
        }
    }
}
