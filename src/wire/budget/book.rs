//! The book of one account: what was reserved and what arrived, by the store's clock. Pure, so that every store is the same.

use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Granted, Message, Reply, Return, SharedDay, SharedWindow, Want};
use crate::{
    model::Timestamp,
    wire::{hold::HoldReason, request::Class, store::SavedDay},
};

/// How long after its validity a permit's request may still arrive: a connection may have to be made first. A daemon that
/// died costs its last chunk of permits for so much longer.
pub(in crate::wire) const LATE: Duration = Duration::from_secs(10);
/// A limiter that was not heard of for this long has no requests under way.
pub(in crate::wire) const LIVE: Duration = Duration::from_secs(60);
/// Vendors count in milliseconds; one more keeps two rounded times apart.
const ROUNDING: Duration = Duration::from_millis(1);
/// Arrivals of one limiter within this part of a window count as the latest of them.
const GROUPS: u32 = 32;
/// A wait for permits is for at least this part of a window's limit, if so many are wanted.
const WORTH_ASKING: u32 = 20;
/// A store's clock that is set back by more than this is followed; by less, time stands still for it.
const CLOCK_STEP: Duration = Duration::from_secs(60);

/// What the daemons that share an account have reserved and used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    last_grant: u64,
    latest: i64,
    /// The longest window seen, in microseconds.
    span: i64,
    entries: Vec<Entry>,
    holders: Vec<Holder>,
    day: Option<SavedDay>,
    /// One end for each reason.
    #[serde(default)]
    holds: Vec<(i64, HoldReason)>,
}

/// Permits that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// 0 once they have arrived.
    grant: u64,
    holder: u64,
    scope: Option<Class>,
    weight: u32,
    /// The last moment at which they can arrive, or did.
    by: i64,
}

/// A limiter that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: u64,
    seen: i64,
    /// Requests that it may have under way.
    busy: u32,
    /// What it could have used in the windows of which it got too little lately.
    needs: Vec<Need>,
}

/// What a limiter could have used of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Need {
    class: Option<Class>,
    per: i64,
    weight: u32,
    until: i64,
}

impl Book {
    /// Takes a message in and answers it. `now` is by the clock of the store that keeps the book.
    pub fn exchange(&mut self, now: Timestamp, message: &Message) -> Reply {
        let now = self.advance(now);
        let longest = message.windows.iter().map(|window| micros(window.per)).max().unwrap_or(0);
        self.span = self.span.max(longest);
        let span = self.span;
        self.entries.retain(|entry| entry.weight > 0 && entry.by + span + micros(ROUNDING) > now);
        self.holders.retain(|holder| holder.id == message.holder || holder.seen + micros(LIVE) > now);
        self.holders.iter_mut().for_each(|holder| holder.needs.retain(|need| need.until > now));
        if let Some(daily) = &message.daily {
            self.turn(daily, now);
        }
        message.returns.iter().for_each(|back| self.take_back(now, message, back));
        for (scope, weight, age) in &message.loose {
            self.arrived(message, *scope, *weight, now - micros(*age));
            self.count_day(i64::from(*weight));
        }
        let open = |entry: &&mut Entry| entry.holder == message.holder && message.open.contains(&entry.grant);
        self.entries.iter_mut().filter(open).for_each(|entry| entry.by = entry.by.max(now + micros(LATE)));
        self.hold(now, message);
        let mut reply = Reply { hold: self.held(now), ..Reply::default() };
        reply.share = self.share(now, message);
        if let Some(want) = message.want.filter(|_| reply.hold.is_none()) {
            self.grant(now, message, want, &mut reply);
        }
        reply.others = message.windows.iter().map(|window| self.used(window, now, |id| id != message.holder)).collect();
        reply
    }

    /// The store's clock may be set back a little.
    fn advance(&mut self, now: Timestamp) -> i64 {
        let now = now.as_micros();
        self.latest = if self.latest - now > micros(CLOCK_STEP) { now } else { self.latest.max(now) };
        self.latest
    }

    fn take_back(&mut self, now: i64, message: &Message, back: &Return) {
        let Some(entry) = self.entries.iter_mut().find(|e| e.grant == back.grant && e.holder == message.holder) else {
            return;
        };
        let scope = entry.scope;
        let arrived: u32 = back.arrived.iter().map(|(weight, _)| weight).sum();
        entry.weight = entry.weight.saturating_sub(arrived.saturating_add(back.unused));
        if scope.is_none() {
            self.count_day(-i64::from(back.unused));
        }
        for (weight, age) in &back.arrived {
            self.arrived(message, scope, *weight, now - micros(*age));
        }
    }

    /// Notes requests that have arrived. Those of one part of the window count as arriving at its end.
    fn arrived(&mut self, message: &Message, scope: Option<Class>, weight: u32, by: i64) {
        let holder = message.holder;
        let shortest = message.windows.iter().filter(|window| window.class == scope).map(|window| window.per).min();
        let part = shortest.map_or(1, |per| micros(per / GROUPS).max(1));
        let by = by + (part - by.rem_euclid(part)) % part;
        let same = |e: &&mut Entry| e.grant == 0 && e.holder == holder && e.scope == scope && e.by == by;
        match self.entries.iter_mut().rev().find(same) {
            Some(entry) => entry.weight += weight,
            None => self.entries.push(Entry { grant: 0, holder, scope, weight, by }),
        }
    }

    fn hold(&mut self, now: i64, message: &Message) {
        self.holds.retain(|(until, reason)| *until > now && message.released != Some(*reason));
        for (left, reason) in &message.holds {
            let until = now + micros(*left);
            match self.holds.iter_mut().find(|(_, of)| of == reason) {
                Some((before, _)) => *before = until.max(*before),
                None => self.holds.push((until, *reason)),
            }
        }
    }

    fn held(&self, now: i64) -> Option<(Duration, HoldReason)> {
        let latest = self.holds.iter().max_by_key(|(until, _)| *until);
        latest.map(|(until, reason)| (span(until - now), *reason))
    }

    /// Begins a new count when the date has changed.
    fn turn(&mut self, daily: &SharedDay, now: i64) {
        let Some(date) = date_at(daily, now).map(|date| date.to_string()) else { return };
        if self.day.as_ref().is_none_or(|day| day.date != date) {
            self.day = Some(SavedDay { date, used: 0 });
        }
    }

    fn count_day(&mut self, weight: i64) {
        if let Some(day) = &mut self.day {
            day.used = u32::try_from((i64::from(day.used) + weight).max(0)).unwrap_or(u32::MAX);
        }
    }

    /// How many requests the limiter may have under way, of those that all may have together. Nobody is cut below what it
    /// has under way already, and others get that only when it has ended.
    fn share(&mut self, now: i64, message: &Message) -> Option<u32> {
        let all = message.concurrent.filter(|_| message.want.is_some_and(|want| want.scope.is_none()));
        let share = all.map(|most| {
            let others = self.holders.iter().filter(|holder| holder.id != message.holder);
            let (count, taken) = others.fold((1, 0_u32), |(count, taken), holder| (count + 1, taken + holder.busy));
            (message.busy + message.waiting).min((most / count).max(1)).min(most.saturating_sub(taken))
        });
        let busy = message.busy.max(share.unwrap_or(0));
        match self.holders.iter_mut().find(|holder| holder.id == message.holder) {
            Some(holder) => (holder.seen, holder.busy) = (now, busy),
            None => self.holders.push(Holder { id: message.holder, seen: now, busy, needs: Vec::new() }),
        }
        share
    }

    fn grant(&mut self, now: i64, message: &Message, want: Want, reply: &mut Reply) {
        let mut most = want.up_to.max(want.weight);
        let mut wait = Duration::ZERO;
        if want.scope.is_none() {
            if let (Some(daily), Some(day)) = (&message.daily, &self.day) {
                let left = daily.usable().saturating_sub(day.used);
                if left < want.weight {
                    reply.spent = Some(next_midnight(daily, now));
                    return;
                }
                most = most.min(left);
            }
            if reply.share.is_some_and(|share| share <= message.busy) {
                wait = CONCURRENT_AGAIN;
            }
        }
        for window in message.windows.iter().filter(|window| window.class == want.scope) {
            let all = self.room(window, window.limit, want, now, |_| true);
            let own = self.room(window, self.fair(window, message.holder), want, now, |id| id == message.holder);
            let room = all.and_then(|all| own.map(|own| all.min(own)));
            if room.is_err() || room.is_ok_and(|room| room < want.up_to) {
                self.needs(window, message.holder, want, now);
            }
            match room {
                Ok(room) => most = most.min(room),
                Err(until) => wait = wait.max(until),
            }
        }
        if wait > Duration::ZERO {
            reply.again_in = Some(wait);
            return;
        }
        let weight = most.max(want.weight);
        let valid = validity(message, want.scope);
        self.last_grant += 1;
        let by = now + micros(valid) + micros(LATE);
        self.entries.push(Entry { grant: self.last_grant, holder: message.holder, scope: want.scope, weight, by });
        if want.scope.is_none() {
            self.count_day(i64::from(weight));
        }
        reply.granted = Some(Granted { grant: self.last_grant, weight, valid });
    }

    /// What a limiter may have of a window: all but what others lacked lately, which is at most an equal share each.
    fn fair(&self, window: &SharedWindow, own: u64) -> u32 {
        let others = self.holders.iter().filter(|holder| holder.id != own).flat_map(|holder| &holder.needs);
        let same = |need: &&Need| need.class == window.class && need.per == micros(window.per);
        let needs: Vec<u32> = others.filter(same).map(|need| need.weight).collect();
        let equal = window.limit / u32::try_from(needs.len() + 1).unwrap_or(u32::MAX);
        let kept: u32 = needs.iter().map(|need| need.min(&equal)).sum();
        window.limit.saturating_sub(kept).max(1)
    }

    /// A limiter gets less of a window than it wants: it may need twice of what it has, and what it asked for.
    fn needs(&mut self, window: &SharedWindow, own: u64, want: Want, now: i64) {
        let per = micros(window.per);
        let weight = self.used(window, now, |id| id == own).saturating_mul(2).saturating_add(want.up_to);
        let Some(holder) = self.holders.iter_mut().find(|holder| holder.id == own) else { return };
        holder.needs.retain(|need| need.class != window.class || need.per != per);
        holder.needs.push(Need { class: window.class, per, weight, until: now + 2 * per });
    }

    fn used(&self, window: &SharedWindow, now: i64, of: impl Fn(u64) -> bool) -> u32 {
        self.counted(window, now, of).map(|(_, weight)| weight).sum()
    }

    /// When each entry that counts stops counting, and its weight.
    fn counted(&self, window: &SharedWindow, now: i64, of: impl Fn(u64) -> bool) -> impl Iterator<Item = (i64, u32)> {
        let (scope, per) = (window.class, micros(window.per) + micros(ROUNDING));
        let entries = self.entries.iter().filter(move |entry| entry.scope == scope && of(entry.holder));
        entries.map(move |entry| (entry.by + per, entry.weight)).filter(move |(frees, _)| *frees > now)
    }

    /// How many more fit in, if at least the weight that is wanted does; otherwise when it will.
    fn room(
        &self,
        window: &SharedWindow,
        limit: u32,
        want: Want,
        now: i64,
        of: impl Fn(u64) -> bool,
    ) -> Result<u32, Duration> {
        let mut freeing: Vec<_> = self.counted(window, now, of).collect();
        freeing.sort_unstable();
        let mut used: u32 = freeing.iter().map(|(_, weight)| weight).sum();
        // A request heavier than a limit that the vendor has narrowed meanwhile goes alone.
        let fits = |used: u32, weight: u32| used == 0 || used.saturating_add(weight) <= limit;
        if fits(used, want.weight) {
            return Ok(limit.saturating_sub(used).max(want.weight));
        }
        let worth = want.weight.max(want.up_to.min(limit / WORTH_ASKING));
        let mut frees = now;
        for (at, weight) in freeing {
            (frees, used) = (at, used.saturating_sub(weight));
            if fits(used, worth) {
                break;
            }
        }
        Err(span(frees - now).max(ROUNDING))
    }
}

/// When to ask again for a request more under way.
const CONCURRENT_AGAIN: Duration = Duration::from_millis(200);

/// How long permits may be used: short against the window, so that what lapses costs little.
fn validity(message: &Message, scope: Option<Class>) -> Duration {
    let shortest = message.windows.iter().filter(|window| window.class == scope).map(|window| window.per).min();
    (shortest.unwrap_or(Duration::from_secs(20)) / 10).clamp(Duration::from_millis(100), Duration::from_secs(2))
}

fn date_at(daily: &SharedDay, now: i64) -> Option<Date> {
    let now = jiff::Timestamp::from_microsecond(now).ok()?;
    Some(daily.settings.zone.to_datetime(now).date())
}

fn next_midnight(daily: &SharedDay, now: i64) -> Option<Timestamp> {
    let midnight = date_at(daily, now)?.tomorrow().ok()?.to_zoned(daily.settings.zone.clone()).ok()?;
    Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Zero for a time that is over.
fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
