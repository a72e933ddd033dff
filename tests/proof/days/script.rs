//! What happens in a simulated day, and when.

use std::{ops::Range, time::Duration};

use super::{model::LATE_MODEL, runs::Run};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// `minutes` minutes.
pub(super) const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * MINUTE)
}

/// What one account has to bear.
#[derive(Debug, Clone)]
pub(super) struct AccountScript {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// Requests per time.
    pub(super) window: Option<(u32, Duration)>,
    pub(super) concurrent: Option<u32>,
    pub(super) daily: Option<u32>,
    pub(super) oauth: bool,
    /// Share of the requests that go wrong, in per cent.
    pub(super) faulty: u8,
    /// The vendor is down.
    pub(super) outage: Option<Range<Duration>>,
    /// In the first half of the outage there are no connections; else there are answers 503.
    pub(super) refuses: bool,
    /// Requests for this object are refused with 503 and a long Retry-After.
    pub(super) sick: Option<(&'static str, Range<Duration>)>,
}

/// What one sync does.
#[derive(Debug, Clone)]
pub(super) struct SyncScript {
    pub(super) name: String,
    pub(super) account: usize,
    pub(super) model: String,
    pub(super) when: When,
}

impl SyncScript {
    /// Whether it has run since its model changed last. What runs once a night has one chance in a day, which a read that
    /// breaks takes.
    pub(super) fn converges(&self, script: &Script, runs: &[Run]) -> bool {
        let last = runs.iter().rfind(|run| run.sync == self.name);
        self.model != LATE_MODEL || script.start == START && last.is_none_or(|run| run.outcome != "failed")
    }
}

/// When a sync runs.
#[derive(Debug, Clone)]
pub(super) enum When {
    Every(Duration),
    Cron(&'static str, &'static str),
    After(Vec<String>),
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) accounts: Vec<AccountScript>,
    pub(super) syncs: Vec<SyncScript>,
    /// The clock is set ahead by so many seconds from this time on.
    pub(super) jumps: Vec<(Duration, i64)>,
    /// The token endpoint is in trouble.
    pub(super) token_trouble: Range<Duration>,
    /// The token endpoint takes the client's secret no more, until an operator gives a new one at the end.
    pub(super) token_refused: Range<Duration>,
    /// Faults and changes end; then everything has to converge.
    pub(super) calm_from: Duration,
    pub(super) end: Duration,
    /// The wall clock's time of the beginning, in seconds.
    pub(super) start: i64,
}

/// 2026-11-01T02:00:00Z: New York's clocks are set back four hours later, and the UTC day ends 22 hours later.
const START: i64 = 1_793_498_400;

/// The time that an answer may be applied late is over so long after a request began.
pub(super) const LATE: Duration = Duration::from_secs(115);

fn account(name: &'static str, port: u16) -> AccountScript {
    let (window, concurrent, daily, outage, sick) = (None, None, None, None, None);
    AccountScript { name, port, window, concurrent, daily, oauth: false, faulty: 3, outage, refuses: true, sick }
}

impl Script {
    /// A day of `hours` hours (24 has everything) with at most `syncs` of its 20 syncs.
    pub(super) fn day(hours: u64, syncs: usize) -> Self {
        assert!((4..=24).contains(&hours), "a day has from 4 to 24 hours here");
        // The script of 24 hours, shortened in proportion, except for its last hour.
        let at = |quarter: u64| Duration::from_secs(quarter * (hours - 1) * HOUR / 92);
        let ten = Duration::from_secs(10);
        // Spent some hours before midnight, which is two hours before the end; a short day never spends it.
        let daily = u32::try_from(if hours < 12 { 100 * hours } else { 12 * hours }).unwrap();
        let accounts = vec![
            AccountScript {
                window: Some((20, ten)),
                concurrent: Some(4),
                outage: Some(at(48)..at(72)),
                ..account("outage", 9001)
            },
            AccountScript { daily: Some(daily), oauth: true, ..account("quota", 9002) },
            AccountScript { window: Some((10, ten)), concurrent: Some(2), faulty: 15, ..account("faulty", 9003) },
            AccountScript {
                concurrent: Some(1),
                faulty: 0,
                sick: Some(("d1", at(8)..at(24))),
                ..account("narrow", 9004)
            },
        ];
        Self {
            accounts,
            syncs: day_syncs().into_iter().take(syncs).collect(),
            jumps: vec![(at(14), 3600), (at(22), 0), (at(30), -3600), (at(38), 0)],
            token_trouble: at(10)..at(12),
            token_refused: at(24)..at(28),
            calm_from: Duration::from_secs((hours - 1) * HOUR) - minutes(5),
            end: Duration::from_secs(hours * HOUR) + minutes(4),
            start: START + (24 - hours as i64) * HOUR as i64,
        }
    }

    /// Six hours without an answer from the one account, with syncs of every minute.
    pub(super) fn outage() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * HOUR);
        let outage = AccountScript {
            window: Some((20, Duration::from_secs(10))),
            concurrent: Some(4),
            faulty: 0,
            outage: Some(hours(1)..hours(7)),
            ..account("outage", 9001)
        };
        let sync = |index: usize| sync(&format!("a{index}"), 0, &format!("m{index}"), When::Every(minutes(1)));
        Self {
            accounts: vec![outage],
            syncs: (1..=3).map(sync).collect(),
            jumps: Vec::new(),
            token_trouble: Duration::ZERO..Duration::ZERO,
            token_refused: Duration::ZERO..Duration::ZERO,
            // What is sent first may be of a plan as old as `max_plan_age`.
            calm_from: hours(7) - minutes(70),
            end: hours(7) + minutes(30),
            start: START,
        }
    }

    /// Ten minutes in which everything fails, with syncs of every minute.
    pub(super) fn amplification() -> Self {
        let script = Self::outage();
        let outage = minutes(60)..minutes(70);
        // All of it says 503.
        let accounts =
            script.accounts.into_iter().map(|account| AccountScript { outage: Some(outage.clone()), ..account });
        let accounts = accounts.map(|account| AccountScript { refuses: false, ..account }).collect();
        Self { accounts, calm_from: minutes(80), end: minutes(110), ..script }
    }

    /// How far ahead the clock is at a time, in seconds.
    pub(super) fn ahead(&self, at: Duration) -> i64 {
        self.jumps.iter().take_while(|(from, _)| *from <= at).last().map_or(0, |(_, ahead)| *ahead)
    }

    /// The wall clock's time, in microseconds.
    pub(super) fn wall(&self, at: Duration) -> i64 {
        (self.start + self.ahead(at)) * 1_000_000 + i64::try_from(at.as_micros()).unwrap()
    }

    /// Whether the clock is set forward soon: late windows are measured by it, so nothing is applied late then.
    pub(super) fn jumps_soon(&self, at: Duration) -> bool {
        self.jumps.iter().any(|(jump, _)| *jump > at && *jump - at < minutes(5))
    }
}

fn sync(name: &str, account: usize, model: &str, when: When) -> SyncScript {
    SyncScript { name: name.to_owned(), account, model: model.to_owned(), when }
}

/// In an order of which each beginning makes sense.
fn day_syncs() -> Vec<SyncScript> {
    let every = |time: u64| When::Every(minutes(time));
    let after = |names: &[&str]| When::After(names.iter().map(|name| (*name).to_owned()).collect());
    vec![
        // Often enough to come into its own late windows.
        sync("c1", 2, "m1", every(2)),
        sync("a1", 0, "m2", every(5)),
        sync("b1", 1, "m3", every(10)),
        sync("c2", 2, "m4", every(15)),
        sync("d1", 3, "m5", every(4)),
        sync("d2", 3, "m6", every(5)),
        sync("b2", 1, "m7", When::Cron("*/20 * * * *", "Europe/Berlin")),
        sync("a2", 0, "m2", every(5)),
        sync("a3", 0, "m8", after(&["a1", "c1"])),
        sync("n1", 3, "m9", When::Cron("30 1 * * *", "America/New_York")),
        sync("c3", 2, "m1", every(10)),
        sync("c4", 2, "m10", When::Cron("0 * * * *", "America/New_York")),
        sync("b3", 1, "m11", every(15)),
        sync("b4", 1, "m12", every(20)),
        sync("a4", 0, "m13", every(15)),
        sync("a5", 0, "m14", every(20)),
        sync("b5", 1, "m3", after(&["b1"])),
        sync("c5", 2, "m15", every(20)),
        sync("a6", 0, "m16", When::Cron("7,27,47 * * * *", "Asia/Kolkata")),
        sync("a7", 0, "m17", every(15)),
    ]
}
