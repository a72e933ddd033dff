//! What is saved of a limiter and how it comes back after a restart.

use std::{cmp::Reverse, ops::Range, time::Duration};

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
    let mut groups = Groups { now: now.wall, span: log.per / GROUPS, groups: Vec::new() };
    log.counted(now.tokio).for_each(|(at, weight)| groups.add(now.wall_of(at), weight));
    let coming = ahead.iter().filter(|ahead| log.class.is_none_or(|class| class == ahead.class));
    coming.for_each(|ahead| groups.add(ahead.by, ahead.weight));
    SavedWindow { class: log.class, per: log.per, grants: groups.newest_first() }
}

/// Joins grants of about the same time.
struct Groups {
    now: Timestamp,
    span: Duration,
    groups: Vec<Group>,
}

/// The latest grant of a span, and the weight of all.
struct Group {
    /// The span's times.
    span: Range<i64>,
    latest: i64,
    weight: u32,
}

impl Groups {
    fn add(&mut self, at: Timestamp, weight: u32) {
        let at = at.as_micros();
        // Grants come in about the order of their times, and thousands of them where a window is large.
        match self.groups.iter_mut().rev().find(|group| group.span.contains(&at)) {
            Some(group) => {
                group.latest = group.latest.max(at);
                group.weight = group.weight.saturating_add(weight);
            }
            None => self.groups.push(Group { span: self.span_of(at), latest: at, weight }),
        }
    }

    /// The times so many whole spans before now, or after it.
    fn span_of(&self, at: i64) -> Range<i64> {
        let span = i64::try_from(self.span.as_micros()).unwrap_or(i64::MAX).max(1);
        let now = self.now.as_micros();
        let end = at.saturating_add(now.saturating_sub(at).rem_euclid(span)).saturating_add(1);
        end.saturating_sub(span)..end
    }

    fn newest_first(mut self) -> Vec<(i64, u32)> {
        self.groups.sort_unstable_by_key(|group| Reverse(group.latest));
        self.groups.into_iter().map(|group| (group.latest, group.weight)).collect()
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
