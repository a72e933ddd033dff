//! How long one request waits, to the millisecond.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// How long the next request waits.
async fn wait(limiter: &Arc<Limiter>) -> Duration {
    let start = Instant::now();
    timeout(SECOND * 1_000, send(limiter)).await.expect("a request that waits for ever");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_request_counts_from_when_it_left_and_not_from_its_answer() {
    let limiter = limiter(&window(1, TEN_SECONDS));
    let mut ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
    ticket.handed().leaves();
    // It is answered only when the second one is there.
    assert_eq!(wait(&limiter).await, TEN_SECONDS + MS * 101);
    drop(ticket);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_two_minutes_is_waited_and_a_longer_one_is_a_fault() {
    let limits = window(1, SECOND * 120 - MS);
    let patient = limiter(&limits);
    send(&patient).await;
    assert_eq!(wait(&patient).await, SECOND * 120);
    for per in [SECOND * 120, SECOND * 600] {
        let limiter = limiter(&window(1, per));
        send(&limiter).await;
        let until = Some(NOON + per + MS);
        assert_eq!(send_as(&limiter, Class::Write, 1).await, Err(FaultKind::QuotaSpent { until }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_two_minutes_is_waited_for_and_a_longer_one_is_a_fault() {
    let patient = limiter(&Limits::default());
    patient.hold.hold_for(SECOND * 120, HoldReason::RetryAfter);
    assert_eq!(wait(&patient).await, SECOND * 120);
    patient.hold.hold_for(SECOND * 120 + MS, HoldReason::RetryAfter);
    assert!(matches!(send_as(&patient, Class::Write, 1).await, Err(FaultKind::Held(_))));
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_one_token_of_each_of_two_smooth_rates() {
    let smooth = |requests| Window { smooth: true, ..Window::new(n(requests), TEN_SECONDS) };
    let limiter = limiter(&Limits { windows: vec![smooth(10), smooth(9)], ..Limits::default() });
    send(&limiter).await;
    // Ten and a tenth seconds for nine requests.
    let each = (TEN_SECONDS + MS * 100) / 9;
    for _ in 0..3 {
        let wait = wait(&limiter).await;
        assert!(wait.abs_diff(each) <= MS * 2, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_does_not_count_for_the_day() {
    let limiter = limiter(&daily(10, 0));
    drop(limiter.acquire(Class::Write, n(3)).await.unwrap());
    let mut ticket = limiter.acquire(Class::Write, n(2)).await.unwrap();
    let _ = ticket.handed();
    ticket.unsent();
    drop(ticket);
    send(&limiter).await;
    assert_eq!(limiter.usage().1, Some((1, 10)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_all_after_its_class_takes_nothing_when_it_gives_up() {
    let search = Window { class: Some(Class::Search), ..Window::new(n(5), TEN_SECONDS) };
    let limiter = limiter(&Limits { windows: vec![search, Window::new(n(1), TEN_SECONDS)], ..daily(10, 0) });
    send(&limiter).await;
    assert!(timeout(SECOND, limiter.acquire(Class::Search, n(1))).await.is_err());
    let (windows, day) = limiter.usage();
    assert_eq!((windows[0].used, windows[1].used, day), (0, 1, Some((1, 10))));
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_end_with_their_tickets() {
    let limiter = limiter(&Limits { concurrent: Some(n(1)), ..Limits::default() });
    for end in 0..3 {
        let mut ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
        assert!(timeout(MS, limiter.acquire(Class::Write, n(1))).await.is_err());
        if end > 0 {
            let _ = ticket.handed();
        }
        if end > 1 {
            ticket.unsent();
        }
    }
    assert_eq!(wait(&limiter).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn other_limits_wake_those_that_wait() {
    let limiter = limiter(&window(1, TEN_SECONDS));
    send(&limiter).await;
    let waiter = tokio::spawn({
        let limiter = limiter.clone();
        async move { wait(&limiter).await }
    });
    sleep(SECOND).await;
    limiter.relimit(&window(2, TEN_SECONDS), n(1));
    assert_eq!(waiter.await.unwrap(), SECOND);
    limiter.narrow(&window(1, TEN_SECONDS), n(1));
    assert_eq!(wait(&limiter).await, TEN_SECONDS + MS);
}
