//! What a limiter tells the book when nobody waits any more.

use super::{super::SharedWindow, *};
use crate::wire::{SavedGrants, SavedWindow};

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

#[tokio::test(start_paused = true)]
async fn a_limiter_says_now_and_then_that_it_lives_where_it_has_a_share() {
    let shared = Limits { concurrent: Some(n(6)), ..Limits::default() };
    for (limits, told) in [(shared, 3..=4), (window(100, TEN_SECONDS), 0..=0)] {
        let budget = book(3);
        let a = daemon(&limits, &budget);
        let mut under_way = Vec::new();
        for _ in 0..3 {
            under_way.push(a.acquire(Class::Write, n(1)).await.unwrap());
            sleep(Duration::from_secs(1)).await;
        }
        let before = budget.exchanges.load(Ordering::Relaxed);
        sleep(Duration::from_secs(61)).await;
        let exchanges = budget.exchanges.load(Ordering::Relaxed) - before;
        assert!(told.contains(&exchanges), "{exchanges}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_before_the_account_was_known_count_in_the_longest_window_of_their_class() {
    let windows = [(None, 10), (None, 60), (Some(Class::Search), 10)];
    let limits = windows.map(|(class, per)| Window { class, ..Window::new(n(50), Duration::from_secs(per)) });
    let (budget, limits) = (book(3), Limits { windows: limits.into(), ..Limits::default() });
    let a = daemon(&limits, &budget);
    let ago = |seconds: u64| (NOON + Duration::from_secs(5_000 - seconds)).as_micros();
    let saved = |class, per, grants| SavedWindow { class, per: Duration::from_secs(per), grants };
    a.tell_loose(&SavedGrants {
        windows: vec![
            saved(None, 10, vec![(ago(0), 3)]),
            saved(None, 60, vec![(ago(0), 3), (ago(30), 4)]),
            saved(Some(Class::Search), 10, vec![(ago(0), 2)]),
        ],
        day: None,
    });
    drop(a.acquire(Class::Write, n(1)).await.unwrap());
    sleep(ms(500)).await;
    let windows = windows.map(|(class, per)| SharedWindow { class, per: Duration::from_secs(per), limit: 50 });
    let message = Message { holder: 7, windows: windows.into(), ..Message::default() };
    assert_eq!(budget.exchange("vendor:1", &message).await.unwrap().others, [3, 7, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_counts_as_under_way_also_when_its_limiter_has_lost_its_share() {
    let concurrent = |most| Limits { concurrent: Some(n(most)), ..Limits::default() };
    let budget = book(3);
    let (a, b) = (daemon(&concurrent(6), &budget), daemon(&concurrent(6), &budget));
    let _long = a.acquire(Class::Write, n(1)).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(b.acquire(Class::Write, n(1)).await.unwrap());
    }
    a.relimit(&concurrent(2), n(1));
    b.relimit(&concurrent(2), n(1));
    assert!(timeout(ms(500), a.acquire(Class::Write, n(1))).await.is_err(), "three of two are the other's");
    others.clear();
    sleep(Duration::from_secs(100)).await;
    let _second = timeout(ms(500), b.acquire(Class::Write, n(1))).await.unwrap().unwrap();
    assert!(timeout(Duration::from_secs(5), b.acquire(Class::Write, n(1))).await.is_err(), "there are two");
}
