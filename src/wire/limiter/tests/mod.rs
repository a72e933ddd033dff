//! The limiter under paused time, judged as the vendor would: by arrival.

mod parts;
mod pool;
mod saved;
mod waits;

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    clock::Clock,
    model::Timestamp,
    shutdown::Shutdown,
    wire::{
        Ahead, Class, Daily, FaultKind, HoldReason, HoldState, Limits, ObservedWindow, SavedGrants, Sent, Window,
        account::Observed, locked,
    },
};

use super::Limiter;

const TEN_SECONDS: Duration = Duration::from_secs(10);
/// 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn window(requests: u32, per: Duration) -> Limits {
    Limits { windows: vec![Window::new(n(requests), per)], ..Limits::default() }
}

fn limiter(limits: &Limits) -> Arc<Limiter> {
    limits.validate(n(1)).unwrap();
    Arc::new(Limiter::new(limits, n(1), Clock::following_tokio(NOON), Shutdown::new()))
}

/// Sends one request that arrives as it leaves.
async fn send(limiter: &Arc<Limiter>) {
    send_as(limiter, Class::Write, 1).await.unwrap();
}

async fn send_as(limiter: &Arc<Limiter>, class: Class, weight: u32) -> Result<Instant, FaultKind> {
    let mut ticket = limiter.acquire(class, n(weight)).await.map_err(|fault| {
        assert_eq!(fault.sent, Sent::No);
        fault.kind
    })?;
    ticket.handed().leaves();
    Ok(Instant::now())
}

/// The most requests that arrived within any span shorter than `per`.
fn fullest(arrivals: &mut [Instant], per: Duration) -> usize {
    arrivals.sort_unstable();
    let within = |first: &Instant| arrivals.iter().filter(|at| *at >= first && **at < *first + per).count();
    arrivals.iter().map(within).max().unwrap_or(0)
}

/// One worker's requests: wait before, time until the first byte leaves, travel, time until the answer; with a body?
type Trace = Vec<(u64, u64, u64, u64, bool)>;

async fn work(limiter: Arc<Limiter>, trace: Trace, arrivals: Arc<Mutex<Vec<Instant>>>) {
    let ms = Duration::from_millis;
    for (before, leaving, travel, answering, body) in trace {
        sleep(ms(before)).await;
        let mut ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
        let grant = ticket.handed();
        sleep(ms(leaving)).await;
        if body {
            grant.leaves();
        }
        sleep(ms(travel)).await;
        locked(&arrivals).push(Instant::now());
        sleep(ms(answering)).await;
        drop(ticket);
    }
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// Mostly no time, sometimes up to `most` milliseconds.
fn rarely(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![9 => Just(0), 1 => 0..most]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the delays before, within (up to the slack) and after a request: never more than the limit in a window.
    #[test]
    fn a_window_is_never_exceeded(
        traces in prop::collection::vec(
            prop::collection::vec((rarely(3_000), rarely(6_000), 0u64..=100, rarely(2_000), any::<bool>()), 1..60), 1..8),
        limit in 1u32..20,
    ) {
        let most = paused(async {
            let limiter = limiter(&window(limit, TEN_SECONDS));
            let arrivals = Arc::new(Mutex::new(Vec::new()));
            let workers = traces.into_iter().map(|trace| tokio::spawn(work(limiter.clone(), trace, arrivals.clone())));
            for worker in workers.collect::<Vec<_>>() {
                worker.await.unwrap();
            }
            fullest(&mut locked(&arrivals), TEN_SECONDS)
        });
        prop_assert!(most <= limit as usize, "{most} arrived within a window of {limit}");
    }

    /// The same for a smooth rate, whose requests leave when granted.
    #[test]
    fn a_smooth_rate_never_exceeds_its_window(limit in 1u32..50, pauses in prop::collection::vec(rarely(1_500), 1..200)) {
        let most = paused(async {
            let mut limits = window(limit, Duration::from_secs(1));
            limits.windows[0].smooth = true;
            let (limiter, mut arrivals) = (limiter(&limits), Vec::new());
            for pause in pauses {
                sleep(Duration::from_millis(pause)).await;
                arrivals.push(send_as(&limiter, Class::Write, 1).await.unwrap());
            }
            fullest(&mut arrivals, Duration::from_secs(1))
        });
        prop_assert!(most <= limit as usize, "{most} arrived within a window of {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_uses_the_burst_and_nearly_the_whole_limit() {
    let limiter = limiter(&window(100, TEN_SECONDS));
    let start = Instant::now();
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    // Two syncs with four workers each share the account.
    let trace = vec![(0, 0, 20, 30, true); 150];
    let workers: Vec<_> =
        (0..8).map(|_| tokio::spawn(work(limiter.clone(), trace.clone(), arrivals.clone()))).collect();
    sleep(Duration::from_secs(60)).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    let mut arrivals = locked(&arrivals);
    let within = |time| arrivals.iter().filter(|at| **at - start < time).count();
    assert_eq!(within(Duration::from_secs(2)), 100, "the burst goes out at once");
    assert!(within(Duration::from_secs(60)) >= 582, "97 % of 600, got {}", within(Duration::from_secs(60)));
    assert!(fullest(&mut arrivals, TEN_SECONDS) <= 100);
}

#[tokio::test(start_paused = true)]
async fn a_slow_way_to_the_vendor_does_not_exceed_the_window() {
    let limiter = limiter(&window(1, TEN_SECONDS));
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let (slow, fast) = ((0, 0, 100, 0, true), (0, 0, 0, 0, true));
    work(limiter, vec![slow, fast], arrivals.clone()).await;
    assert_eq!(fullest(&mut locked(&arrivals), TEN_SECONDS), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_late_on_its_way_counts_later() {
    let limiter = limiter(&window(8, TEN_SECONDS));
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    // Far beyond the slack, as from a host that is overloaded for a moment.
    let (usual, late) = ((0, 0, 20, 30, true), (0, 0, 400, 30, true));
    let trace = [vec![usual; 7], vec![late], vec![usual; 8]].concat();
    work(limiter, trace, arrivals.clone()).await;
    assert_eq!(fullest(&mut locked(&arrivals), TEN_SECONDS), 8);
}

#[tokio::test(start_paused = true)]
async fn requests_are_served_in_order_of_arrival() {
    let limiter = limiter(&window(1, TEN_SECONDS));
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..6 {
        let (limiter, served) = (limiter.clone(), served.clone());
        let class = if number < 3 { Class::Write } else { Class::Read };
        waiting.push(tokio::spawn(async move {
            send_as(&limiter, class, 1).await.unwrap();
            locked(&served).push(number);
        }));
        tokio::task::yield_now().await;
    }
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*locked(&served), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_waiter_or_an_unsent_grant_uses_nothing_up() {
    let limiter = limiter(&window(2, TEN_SECONDS));
    let granted = limiter.acquire(Class::Write, n(1)).await.unwrap();
    send(&limiter).await;
    assert!(timeout(Duration::from_secs(1), limiter.acquire(Class::Write, n(1))).await.is_err());
    drop(granted);
    assert!(timeout(Duration::from_millis(1), limiter.acquire(Class::Write, n(1))).await.is_ok());
    let mut unsent = limiter.acquire(Class::Write, n(1)).await.unwrap();
    let _ = unsent.handed();
    unsent.unsent();
    drop(unsent);
    assert_eq!(limiter.usage().0[0].used, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_handed_over_and_dropped_still_counts() {
    let limiter = limiter(&window(1, TEN_SECONDS));
    let mut ticket = limiter.acquire(Class::Read, n(1)).await.unwrap();
    let _ = ticket.handed();
    drop(ticket);
    let start = Instant::now();
    send(&limiter).await;
    assert!(start.elapsed() >= TEN_SECONDS);
}

#[tokio::test(start_paused = true)]
async fn weights_count_and_one_above_the_limit_is_a_settings_error() {
    assert!(window(10, TEN_SECONDS).validate(n(11)).is_err());
    let limiter = limiter(&window(10, TEN_SECONDS));
    send_as(&limiter, Class::Write, 7).await.unwrap();
    let start = Instant::now();
    send_as(&limiter, Class::Write, 3).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    send_as(&limiter, Class::Write, 1).await.unwrap();
    assert!(start.elapsed() >= TEN_SECONDS);

    let mut smooth = window(10, TEN_SECONDS);
    smooth.windows[0].smooth = true;
    let limiter = Arc::new(Limiter::new(&smooth, n(1), Clock::following_tokio(NOON), Shutdown::new()));
    assert_eq!(send_as(&limiter, Class::Write, 5).await, Err(FaultKind::Settings));
}

#[tokio::test(start_paused = true)]
async fn a_class_has_its_own_window_and_does_not_stop_the_others() {
    let search = Window { class: Some(Class::Search), ..Window::new(n(1), Duration::from_secs(1)) };
    let limiter = limiter(&Limits { windows: vec![search, Window::new(n(100), TEN_SECONDS)], ..Limits::default() });
    send_as(&limiter, Class::Search, 1).await.unwrap();
    let (start, second) = (Instant::now(), limiter.clone());
    let second = tokio::spawn(async move { send_as(&second, Class::Search, 1).await });
    tokio::task::yield_now().await;
    send(&limiter).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "a write does not wait for a search");
    assert!(second.await.unwrap().unwrap() - start >= Duration::from_secs(1));
    assert_eq!(limiter.usage().0[1].used, 3, "searches count among all requests too");
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_limited() {
    let limiter = limiter(&Limits { concurrent: Some(n(2)), ..Limits::default() });
    let first = limiter.acquire(Class::Write, n(1)).await.unwrap();
    let _second = limiter.acquire(Class::Write, n(1)).await.unwrap();
    let third = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(Class::Write, n(1)).await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    drop(first);
    assert!(third.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_seen_by_all_and_can_end_early() {
    let limiter = limiter(&Limits::default());
    limiter.hold.hold_for(Duration::from_secs(60), HoldReason::RetryAfter);
    limiter.hold.hold_for(Duration::from_secs(5), HoldReason::RetryAfter);
    let start = Instant::now();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { send(&limiter).await })
        })
        .collect();
    sleep(Duration::from_secs(30)).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "a shorter hold does not shorten a longer one");
    assert!(limiter.hold.release_timed(HoldReason::RetryAfter));
    limiter.wake();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn long_and_shut_holds_are_faults() {
    let limiter = limiter(&Limits::default());
    limiter.hold.hold_for(Duration::from_secs(3600), HoldReason::RetryAfter);
    let held = HoldState::Until { at: NOON + Duration::from_secs(3600), reason: HoldReason::RetryAfter };
    assert_eq!(send_as(&limiter, Class::Write, 1).await, Err(FaultKind::Held(held)));
    limiter.hold.shut(HoldReason::Credentials);
    limiter.hold.hold_for(Duration::from_secs(1), HoldReason::RetryAfter);
    let shut = FaultKind::Held(HoldState::Shut(HoldReason::Credentials));
    assert_eq!(send_as(&limiter, Class::Write, 1).await, Err(shut));
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_waiting() {
    let shutdown = Shutdown::new();
    let limits = window(1, TEN_SECONDS);
    let limiter = Arc::new(Limiter::new(&limits, n(1), Clock::following_tokio(NOON), shutdown.clone()));
    send(&limiter).await;
    let waiter = tokio::spawn({
        let limiter = limiter.clone();
        async move { send_as(&limiter, Class::Write, 1).await }
    });
    tokio::task::yield_now().await;
    shutdown.cancel();
    assert_eq!(waiter.await.unwrap(), Err(FaultKind::Stopped));
}

#[tokio::test(start_paused = true)]
async fn an_outage_lets_one_probe_through_at_a_time() {
    let limiter = limiter(&Limits::default());
    for _ in 0..3 {
        let ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
        let _ = ticket.ended(true);
    }
    let start = Instant::now();
    let probe = limiter.acquire(Class::Write, n(1)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert!(timeout(Duration::from_secs(20), limiter.acquire(Class::Write, n(1))).await.is_err(), "one at a time");
    let _ = probe.ended(true);
    drop(probe);
    let probe = limiter.acquire(Class::Write, n(1)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(80), "the next probe 30 s after the first one's end");
    let _ = probe.ended(false);
    assert!(timeout(Duration::from_millis(1), limiter.acquire(Class::Write, n(1))).await.is_ok());
}

fn daily(requests: u32, reserve_percent: u8) -> Limits {
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    Limits { daily: Some(Daily { requests: n(requests), zone, reserve_percent }), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn a_spent_day_ends_at_midnight_in_its_zone() {
    let limiter = limiter(&daily(10, 20));
    for _ in 0..8 {
        send(&limiter).await;
    }
    let midnight = NOON + Duration::from_secs(17 * 3600); // 05:00 UTC
    let spent = FaultKind::QuotaSpent { until: Some(midnight) };
    assert_eq!(send_as(&limiter, Class::Write, 1).await, Err(spent));
    sleep(Duration::from_secs(17 * 3600)).await;
    send(&limiter).await;
    assert_eq!(limiter.usage().1, Some((1, 8)));
}

#[tokio::test(start_paused = true)]
async fn headers_correct_the_day_and_narrow_the_window() {
    let mut limits = daily(1_000, 10);
    limits.windows.push(Window::new(n(100), TEN_SECONDS));
    let limiter = limiter(&limits);
    send(&limiter).await;
    let seen = ObservedWindow { per: TEN_SECONDS, limit: Some(50), remaining: Some(30) };
    limiter.observe(&Observed { windows: vec![seen], daily_limit: Some(500), daily_remaining: Some(100) });
    let (windows, day) = limiter.usage();
    assert_eq!((windows[0].used, windows[0].limit), (20, 50), "19 requests are of others");
    assert_eq!(day, Some((400, 450)));
    limiter.observe(&Observed { windows: vec![ObservedWindow { limit: Some(900), ..seen }], ..Observed::default() });
    assert_eq!(limiter.usage().0[0].limit, 100, "never above what is configured");
}

#[tokio::test(start_paused = true)]
async fn a_restart_neither_bursts_nor_stalls() {
    let mut limits = daily(1_000, 0);
    limits.windows.push(Window::new(n(100), TEN_SECONDS));
    let before = limiter(&limits);
    for _ in 0..60 {
        send(&before).await;
    }
    sleep(Duration::from_secs(4)).await;
    let ahead = Ahead { class: Class::Write, weight: 10, by: NOON + Duration::from_secs(300) };
    let saved = before.save(&[ahead]);
    let text = serde_json::to_string(&saved).unwrap();

    let clock = Clock::following_tokio(NOON + Duration::from_secs(4));
    let after = Arc::new(Limiter::new(&limits, n(1), clock, Shutdown::new()));
    after.seed(&serde_json::from_str::<SavedGrants>(&text).unwrap());
    assert_eq!(after.usage().0[0].used, 70);
    assert_eq!(after.usage().1, Some((70, 1_000)));
    let start = Instant::now();
    for _ in 0..30 {
        send(&after).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    send(&after).await;
    assert!(start.elapsed() >= Duration::from_secs(6), "the 60 of before still counted");
    assert!(start.elapsed() < Duration::from_millis(6_500), "got {:?}", start.elapsed());
}
