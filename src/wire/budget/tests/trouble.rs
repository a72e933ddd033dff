//! Holds, and a book that cannot be reached.

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
