//! Several limiters with one book, under paused time, judged as the vendor would: by arrival.

mod book;
mod quiet;
mod trouble;

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::{BudgetStore, MemoryBudget, Message};
use crate::{
    clock::Clock,
    model::Timestamp,
    shutdown::Shutdown,
    wire::{Class, Daily, FaultKind, Limits, Window, limiter::Limiter, locked},
};

const TEN_SECONDS: Duration = Duration::from_secs(10);
/// 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn window(requests: u32, per: Duration) -> Limits {
    Limits { windows: vec![Window::new(n(requests), per)], ..Limits::default() }
}

fn book(latency: u64) -> Arc<MemoryBudget> {
    Arc::new(MemoryBudget::new(Clock::following_tokio(NOON), ms(latency)))
}

/// A daemon's limiter. Its wall clock is wrong, which must not matter.
fn daemon(limits: &Limits, budget: &Arc<MemoryBudget>) -> Arc<Limiter> {
    let clock = Clock::following_tokio(NOON + Duration::from_secs(5_000));
    let limiter = Arc::new(Limiter::new(limits, n(1), clock, Shutdown::new()));
    limiter.share(budget.clone(), "vendor:1");
    limiter
}

type Arrivals = Arc<Mutex<Vec<Instant>>>;

/// One request: time until its first byte leaves, travel, time until the answer.
async fn send(limiter: &Arc<Limiter>, times: [u64; 3], arrivals: &Arrivals) -> Result<(), FaultKind> {
    let mut ticket = limiter.acquire(Class::Write, n(1)).await.map_err(|fault| fault.kind)?;
    let grant = ticket.handed();
    sleep(ms(times[0])).await;
    grant.leaves();
    sleep(ms(times[1])).await;
    locked(arrivals).push(Instant::now());
    sleep(ms(times[2])).await;
    Ok(())
}

/// Workers of one daemon, each sending without end.
fn backlog(limiter: &Arc<Limiter>, workers: usize, arrivals: &Arrivals) -> Vec<tokio::task::JoinHandle<()>> {
    let worker = |_| {
        let (limiter, arrivals) = (limiter.clone(), arrivals.clone());
        tokio::spawn(async move {
            loop {
                send(&limiter, [0, 20, 30], &arrivals).await.unwrap();
            }
        })
    };
    (0..workers).map(worker).collect()
}

/// The most requests that arrived within any span shorter than `per`.
fn fullest(all: &[&Arrivals], per: Duration) -> usize {
    let mut arrivals: Vec<Instant> = all.iter().flat_map(|arrivals| locked(arrivals).clone()).collect();
    arrivals.sort_unstable();
    let within = |first: &Instant| arrivals.iter().filter(|at| *at >= first && **at < *first + per).count();
    arrivals.iter().map(within).max().unwrap_or(0)
}

fn count(arrivals: &Arrivals) -> usize {
    locked(arrivals).len()
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

#[tokio::test(start_paused = true)]
async fn two_busy_daemons_share_the_limit_fairly_and_use_it() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    let (from_a, from_b) = (Arrivals::default(), Arrivals::default());
    let mut workers = backlog(&a, 8, &from_a);
    // The second one begins when the first has the whole window.
    sleep(TEN_SECONDS * 3).await;
    workers.extend(backlog(&b, 2, &from_b));
    sleep(TEN_SECONDS * 3).await;
    let (before_a, before_b, exchanges) = (count(&from_a), count(&from_b), budget.exchanges.load(Ordering::Relaxed));
    sleep(TEN_SECONDS * 10).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    let (made_a, made_b) = (count(&from_a) - before_a, count(&from_b) - before_b);
    let exchanges = budget.exchanges.load(Ordering::Relaxed) - exchanges;
    println!("in 100 s: {made_a} and {made_b} of 1,000 requests, {exchanges} transactions");
    assert!(fullest(&[&from_a, &from_b], TEN_SECONDS) <= 100);
    assert!(made_a + made_b >= 930, "{made_a} + {made_b} of 1,000 were used");
    assert!(made_b * 5 >= made_a * 3, "{made_a} and {made_b} are not fair");
    assert!(exchanges < 1_000, "{exchanges} transactions for 1,000 requests");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_alone_has_the_whole_limit() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    let (from_a, from_b) = (Arrivals::default(), Arrivals::default());
    send(&b, [0, 0, 0], &from_b).await.unwrap();
    let start = Instant::now();
    let workers = backlog(&a, 16, &from_a);
    while count(&from_a) < 99 {
        sleep(ms(10)).await;
    }
    assert!(start.elapsed() < Duration::from_secs(2), "the burst is used at once, took {:?}", start.elapsed());
    sleep(TEN_SECONDS * 10).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    let exchanges = budget.exchanges.load(Ordering::Relaxed);
    println!("in 100 s: {} of 1,000 requests, {exchanges} transactions", count(&from_a));
    // The windows of a burst are as far apart as its last arrival and the slack make them.
    assert!(count(&from_a) >= 990, "{} were used", count(&from_a));
    assert!(fullest(&[&from_a, &from_b], TEN_SECONDS) <= 100);
}

/// As a slow caller has it: one request after the other.
#[tokio::test(start_paused = true)]
async fn few_requests_cost_few_transactions() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, arrivals) = (daemon(&limits, &budget), Arrivals::default());
    for _ in 0..100 {
        send(&a, [0, 20, 80], &arrivals).await.unwrap();
    }
    let exchanges = budget.exchanges.load(Ordering::Relaxed);
    assert!(exchanges < 40, "{exchanges} transactions for 100 requests");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_dies_costs_its_permits_only_for_a_while() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let message = Message {
        holder: 7,
        windows: vec![super::SharedWindow { class: None, per: TEN_SECONDS, limit: 100 }],
        want: Some(super::Want { scope: None, weight: 1, up_to: 60 }),
        ..Message::default()
    };
    let granted = budget.exchange("vendor:1", &message).await.unwrap().granted.unwrap();
    assert_eq!(granted.weight, 60);
    // It dies with all of them unused.
    let start = Instant::now();
    let (a, arrivals) = (daemon(&limits, &budget), Arrivals::default());
    for _ in 0..40 {
        send(&a, [0, 0, 0], &arrivals).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    for _ in 0..100 {
        send(&a, [0, 0, 0], &arrivals).await.unwrap();
    }
    // Validity (1 s), the time that a request may still be on its way (10 s), and the window.
    assert!(start.elapsed() < Duration::from_secs(22), "took {:?}", start.elapsed());
    assert!(
        start.elapsed() > Duration::from_secs(20),
        "permits that may have been used count, took {:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_daemon_gives_its_permits_back() {
    let (budget, limits) = (book(3), window(10, TEN_SECONDS));
    let (a, b, arrivals) = (daemon(&limits, &budget), daemon(&limits, &budget), Arrivals::default());
    // Five waiters reserve; all but one give up.
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn({
                let a = a.clone();
                async move { drop(a.acquire(Class::Write, n(1)).await) }
            })
        })
        .collect();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    sleep(ms(500)).await;
    let start = Instant::now();
    for _ in 0..10 {
        send(&b, [0, 0, 0], &arrivals).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_day_and_its_reserve_are_shared() {
    let daily = Daily { requests: n(20), zone: jiff::tz::TimeZone::UTC, reserve_percent: 50 };
    let limits = Limits { daily: Some(daily), ..Limits::default() };
    let (budget, arrivals) = (book(3), Arrivals::default());
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    for limiter in [&a, &b, &a, &b, &a, &b, &a, &b] {
        send(limiter, [0, 0, 0], &arrivals).await.unwrap();
        // Unused permits come back.
        sleep(ms(500)).await;
    }
    send(&a, [0, 0, 0], &arrivals).await.unwrap();
    sleep(ms(500)).await;
    send(&b, [0, 0, 0], &arrivals).await.unwrap();
    sleep(ms(500)).await;
    // By the store's clock, not by the daemons'.
    let until = NOON + Duration::from_secs(12 * 3600);
    assert_eq!(send(&b, [0, 0, 0], &arrivals).await, Err(FaultKind::QuotaSpent { until: Some(until) }));
    assert_eq!(count(&arrivals), 10);
    sleep(Duration::from_secs(12 * 3600)).await;
    send(&b, [0, 0, 0], &arrivals).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_split() {
    let limits = Limits { concurrent: Some(n(6)), ..Limits::default() };
    let budget = book(3);
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    let under_way = Arc::new(Mutex::new((0_u32, 0_u32)));
    let mut workers = Vec::new();
    for limiter in [&a, &b] {
        for _ in 0..6 {
            let (limiter, under_way) = (limiter.clone(), under_way.clone());
            workers.push(tokio::spawn(async move {
                for _ in 0..20 {
                    let mut ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
                    ticket.handed().leaves();
                    {
                        let mut count = locked(&under_way);
                        count.0 += 1;
                        count.1 = count.1.max(count.0);
                    }
                    sleep(ms(300)).await;
                    locked(&under_way).0 -= 1;
                }
            }));
        }
        sleep(ms(1_000)).await;
    }
    let start = Instant::now();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(locked(&under_way).1 <= 6, "{} at once", locked(&under_way).1);
    // 240 requests of 0.3 s, six at a time, take 12 s.
    assert!(start.elapsed() < Duration::from_secs(40), "took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_loses_no_permits() {
    let (budget, limits) = (book(100), window(5, TEN_SECONDS));
    let (a, arrivals) = (daemon(&limits, &budget), Arrivals::default());
    for _ in 0..3 {
        assert!(timeout(ms(30), a.acquire(Class::Write, n(1))).await.is_err());
    }
    sleep(ms(200)).await;
    let start = Instant::now();
    for _ in 0..5 {
        send(&a, [0, 0, 0], &arrivals).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

/// Mostly no time, sometimes up to `most` milliseconds.
fn rarely(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![9 => Just(0), 1 => 0..most]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the delays of requests and of the book, and whoever dies when: never more than the limit in a window.
    #[test]
    fn a_shared_window_is_never_exceeded(
        daemons in prop::collection::vec(
            (prop::collection::vec(
                prop::collection::vec((rarely(3_000), rarely(6_000), 0u64..=100, rarely(2_000)), 1..30), 1..5),
             prop::option::weighted(0.3, 0u64..30_000)), 2..4),
        limit in 1u32..20,
        short in prop::option::of(1u32..8),
        latency in 0u64..200,
    ) {
        let (most, most_short) = paused(async {
            let budget = book(latency);
            let mut limits = window(limit, TEN_SECONDS);
            limits.windows.extend(short.map(|limit| Window::new(n(limit), Duration::from_secs(1))));
            let arrivals = Arrivals::default();
            let mut workers = Vec::new();
            for (traces, dies) in daemons {
                let limiter = daemon(&limits, &budget);
                for trace in traces {
                    let (limiter, arrivals) = (limiter.clone(), arrivals.clone());
                    let work = async move {
                        for (before, leaving, travel, answering) in trace {
                            sleep(ms(before)).await;
                            send(&limiter, [leaving, travel, answering], &arrivals).await.unwrap();
                        }
                    };
                    workers.push(tokio::spawn(async move {
                        match dies {
                            Some(at) => drop(timeout(ms(at), work).await),
                            None => work.await,
                        }
                    }));
                }
            }
            for worker in workers {
                worker.await.unwrap();
            }
            (fullest(&[&arrivals], TEN_SECONDS), fullest(&[&arrivals], Duration::from_secs(1)))
        });
        prop_assert!(most <= limit as usize, "{most} arrived within a window of {limit}");
        prop_assert!(short.is_none_or(|short| most_short <= short as usize), "{most_short} of {short:?} within 1 s");
    }
}
