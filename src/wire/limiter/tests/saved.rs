//! What is saved of a limiter, and how it comes back.

use tokio::time::advance;

use super::*;
use crate::wire::SavedWindow;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const MICRO: Duration = Duration::from_micros(1);

fn saved(class: Option<Class>, per: Duration, grants: &[(Timestamp, u32)]) -> SavedGrants {
    let grants = grants.iter().map(|(at, weight)| (at.as_micros(), *weight)).collect();
    SavedGrants { windows: vec![SavedWindow { class, per, grants }], day: None }
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_counts_for_the_rest_of_its_window() {
    let read = Window { class: Some(Class::Read), ..Window::new(n(9), TEN_SECONDS) };
    let windows = vec![Window::new(n(9), TEN_SECONDS), Window::new(n(8), SECOND), read];
    let limiter = limiter(&Limits { windows, ..Limits::default() });
    let grants = [(NOON - TEN_SECONDS, 4), (NOON - TEN_SECONDS + MICRO, 2), (NOON + SECOND * 99, 1)];
    limiter.seed(&saved(None, TEN_SECONDS, &grants));
    let used = || limiter.usage().0.iter().map(|window| window.used).collect::<Vec<_>>();
    assert_eq!(used(), [3, 0, 0]);
    advance(MS * 2).await;
    assert_eq!(used(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_smooth_rate_begins_empty_after_a_restart_within_its_window() {
    let rate = Window { smooth: true, ..Window::new(n(40), TEN_SECONDS) };
    let limits = Limits { windows: vec![rate], ..Limits::default() };
    let fresh = |at, class, per| {
        let limiter = limiter(&limits);
        limiter.seed(&saved(class, per, &[(at, 1)]));
        limiter.save(&[]).windows.is_empty()
    };
    assert!(!fresh(NOON - TEN_SECONDS + MICRO, None, TEN_SECONDS));
    assert!(fresh(NOON - TEN_SECONDS, None, TEN_SECONDS));
    assert!(fresh(NOON, Some(Class::Read), TEN_SECONDS));
    assert!(fresh(NOON, None, SECOND));
}

#[tokio::test(start_paused = true)]
async fn what_is_ahead_is_saved_where_it_will_count() {
    let of = |class| Window { class: Some(class), ..Window::new(n(9), TEN_SECONDS) };
    let windows = vec![Window::new(n(9), TEN_SECONDS), of(Class::Write), of(Class::Search)];
    let limiter = limiter(&Limits { windows, ..daily(50, 0) });
    let at = NOON + SECOND * 30;
    let saved = limiter.save(&[Ahead { class: Class::Write, weight: 3, by: at }]);
    let grants: Vec<_> = saved.windows.iter().map(|window| window.grants.clone()).collect();
    assert_eq!(grants, [vec![(at.as_micros(), 3)], vec![(at.as_micros(), 3)], vec![]]);
    assert_eq!(saved.day.unwrap().used, 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_its_way_is_saved_as_of_its_latest_arrival() {
    let limiter = limiter(&window(100, TEN_SECONDS));
    let mut ticket = limiter.acquire(Class::Write, n(1)).await.unwrap();
    ticket.handed().leaves();
    assert_eq!(limiter.save(&[]).windows[0].grants, [((NOON + MS * 100).as_micros(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn grants_are_saved_in_groups_of_a_part_of_their_window() {
    let limiter = limiter(&window(100, SECOND * 32));
    for after in [0_u32, 500, 500, 1, 4_000] {
        advance(MS * after).await;
        send(&limiter).await;
    }
    let saved = limiter.save(&[]).windows.remove(0).grants;
    let at = |millis: u32| (NOON + MS * millis).as_micros();
    // The first of the four is more than a second older than the last of them.
    assert_eq!(saved, [(at(5_001), 1), (at(1_001), 3), (at(0), 1)]);
}
