//! The permits of one process by themselves: what is taken, told, asked for and given back.

use tokio::time::advance;

use super::{
    super::pool::{Pool, Shared},
    *,
};
use crate::wire::budget::{Granted, Message, Reply, Return, SharedDay, SharedWindow};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn shared(limit: u32) -> Shared {
    let windows = vec![SharedWindow { class: None, per: TEN_SECONDS, limit }];
    Shared { windows, daily: None, concurrent: None }
}

fn granted(grant: u64, weight: u32) -> Reply {
    Reply { granted: Some(Granted { grant, weight, valid: SECOND }), ..Reply::default() }
}

/// A pool with permits for all requests, of grant 1.
fn holding(weight: u32) -> Pool {
    let mut pool = Pool::default();
    told(&mut pool);
    pool.take_in(&granted(1, weight), Instant::now(), &[], Some(None));
    pool
}

/// What is told while a request waits; nothing is asked.
fn told(pool: &mut Pool) -> Message {
    pool.message(shared(80), 0, 1, None)
}

/// How many permits are asked for.
fn asked(pool: &mut Pool, limit: u32, weight: u32, waiting: u32) -> u32 {
    pool.message(shared(limit), 0, waiting, Some((None, weight))).want.unwrap().up_to
}

fn back(grant: u64, unused: u32, arrived: &[(u32, Duration)]) -> Return {
    Return { grant, unused, arrived: arrived.to_vec() }
}

#[tokio::test(start_paused = true)]
async fn permits_are_taken_while_they_last_by_their_class() {
    let mut pool = holding(5);
    assert!(!pool.take(None, 6, 1) && !pool.take(Some(Class::Search), 1, 1));
    assert!(pool.take(None, 4, 1) && pool.take(None, 1, 2) && !pool.take(None, 1, 3));
    let mut pool = holding(5);
    advance(SECOND - MS).await;
    assert!(pool.take(None, 1, 1));
    advance(MS).await;
    assert!(!pool.take(None, 1, 2), "no longer than they are valid");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_counts_from_the_question() {
    for (late, valid) in [(SECOND * 2 - MS, true), (SECOND * 2, false)] {
        let (mut pool, asked) = (Pool::default(), Instant::now());
        advance(late).await;
        pool.take_in(&granted(1, 5), asked, &[], Some(None));
        assert_eq!(pool.take(None, 1, 1), valid, "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn twice_as_many_are_asked_for_after_all_were_used_up_to_a_part_of_the_limit() {
    for (limit, expected) in [(800, 8), (40, 5), (8, 1), (3, 1)] {
        let mut pool = holding(4);
        assert!(pool.take(None, 4, 1));
        assert_eq!(asked(&mut pool, limit, 1, 1), expected, "{limit}");
    }
    let mut pool = holding(4);
    assert!(pool.take(None, 4, 1));
    let only_a_day = || Shared { windows: Vec::new(), ..shared(0) };
    assert_eq!(pool.message(only_a_day(), 0, 1, Some((None, 1))).want.unwrap().up_to, 8);
    assert_eq!(asked(&mut pool, 80, 1, 9), 9, "as many as wait");
    assert_eq!(asked(&mut pool, 8, 7, 1), 7, "at least the weight");
}

#[tokio::test(start_paused = true)]
async fn as_many_as_were_used_are_asked_for_after_some_lapsed() {
    for (used, expected) in [(3, 3), (0, 1)] {
        let mut pool = holding(50);
        assert!(used == 0 || pool.take(None, used, 1));
        advance(SECOND).await;
        let message = pool.message(shared(800), 0, 1, Some((None, 1)));
        assert_eq!(message.want.unwrap().up_to, expected);
        assert_eq!(message.returns, [back(1, 50 - used, &[])]);
        assert!(told(&mut pool).returns.is_empty(), "told once");
    }
}

#[tokio::test(start_paused = true)]
async fn permits_are_kept_until_nothing_is_sent_any_more() {
    let mut pool = holding(5);
    for (under_way, waiting, want) in [(1, 0, None), (0, 1, None), (0, 0, Some((Some(Class::Search), 1)))] {
        assert!(pool.message(shared(80), under_way, waiting, want).returns.is_empty());
    }
    assert!(pool.take(None, 1, 1) && pool.has_news());
    let idle = pool.message(shared(80), 0, 0, None);
    assert_eq!(idle.returns, [back(1, 4, &[])]);
    assert!(!pool.take(None, 1, 2));
    assert!(pool.has_news(), "one is out");
    pool.arrived(1);
    assert_eq!(pool.message(shared(80), 0, 0, None).returns, [back(1, 0, &[(1, Duration::ZERO)])]);
    assert!(!pool.has_news());
}

#[tokio::test(start_paused = true)]
async fn what_is_valid_and_unused_is_news() {
    let mut pool = holding(2);
    assert!(pool.has_news());
    assert!(pool.take(None, 2, 1));
    pool.take_back(1);
    assert!(pool.has_news());
    assert!(!Pool::default().has_news());
}

#[tokio::test(start_paused = true)]
async fn an_arrival_is_told_once_it_is_over() {
    let mut pool = holding(5);
    assert!(pool.take(None, 2, 1) && pool.take(None, 1, 2) && pool.take(None, 1, 3));
    pool.left(1);
    pool.left(2);
    let message = told(&mut pool);
    assert_eq!((message.returns, message.open), (Vec::new(), vec![1, 1, 1]), "they may be on their way");
    advance(MS * 20).await;
    pool.arrived(2);
    advance(MS * 79).await;
    let message = told(&mut pool);
    assert_eq!((message.returns, message.open), (vec![back(1, 0, &[(1, MS * 79)])], vec![1, 1]));
    advance(MS).await;
    pool.arrived(3);
    let message = told(&mut pool);
    let both = back(1, 0, &[(2, Duration::ZERO), (1, Duration::ZERO)]);
    assert_eq!((message.returns, message.open), (vec![both], Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_short_window_is_not_long_on_its_way() {
    for (per, slack) in [(MS * 100, 15), (SECOND * 4, 40), (SECOND * 60, 100)] {
        let mut pool = holding(1);
        let windows = vec![SharedWindow { class: None, per, limit: 9 }];
        let told = |pool: &mut Pool| pool.message(Shared { windows: windows.clone(), ..shared(0) }, 0, 1, None);
        told(&mut pool);
        assert!(pool.take(None, 1, 1));
        pool.left(1);
        advance(MS * slack - MS).await;
        assert!(told(&mut pool).returns.is_empty(), "{per:?}");
        advance(MS).await;
        assert_eq!(told(&mut pool).returns, [back(1, 0, &[(1, Duration::ZERO)])], "{per:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_left_gives_its_permit_back() {
    let mut pool = holding(2);
    assert!(pool.take(None, 1, 1) && pool.take(None, 1, 2) && !pool.take(None, 1, 3));
    pool.take_back(1);
    assert!(pool.take(None, 1, 3), "to the next one");
    assert!(told(&mut pool).returns.is_empty(), "all of them are out");
    pool.take_back(2);
    let message = told(&mut pool);
    assert_eq!((message.returns, message.open), (vec![back(1, 1, &[])], vec![1]), "its grant was used up: to the book");
    let mut pool = holding(3);
    assert!(pool.take(None, 1, 1) && pool.take(None, 2, 2));
    told(&mut pool);
    pool.take_back(1);
    pool.take_back(2);
    assert_eq!(told(&mut pool).returns, [back(1, 3, &[])]);
}

#[tokio::test(start_paused = true)]
async fn a_share_lasts_until_nothing_is_sent_any_more() {
    let mut pool = Pool::default();
    assert!(!pool.has_share() && !pool.may_begin(0));
    pool.take_in(&Reply { share: Some(2), ..Reply::default() }, Instant::now(), &[], None);
    pool.take_in(&Reply::default(), Instant::now(), &[], None);
    assert!(pool.has_share() && pool.may_begin(1) && !pool.may_begin(2) && pool.has_news());
    assert_eq!(pool.message(shared(80), 1, 1, None).busy, 2);
    assert_eq!(pool.message(shared(80), 1, 1, Some((Some(Class::Read), 1))).busy, 2);
    assert_eq!(pool.message(shared(80), 1, 1, Some((None, 1))).busy, 1, "it is the one whose turn it is");
    assert_eq!(pool.message(shared(80), 0, 0, None).busy, 0);
    assert!(!pool.has_share() && !pool.has_news());
}

#[tokio::test(start_paused = true)]
async fn each_class_waits_for_itself() {
    let mut pool = Pool::default();
    let refused = Reply { again_in: Some(SECOND * 5), ..Reply::default() };
    pool.take_in(&refused, Instant::now(), &[], Some(Some(Class::Search)));
    let again = Instant::now() + SECOND * 5;
    assert_eq!(pool.wait(Some(Class::Search)), Some(again));
    for scope in [None, Some(Class::Read), Some(Class::Write)] {
        assert_eq!(pool.wait(scope), None);
        pool.take_in(&refused, Instant::now(), &[], Some(scope));
        assert_eq!(pool.wait(scope), Some(again));
    }
    pool.take_in(&granted(1, 1), Instant::now(), &[], Some(Some(Class::Read)));
    assert_eq!((pool.wait(Some(Class::Read)), pool.wait(Some(Class::Write))), (None, Some(again)));
    advance(SECOND * 5).await;
    assert_eq!(pool.wait(None), None, "it is time");
}

#[tokio::test(start_paused = true)]
async fn news_of_an_arrival_are_told_before_the_wait_is_over_but_not_at_once() {
    let mut pool = holding(1);
    assert!(pool.take(None, 1, 1));
    let refused = Reply { again_in: Some(SECOND * 5), ..Reply::default() };
    pool.take_in(&refused, Instant::now(), &[], Some(None));
    let start = Instant::now();
    assert_eq!(pool.wait(None), Some(start + SECOND * 5));
    pool.left(1);
    assert_eq!(pool.wait(None), Some(start + MS * 100));
    advance(MS * 10).await;
    pool.arrived(1);
    assert_eq!(pool.wait(None), Some(start + MS * 50));
    advance(MS * 40).await;
    assert_eq!(pool.wait(None), None);
}

#[tokio::test(start_paused = true)]
async fn holds_and_their_ends_are_told_until_they_land() {
    let mut pool = Pool::default();
    let at = |seconds| Instant::now() + SECOND * seconds;
    assert!(!pool.untold());
    pool.hold(at(10), HoldReason::RetryAfter);
    pool.hold(at(5), HoldReason::RetryAfter);
    pool.hold(at(30), HoldReason::Outage);
    assert!(pool.untold());
    let message = told(&mut pool);
    let both = vec![(SECOND * 10, HoldReason::RetryAfter), (SECOND * 30, HoldReason::Outage)];
    assert_eq!(message.holds, both);
    assert!(!pool.untold() && told(&mut pool).holds.is_empty());
    // It did not land, and meanwhile one of them ended.
    let asked = Instant::now();
    advance(SECOND).await;
    pool.released(HoldReason::Outage);
    assert!(pool.untold());
    pool.restore(&message, asked);
    let message = told(&mut pool);
    assert_eq!(message.holds, [(SECOND * 9, HoldReason::RetryAfter)]);
    assert_eq!(message.released, Some(HoldReason::Outage));
    assert!(told(&mut pool).released.is_none());
    pool.restore(&message, Instant::now());
    assert_eq!(told(&mut pool).released, Some(HoldReason::Outage));
    pool.hold(at(5), HoldReason::Outage);
    pool.released(HoldReason::Outage);
    assert!(told(&mut pool).holds.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_permit_is_told_until_that_lands() {
    let mut pool = Pool::default();
    pool.loose(Some(Class::Read), 2, Instant::now());
    advance(SECOND).await;
    assert!(pool.untold());
    let (message, asked) = (told(&mut pool), Instant::now());
    assert_eq!(message.loose, [(Some(Class::Read), 2, SECOND)]);
    assert!(!pool.untold());
    advance(SECOND).await;
    pool.restore(&message, asked);
    assert!(pool.untold());
    assert_eq!(told(&mut pool).loose, [(Some(Class::Read), 2, SECOND * 2)]);
}

#[tokio::test(start_paused = true)]
async fn what_others_count_is_known_by_window() {
    let mut pool = Pool::default();
    let windows = [(None, 10, 7), (Some(Class::Read), 10, 5), (None, 60, 3)];
    let asked = windows.map(|(class, per, _)| SharedWindow { class, per: SECOND * per, limit: 9 });
    let reply = Reply { others: windows.map(|(_, _, used)| used).into(), ..Reply::default() };
    pool.take_in(&reply, Instant::now(), &asked, None);
    for (class, per, used) in windows {
        assert_eq!(pool.others(class, SECOND * per), used);
    }
    assert_eq!(pool.others(Some(Class::Search), TEN_SECONDS), 0);
}

#[test]
fn requests_need_permits_where_the_book_keeps_a_limit() {
    let day = Daily { requests: n(9), zone: jiff::tz::TimeZone::UTC, reserve_percent: 0 };
    let none = || Shared { windows: Vec::new(), ..shared(0) };
    let search = SharedWindow { class: Some(Class::Search), per: SECOND, limit: 1 };
    let cases = [
        (none(), false, false),
        (Shared { daily: Some(SharedDay { settings: day, limit: 9 }), ..none() }, true, false),
        (Shared { concurrent: Some(1), ..none() }, true, false),
        (Shared { windows: vec![search], ..none() }, false, true),
        (shared(1), true, false),
    ];
    for (at, (shared, all, of_class)) in cases.into_iter().enumerate() {
        assert_eq!((shared.limits(None), shared.limits(Some(Class::Search))), (all, of_class), "{at}");
    }
}
