//! Permits that this process has reserved in the account's shared book, and what is still to be told of them.

use std::time::Duration;

use tokio::time::Instant;

use crate::wire::{
    budget::{Message, Reply, Return, SharedDay, SharedWindow, Want},
    hold::HoldReason,
    request::Class,
};

/// Chunks are at most this part of the smallest limit, unless more requests wait.
const CHUNK: u32 = 8;
/// Shortest time between two questions that only news of arrivals cause.
const GAP: Duration = Duration::from_millis(50);

/// An answer that takes longer than this is late.
const SLOW: Duration = Duration::from_secs(2);

/// The permits of one process.
#[derive(Debug, Default)]
pub(super) struct Pool {
    chunks: Vec<Chunk>,
    out: Vec<Out>,
    /// Permits of chunks that are gone, given back unused.
    unused: Vec<(u64, u32)>,
    loose: Vec<(Option<Class>, u32, Instant)>,
    scopes: [Scope; 4],
    last: Option<Instant>,
    holds: Vec<(Instant, HoldReason)>,
    released: Option<HoldReason>,
    others: Vec<(SharedWindow, u32)>,
    /// Requests that may be under way, where all processes together have a limit.
    share: u32,
    slack: Duration,
}

/// Permits of one grant.
#[derive(Debug)]
struct Chunk {
    grant: u64,
    scope: Option<Class>,
    size: u32,
    left: u32,
    until: Instant,
}

/// Permits that a request has taken.
#[derive(Debug)]
struct Out {
    ticket: u64,
    grant: u64,
    weight: u32,
    /// When it arrived at the latest, once that is known.
    by: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Scope {
    /// Permits to ask for: doubled while chunks are used up, cut to what was used when one lapses.
    ask: u32,
    /// When to ask again after there were too few.
    again: Option<Instant>,
}

const fn index(scope: Option<Class>) -> usize {
    match scope {
        None => 0,
        Some(Class::Read) => 1,
        Some(Class::Write) => 2,
        Some(Class::Search) => 3,
    }
}

/// The limits of the account that the book keeps.
pub(super) struct Shared {
    pub(super) windows: Vec<SharedWindow>,
    pub(super) daily: Option<SharedDay>,
    pub(super) concurrent: Option<u32>,
}

impl Shared {
    /// Whether requests need permits of this scope.
    pub(super) fn limits(&self, scope: Option<Class>) -> bool {
        let all = scope.is_none() && (self.daily.is_some() || self.concurrent.is_some());
        all || self.windows.iter().any(|window| window.class == scope)
    }
}

impl Pool {
    /// Takes permits for a request; false when there are too few.
    pub(super) fn take(&mut self, scope: Option<Class>, weight: u32, ticket: u64) -> bool {
        let now = Instant::now();
        let fits = |chunk: &&mut Chunk| chunk.scope == scope && chunk.left >= weight && chunk.until > now;
        let Some(chunk) = self.chunks.iter_mut().find(fits) else { return false };
        chunk.left -= weight;
        self.out.push(Out { ticket, grant: chunk.grant, weight, by: None });
        true
    }

    /// Whether the book counts a share of the requests under way for this process.
    pub(super) fn has_share(&self) -> bool {
        self.share > 0
    }

    /// Whether another request may be under way.
    pub(super) fn may_begin(&self, under_way: u32) -> bool {
        under_way < self.share
    }

    /// The request's first byte left now.
    pub(super) fn left(&mut self, ticket: u64) {
        self.arrived_by(ticket, Instant::now() + self.slack);
    }

    /// The request's answer is there, or it is over otherwise.
    pub(super) fn arrived(&mut self, ticket: u64) {
        self.arrived_by(ticket, Instant::now());
    }

    fn arrived_by(&mut self, ticket: u64, by: Instant) {
        for out in self.out.iter_mut().filter(|out| out.ticket == ticket) {
            out.by = Some(out.by.map_or(by, |before| before.min(by)));
        }
    }

    /// The request certainly never left.
    pub(super) fn take_back(&mut self, ticket: u64) {
        let (back, out) = std::mem::take(&mut self.out).into_iter().partition::<Vec<_>, _>(|out| out.ticket == ticket);
        self.out = out;
        for Out { grant, weight, .. } in back {
            match self.chunks.iter_mut().find(|chunk| chunk.grant == grant) {
                Some(chunk) => chunk.left += weight,
                None => self.unused.push((grant, weight)),
            }
        }
    }

    /// Notes a request that was made without a permit.
    pub(super) fn loose(&mut self, scope: Option<Class>, weight: u32, at: Instant) {
        self.loose.push((scope, weight, at));
    }

    /// A hold that began here, to be told.
    pub(super) fn hold(&mut self, until: Instant, reason: HoldReason) {
        match self.holds.iter_mut().find(|(_, of)| *of == reason) {
            Some((before, _)) => *before = until.max(*before),
            None => self.holds.push((until, reason)),
        }
    }

    /// A hold that ended here, to be told.
    pub(super) fn released(&mut self, reason: HoldReason) {
        self.holds.retain(|(_, of)| *of != reason);
        self.released = Some(reason);
    }

    /// Takes back what a message told that did not land, to tell it again. Should it have landed after all, requests
    /// count twice for a while. What it told of permits only makes them count for less long.
    pub(super) fn restore(&mut self, message: &Message, asked: Instant) {
        let released = self.released;
        for (left, reason) in message.holds.iter().filter(|(_, reason)| released != Some(*reason)) {
            self.hold(asked + *left, *reason);
        }
        self.released = released.or(message.released);
        let at = |age: Duration| asked.checked_sub(age).unwrap_or(asked);
        self.loose.extend(message.loose.iter().map(|(scope, weight, age)| (*scope, *weight, at(*age))));
    }

    /// Whether there is anything that must not wait for the next permits.
    pub(super) fn untold(&self) -> bool {
        !self.holds.is_empty() || self.released.is_some() || !self.loose.is_empty()
    }

    /// When to ask for permits, after there were too few; `None`: now.
    pub(super) fn wait(&self, scope: Option<Class>) -> Option<Instant> {
        let again = self.scopes.get(index(scope)).and_then(|scope| scope.again)?;
        // What has arrived counts until a known time, what is under way for much longer: it is worth telling.
        let news = self.out.iter().filter_map(|out| out.by).min();
        let news = news.map(|at| self.last.map_or(at, |last| at.max(last + GAP)));
        Some(news.map_or(again, |news| news.min(again))).filter(|next| *next > Instant::now())
    }

    /// Whether there is anything that the book should be told when nothing is sent any more.
    pub(super) fn has_news(&self) -> bool {
        let told = self.share > 0 || !self.out.is_empty() || !self.unused.is_empty();
        told || self.chunks.iter().any(|chunk| chunk.left > 0)
    }

    /// What to tell and ask. `waiting`: the weight of the requests that wait; none gives all permits back.
    pub(super) fn message(
        &mut self,
        shared: Shared,
        under_way: u32,
        waiting: u32,
        want: Option<(Option<Class>, u32)>,
    ) -> Message {
        let now = Instant::now();
        let idle = under_way == 0 && waiting == 0 && want.is_none();
        if idle {
            self.share = 0;
        }
        // Others pass while a question is under way, unless it is that of the one whose turn it is.
        let asks_for_all = want.is_some_and(|(scope, _)| scope.is_none());
        let busy = if asks_for_all { under_way } else { under_way.max(self.share) };
        let slack =
            |window: &SharedWindow| (window.per / 100).clamp(Duration::from_millis(15), Duration::from_millis(100));
        self.slack = shared.windows.iter().map(slack).max().unwrap_or(Duration::from_millis(100));
        self.retire(&shared, now, idle);
        let age = |at: Instant| now.saturating_duration_since(at);
        let mut returns: Vec<Return> = Vec::new();
        let mut back = |grant: u64, unused: u32, arrived: Option<(u32, Duration)>| match returns
            .iter_mut()
            .find(|back| back.grant == grant)
        {
            Some(known) => {
                known.unused += unused;
                known.arrived.extend(arrived);
            }
            None => returns.push(Return { grant, unused, arrived: arrived.into_iter().collect() }),
        };
        self.unused.drain(..).for_each(|(grant, weight)| back(grant, weight, None));
        // An arrival that is still to come counts as under way.
        self.out.retain(|out| match out.by.filter(|by| *by <= now) {
            Some(by) => {
                back(out.grant, 0, Some((out.weight, age(by))));
                false
            }
            None => true,
        });
        Message {
            holder: 0,
            want: want.map(|(scope, weight)| Want {
                scope,
                weight,
                up_to: self.wanted(&shared, scope, weight, waiting),
            }),
            windows: shared.windows,
            daily: shared.daily,
            concurrent: shared.concurrent,
            busy,
            waiting,
            returns,
            open: self.out.iter().map(|out| out.grant).collect(),
            loose: self.loose.drain(..).map(|(scope, weight, at)| (scope, weight, age(at))).collect(),
            holds: self.holds.drain(..).map(|(until, reason)| (until.saturating_duration_since(now), reason)).collect(),
            released: self.released.take(),
        }
    }

    /// Drops chunks that are used up, over, or not needed any more, and learns how many permits to ask for.
    fn retire(&mut self, shared: &Shared, now: Instant, all: bool) {
        for chunk in std::mem::take(&mut self.chunks) {
            if chunk.left > 0 && chunk.until > now && !all {
                self.chunks.push(chunk);
                continue;
            }
            let most = cap(shared, chunk.scope);
            if let Some(scope) = self.scopes.get_mut(index(chunk.scope)) {
                let used = chunk.size - chunk.left.min(chunk.size);
                scope.ask = if chunk.left == 0 { chunk.size.saturating_mul(2).min(most) } else { used.max(1) };
            }
            if chunk.left > 0 {
                self.unused.push((chunk.grant, chunk.left));
            }
        }
    }

    fn wanted(&self, shared: &Shared, scope: Option<Class>, weight: u32, waiting: u32) -> u32 {
        let ask = self.scopes.get(index(scope)).map_or(1, |scope| scope.ask);
        // Without a window, only a count of the day, a request more or less reserved does no harm.
        weight.max(waiting).max(ask.min(cap(shared, scope)))
    }

    /// Takes the answer in. `asked`: when the question was asked; `want`: what for.
    pub(super) fn take_in(
        &mut self,
        reply: &Reply,
        asked: Instant,
        windows: &[SharedWindow],
        want: Option<Option<Class>>,
    ) {
        let now = Instant::now();
        self.last = Some(now);
        self.others = windows.iter().copied().zip(reply.others.iter().copied()).collect();
        self.share = reply.share.unwrap_or(self.share);
        let Some(scope) = want else { return };
        if let Some(own) = self.scopes.get_mut(index(scope)) {
            own.again = reply.again_in.map(|wait| now + wait);
        }
        if let Some(granted) = reply.granted {
            let (grant, size) = (granted.grant, granted.weight);
            // The book counts them for much longer than they are valid, so that a slow answer does not void them.
            let from = if now < asked + SLOW { now } else { asked };
            self.chunks.push(Chunk { grant, scope, size, left: size, until: from + granted.valid });
        }
    }

    /// What other processes counted in a window when they were last heard of.
    pub(super) fn others(&self, class: Option<Class>, per: Duration) -> u32 {
        let same = |(window, _): &&(SharedWindow, u32)| window.class == class && window.per == per;
        self.others.iter().find(same).map_or(0, |(_, used)| *used)
    }
}

fn cap(shared: &Shared, scope: Option<Class>) -> u32 {
    let smallest = shared.windows.iter().filter(|window| window.class == scope).map(|window| window.limit).min();
    smallest.map_or(CHUNK, |limit| limit / CHUNK).max(1)
}
