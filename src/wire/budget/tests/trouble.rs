//! Holds, and a book that cannot be reached.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;

use super::*;
use crate::wire::{HoldReason, HoldState, StoreError, budget::Reply, limiter::OutageNews};

#[tokio::test(start_paused = true)]
async fn a_hold_is_for_all() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, b, arrivals) = (daemon(&limits, &budget), daemon(&limits, &budget), Arrivals::default());
    a.hold.hold_for(Duration::from_secs(600), HoldReason::RetryAfter);
    a.tell_hold(Duration::from_secs(600), HoldReason::RetryAfter);
    sleep(ms(100)).await;
    let held = send(&b, [0, 0, 0], &arrivals).await;
    assert!(
        matches!(held, Err(FaultKind::Held(HoldState::Until { reason: HoldReason::RetryAfter, .. }))),
        "got {held:?}"
    );
    sleep(Duration::from_secs(600)).await;
    send(&b, [0, 0, 0], &arrivals).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_outage_leaves_the_other_holds() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, b, arrivals) = (daemon(&limits, &budget), daemon(&limits, &budget), Arrivals::default());
    let mut ticket = a.acquire(Class::Write, n(1)).await.unwrap();
    ticket.handed().leaves();
    // Shorter than the outage's hold, and so not the one that counts at first.
    a.hold.hold_for(Duration::from_secs(20), HoldReason::RetryAfter);
    a.tell_hold(Duration::from_secs(20), HoldReason::RetryAfter);
    for _ in 0..3 {
        ticket.ended(true);
    }
    assert!(matches!(a.hold_state(), HoldState::Until { reason: HoldReason::Outage, .. }));
    sleep(ms(100)).await;
    assert_eq!(ticket.ended(false), Some(OutageNews::Over));
    drop(ticket);
    let start = Instant::now();
    sleep(ms(100)).await;
    assert!(matches!(a.hold_state(), HoldState::Until { reason: HoldReason::RetryAfter, .. }));
    for limiter in [&b, &a] {
        send(limiter, [0, 0, 0], &arrivals).await.unwrap();
        assert!(start.elapsed() > Duration::from_secs(19), "sent after {:?}", start.elapsed());
    }
    assert!(start.elapsed() < Duration::from_secs(21), "took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_and_its_end_are_for_all() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, b, c) = (daemon(&limits, &budget), daemon(&limits, &budget), daemon(&limits, &budget));
    let ticket = a.acquire(Class::Write, n(1)).await.unwrap();
    for _ in 0..3 {
        ticket.ended(true);
    }
    sleep(ms(100)).await;
    assert!(timeout(ms(500), b.acquire(Class::Write, n(1))).await.is_err());
    assert!(matches!(b.hold_state(), HoldState::Until { reason: HoldReason::Outage, .. }));
    assert_eq!(ticket.ended(false), Some(OutageNews::Over));
    sleep(ms(100)).await;
    assert!(timeout(ms(500), c.acquire(Class::Write, n(1))).await.is_ok());
}

struct Broken;

#[async_trait]
impl BudgetStore for Broken {
    async fn exchange(&self, _account: &str, _message: &Message) -> Result<Reply, StoreError> {
        Err("gone".into())
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_book_nothing_is_sent() {
    let limiter = Arc::new(Limiter::new(&window(5, TEN_SECONDS), n(1), Clock::following_tokio(NOON), Shutdown::new()));
    limiter.share(Arc::new(Broken), "vendor:1");
    assert_eq!(send(&limiter, [0, 0, 0], &Arrivals::default()).await, Err(FaultKind::Budget));
}

#[tokio::test(start_paused = true)]
async fn requests_that_last_long_still_count_as_under_way() {
    let limits = Limits { concurrent: Some(n(2)), ..Limits::default() };
    let budget = book(3);
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    let start = Instant::now();
    let mut long = Vec::new();
    for _ in 0..2 {
        let mut ticket = a.acquire(Class::Write, n(1)).await.unwrap();
        ticket.handed().leaves();
        long.push(ticket);
    }
    let other = tokio::spawn(async move {
        drop(b.acquire(Class::Write, n(1)).await.unwrap());
        Instant::now()
    });
    sleep(Duration::from_secs(300)).await;
    drop(long);
    let began = other.await.unwrap() - start;
    assert!(began > Duration::from_secs(300), "began after {began:?}");
    assert!(began < Duration::from_secs(302), "began after {began:?}");
    // Nobody asks without end.
    sleep(Duration::from_secs(60)).await;
    let exchanges = budget.exchanges.load(Ordering::Relaxed);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(budget.exchanges.load(Ordering::Relaxed), exchanges);
}

/// Fails until it is mended.
struct Failing {
    book: Arc<MemoryBudget>,
    mended: AtomicBool,
}

#[async_trait]
impl BudgetStore for Failing {
    async fn exchange(&self, account: &str, message: &Message) -> Result<Reply, StoreError> {
        if self.mended.load(Ordering::Relaxed) {
            self.book.exchange(account, message).await
        } else {
            Err("gone".into())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_did_not_land_is_told_again() {
    let (budget, limits) = (book(3), window(1, TEN_SECONDS));
    let failing = Arc::new(Failing { book: budget.clone(), mended: AtomicBool::new(false) });
    let clock = Clock::following_tokio(NOON);
    let a = Arc::new(Limiter::new(&limits, n(1), clock, Shutdown::new()));
    let arrivals = Arrivals::default();
    // Before the account is known, without a permit.
    send(&a, [0, 0, 0], &arrivals).await.unwrap();
    a.share(failing.clone(), "vendor:1");
    a.tell_loose(&a.save(&[]));
    for (seconds, reason) in [(6, HoldReason::RetryAfter), (600, HoldReason::Outage)] {
        a.tell_hold(Duration::from_secs(seconds), reason);
    }
    a.tell_release(HoldReason::Outage);
    sleep(Duration::from_secs(3)).await;
    assert!(locked(&arrivals).len() == 1 && budget.exchanges.load(Ordering::Relaxed) == 0);
    failing.mended.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(budget.exchanges.load(Ordering::Relaxed), 1, "it landed, once");
    let b = daemon(&limits, &budget);
    let start = Instant::now();
    send(&b, [0, 0, 0], &arrivals).await.unwrap();
    // The hold would end after 1 s; the request that was made without a permit counts for 10 s, 5 of which are over.
    assert!(start.elapsed() > Duration::from_millis(4_900), "sent after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(6), "sent after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_did_not_land_holds_the_others_later() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let failing = Arc::new(Failing { book: budget.clone(), mended: AtomicBool::new(false) });
    let a = Arc::new(Limiter::new(&limits, n(1), Clock::following_tokio(NOON), Shutdown::new()));
    a.share(failing.clone(), "vendor:1");
    a.tell_hold(Duration::from_secs(600), HoldReason::RetryAfter);
    sleep(Duration::from_secs(10)).await;
    failing.mended.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    let held = send(&daemon(&limits, &budget), [0, 0, 0], &Arrivals::default()).await;
    assert!(matches!(held, Err(FaultKind::Held(HoldState::Until { reason: HoldReason::RetryAfter, .. }))), "{held:?}");
}
