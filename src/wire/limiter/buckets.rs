//! All limits of an account together.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    model::Timestamp,
    wire::{
        account::Observed,
        budget::SharedWindow,
        limits::{Limits, Window},
        request::Class,
        stats::WindowUse,
    },
};

use super::{daily::Day, pool::Shared, smooth::Smooth, window::WindowLog};

pub(super) struct Buckets {
    pub(super) windows: Vec<WindowLog>,
    pub(super) smooth: Vec<Smooth>,
    pub(super) day: Option<Day>,
    concurrent: Option<u32>,
    pub(super) under_way: u32,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// This time.
    Until(Instant),
    /// Another request's end, or news from the vendor.
    ForChange,
    /// Permits of the shared budget.
    ForPermits,
    /// The next day, if it is known when that begins.
    NextDay(Option<Timestamp>),
    /// It can never leave.
    Never,
}

impl Wait {
    /// Returns when the time has come; never for what has no time.
    pub(super) async fn over(self) {
        match self {
            Self::Until(at) => sleep_until(at).await,
            Self::ForChange | Self::ForPermits | Self::NextDay(_) | Self::Never => std::future::pending().await,
        }
    }
}

impl Buckets {
    pub(super) fn new(limits: &Limits, heaviest: NonZeroU32) -> Self {
        let mut buckets = Self { windows: Vec::new(), smooth: Vec::new(), day: None, concurrent: None, under_way: 0 };
        buckets.narrow(limits, heaviest);
        buckets
    }

    /// Buckets of other limits in which all that was sent still counts. A smooth rate begins with an empty bucket.
    pub(super) fn successor(&self, limits: &Limits, heaviest: NonZeroU32) -> Self {
        let mut next = Self { under_way: self.under_way, ..Self::new(limits, heaviest) };
        for log in &mut next.windows {
            let of_class = self.windows.iter().filter(|before| before.class == log.class);
            let smooth = self.smooth.iter().filter(|before| before.class == log.class);
            match (of_class.max_by_key(|before| before.per), smooth.max_by_key(|before| before.per)) {
                (Some(before), _) => log.go_on_from(before),
                // A smooth rate keeps no log: it counts as used up with its last request.
                (None, Some(before)) => {
                    before.last().into_iter().for_each(|at| log.push_arrived(before.requests.get(), at));
                }
                (None, None) => {}
            }
        }
        next.smooth.iter_mut().for_each(Smooth::drain);
        if let (Some(day), Some(before)) = (&mut next.day, &self.day) {
            day.go_on_from(before);
        }
        next
    }

    /// Whether this class has limits of its own.
    pub(super) fn limits(&self, class: Class) -> bool {
        let windows = self.windows.iter().map(|window| window.class);
        windows.chain(self.smooth.iter().map(|smooth| smooth.class)).any(|own| own == Some(class))
    }

    /// Whether a request may leave now. `smooth_passed` counts the smooth buckets that it has passed already: what they
    /// let through cannot be given back.
    pub(super) fn room(
        &mut self,
        scope: Option<Class>,
        weight: NonZeroU32,
        smooth_passed: &mut usize,
        wall: Timestamp,
    ) -> Result<(), Wait> {
        if scope.is_none() {
            self.room_for_all(weight, wall)?;
        }
        let now = Instant::now();
        for window in self.windows.iter_mut().filter(|window| window.class == scope) {
            window.room(weight.get(), now).map_err(|at| at.map_or(Wait::ForChange, Wait::Until))?;
        }
        for smooth in self.smooth.iter_mut().filter(|smooth| smooth.class == scope).skip(*smooth_passed) {
            smooth.take(weight).map_err(|at| at.map_or(Wait::Never, Wait::Until))?;
            *smooth_passed += 1;
        }
        Ok(())
    }

    fn room_for_all(&mut self, weight: NonZeroU32, wall: Timestamp) -> Result<(), Wait> {
        if self.concurrent.is_some_and(|most| self.under_way >= most) {
            return Err(Wait::ForChange);
        }
        match &mut self.day {
            Some(day) => day.room(weight.get(), wall).map_err(Wait::NextDay),
            None => Ok(()),
        }
    }

    pub(super) fn grant(&mut self, scope: Option<Class>, id: u64, weight: NonZeroU32, wall: Timestamp) {
        for window in self.windows.iter_mut().filter(|window| window.class == scope) {
            window.push(id, weight.get());
        }
        if scope.is_none() {
            self.under_way += 1;
            if let Some(day) = &mut self.day {
                day.count(weight.get(), wall);
            }
        }
    }

    pub(super) fn left(&mut self, id: u64) {
        let now = Instant::now();
        self.windows.iter_mut().for_each(|window| window.left(id, now));
    }

    pub(super) fn arrived(&mut self, id: u64) {
        let now = Instant::now();
        self.windows.iter_mut().for_each(|window| window.answered(id, now));
    }

    /// Undoes a grant whose request certainly never left. `counted`: whether it had passed all buckets.
    pub(super) fn take_back(&mut self, id: u64, weight: NonZeroU32, counted: bool) {
        self.windows.iter_mut().for_each(|window| window.take_back(id));
        if let (true, Some(day)) = (counted, &mut self.day) {
            day.take_back(weight.get());
        }
    }

    /// What the book that several processes share must keep.
    pub(super) fn shared(&self) -> Shared {
        let windows = self.windows.iter().map(|log| SharedWindow { class: log.class, per: log.per, limit: log.limit });
        let smooth = self.smooth.iter().map(|smooth| SharedWindow {
            class: smooth.class,
            per: smooth.per,
            limit: smooth.requests.get(),
        });
        Shared {
            windows: windows.chain(smooth).collect(),
            daily: self.day.as_ref().map(Day::shared),
            concurrent: self.concurrent,
        }
    }

    /// `others` tells what other processes of ours count in a window.
    pub(super) fn observe(
        &mut self,
        observed: &Observed,
        wall: Timestamp,
        others: impl Fn(Option<Class>, Duration) -> u32,
    ) {
        let now = Instant::now();
        for seen in &observed.windows {
            if let Some(log) = self.windows.iter_mut().find(|log| log.class.is_none() && log.per == seen.per) {
                log.observe(seen.limit, seen.remaining, others(None, seen.per), now);
            }
            let smooth = self.smooth.iter_mut().find(|smooth| smooth.class.is_none() && smooth.per == seen.per);
            if let (Some(smooth), Some(limit)) = (smooth, seen.limit.and_then(NonZeroU32::new)) {
                smooth.narrow(limit);
            }
        }
        if let Some(day) = &mut self.day {
            day.observe(observed.daily_limit, observed.daily_remaining, self.under_way, wall);
        }
    }

    pub(super) fn narrow(&mut self, limits: &Limits, heaviest: NonZeroU32) {
        for window in &limits.windows {
            self.narrow_window(window, heaviest);
        }
        self.concurrent = [self.concurrent, limits.concurrent.map(NonZeroU32::get)].into_iter().flatten().min();
        match (&mut self.day, &limits.daily) {
            (Some(day), Some(daily)) => day.narrow(daily.clone()),
            (day @ None, Some(daily)) => *day = Some(Day::new(daily.clone())),
            (_, None) => {}
        }
    }

    fn narrow_window(&mut self, window: &Window, heaviest: NonZeroU32) {
        let same = |class: Option<Class>, per| class == window.class && per == window.per;
        if window.smooth {
            match self.smooth.iter_mut().find(|own| same(own.class, own.per)) {
                Some(own) => own.narrow(window.requests),
                None => self.smooth.push(Smooth::new(window, heaviest)),
            }
        } else {
            match self.windows.iter_mut().find(|own| same(own.class, own.per)) {
                Some(own) => own.narrow(window.requests.get()),
                None => self.windows.push(WindowLog::new(window)),
            }
        }
    }

    pub(super) fn usage(&mut self, wall: Timestamp) -> (Vec<WindowUse>, Option<(u32, u32)>) {
        let now = Instant::now();
        let windows = self.windows.iter().map(|log| WindowUse {
            class: log.class,
            per: log.per,
            used: log.used(now),
            limit: log.limit,
        });
        (windows.collect(), self.day.as_mut().map(|day| day.usage(wall)))
    }
}
