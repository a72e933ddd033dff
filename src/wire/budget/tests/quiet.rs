//! What a limiter tells the book when nobody waits any more.

use super::*;

/// A request that nothing tells the leaving of; answered at once.
async fn send_without_body(limiter: &Arc<Limiter>) -> Instant {
    let mut ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
    let _ = ticket.handed();
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_body_counts_from_its_answer() {
    let (budget, limits) = (book(3), window(1, TEN_SECONDS));
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    let mut latest = send_without_body(&a).await;
    for limiter in [&a, &b] {
        // By then the book was told.
        sleep(ms(500)).await;
        let next = timeout(Duration::from_secs(30), send_without_body(limiter)).await.unwrap();
        // It counts arrivals in groups of a part of the window.
        let apart = next - latest;
        assert!(apart >= TEN_SECONDS && apart < ms(10_500), "{apart:?}");
        latest = next;
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_nobody_waits_for_any_more_is_given_back() {
    let limits = Limits { concurrent: Some(n(1)), ..window(1, TEN_SECONDS) };
    let (budget, arrivals) = (book(3), Arrivals::default());
    let (a, b) = (daemon(&limits, &budget), daemon(&limits, &budget));
    send(&b, [0, 0, 0], &arrivals).await.unwrap();
    sleep(ms(500)).await;
    // It has the one share while it waits for the window, and gives up.
    assert!(timeout(ms(30), a.acquire(Class::Write, n(1))).await.is_err());
    let start = Instant::now();
    send(&b, [0, 0, 0], &arrivals).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(12), "took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_while_another_request_is_under_way_nor_twice() {
    let (budget, limits) = (book(3), window(100, TEN_SECONDS));
    let (a, arrivals) = (daemon(&limits, &budget), Arrivals::default());
    let long = a.acquire(Class::Write, n(1)).await.unwrap();
    send(&a, [0, 0, 0], &arrivals).await.unwrap();
    let exchanges = || budget.exchanges.load(Ordering::Relaxed);
    let before = exchanges();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(exchanges(), before);
    drop(long);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(exchanges(), before + 1);
    sleep(Duration::from_secs(2)).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(exchanges(), before + 1, "there was no news");
}
