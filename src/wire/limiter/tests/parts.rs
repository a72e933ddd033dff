//! Windows, smooth rates and days by themselves.

use tokio::time::advance;

use super::{
    super::{buckets::Buckets, daily::Day, smooth::Smooth, window::WindowLog},
    *,
};
use crate::wire::SavedDay;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const MICRO: Duration = Duration::from_micros(1);
/// How much later than its first byte left a request of a window of ten seconds may arrive.
const SLACK: Duration = Duration::from_millis(100);

fn log(requests: u32) -> WindowLog {
    WindowLog::new(&Window::new(n(requests), TEN_SECONDS))
}

/// A request that left at `left` and was answered after `trip`.
fn made(log: &mut WindowLog, id: u64, left: Instant, trip: Duration) {
    log.push(id, 1);
    log.left(id, left);
    log.answered(id, left + trip);
}

/// The latest request counts until then.
fn counts_until(log: &mut WindowLog, now: Instant) -> Instant {
    log.room(log.limit, now).unwrap_err().unwrap()
}

#[test]
fn a_request_counts_from_its_latest_arrival() {
    let start = Instant::now();
    let mut log = log(2);
    log.push(1, 1);
    log.push(2, 1);
    assert_eq!((log.used(start), log.room(1, start)), (2, Err(None)), "nobody knows when it arrives");
    log.left(2, start);
    let frees = start + SLACK + TEN_SECONDS + MS;
    assert_eq!(log.room(1, start), Err(Some(frees)));
    assert_eq!(log.room(1, frees - MICRO), Err(Some(frees)));
    assert_eq!((log.used(frees), log.room(1, frees)), (1, Ok(())));
    log.answered(1, frees);
    assert_eq!(counts_until(&mut log, frees), frees + TEN_SECONDS + MS, "handed over, and nothing told when it left");
}

#[test]
fn as_many_are_waited_for_as_are_needed() {
    let start = Instant::now();
    let mut log = log(4);
    for id in [3_u32, 1, 2, 4] {
        log.push_arrived(1, start + SECOND * id);
    }
    let frees = |id: u32| start + SECOND * id + TEN_SECONDS + MS;
    let now = start + SECOND * 5;
    for weight in 1..=4 {
        assert_eq!(log.room(weight, now), Err(Some(frees(weight))));
    }
    let counted: Vec<_> = log.counted(frees(2)).collect();
    assert_eq!(counted, [(start + SECOND * 3, 1), (start + SECOND * 4, 1)]);
}

#[test]
fn a_request_heavier_than_a_narrowed_limit_goes_alone() {
    let start = Instant::now();
    let mut log = log(10);
    log.observe(Some(2), None, 0, start);
    assert_eq!(log.room(5, start), Ok(()));
    log.push_arrived(5, start);
    log.push_arrived(1, start + SECOND);
    assert_eq!(log.room(5, start + SECOND), Err(Some(start + SECOND + TEN_SECONDS + MS)));
}

#[test]
fn an_answer_within_the_slack_tells_when_the_request_was_there() {
    let start = Instant::now();
    for (trip, by) in [(20, 20), (100, 100), (400, 100)] {
        let mut log = log(1);
        made(&mut log, 1, start, MS * trip);
        assert_eq!(counts_until(&mut log, start), start + MS * by + TEN_SECONDS + MS, "{trip}");
    }
}

#[test]
fn an_answer_later_than_usual_makes_its_request_count_later() {
    let start = Instant::now();
    for (trip, by) in [(400, 100), (450, 150), (700, 400), (899, 599), (900, 600), (5_000, 600)] {
        let mut log = log(9);
        for (id, usual) in [(1, 400), (2, 30), (3, 2_000)] {
            made(&mut log, id, start, MS * usual);
        }
        made(&mut log, 4, start, MS * trip);
        assert_eq!(counts_until(&mut log, start), start + MS * by.max(600) + TEN_SECONDS + MS, "{trip}");
        log.take_back(3);
        assert_eq!(counts_until(&mut log, start), start + MS * by + TEN_SECONDS + MS, "{trip}");
    }
}

#[test]
fn a_request_of_a_short_window_is_not_long_on_its_way() {
    let start = Instant::now();
    for (per, slack) in [(MS * 100, 15), (SECOND * 4, 40), (SECOND * 60, 100)] {
        let mut log = WindowLog::new(&Window::new(n(1), per));
        log.push(1, 1);
        log.left(1, start);
        assert_eq!(counts_until(&mut log, start), start + MS * slack + per + MS, "{per:?}");
    }
}

#[test]
fn what_is_usual_changes_with_the_latest_requests() {
    let start = Instant::now();
    let mut log = log(100);
    (1..=15).for_each(|id| made(&mut log, id, start, MS * 30));
    (16..=22).for_each(|id| made(&mut log, id, start, MS * 400));
    // Seven of the last fifteen took that long, then eight.
    for by in [MS * 400, SLACK] {
        made(&mut log, 23, start, MS * 400);
        assert_eq!(log.counted(start).last(), Some((start + by, 1)));
    }
}

#[test]
fn what_never_left_does_not_count_and_the_others_do() {
    let start = Instant::now();
    let mut log = log(9);
    (1..=3).for_each(|id| log.push(id, 1));
    log.take_back(2);
    assert_eq!(log.used(start), 2);
    log.left(3, start);
    assert_eq!(log.counted(start + TEN_SECONDS * 2).count(), 1, "the first is still to leave");
}

#[test]
fn what_the_vendor_counts_beyond_ours_was_sent_by_others() {
    let start = Instant::now();
    let used = |limit, remaining, siblings, after: Duration| {
        let mut log = log(10);
        log.push_arrived(2, start);
        log.room(1, start + after).unwrap();
        log.observe(limit, remaining, siblings, start + after);
        (log.used(start + after), log.limit)
    };
    assert_eq!(used(Some(8), Some(1), 0, Duration::ZERO), (7, 8));
    assert_eq!(used(Some(8), Some(1), 3, Duration::ZERO), (4, 8));
    assert_eq!(used(Some(8), Some(6), 0, Duration::ZERO), (2, 8));
    assert_eq!(used(Some(20), Some(11), 0, Duration::ZERO), (9, 10), "never above what is configured");
    assert_eq!(used(None, Some(1), 0, Duration::ZERO), (2, 10));
    assert_eq!(used(Some(0), None, 0, Duration::ZERO), (2, 1));
    // Ours stopped counting, but the vendor may have counted it when it answered.
    assert_eq!(used(Some(10), Some(5), 0, TEN_SECONDS + SECOND - MICRO), (3, 10));
    assert_eq!(used(Some(10), Some(5), 0, TEN_SECONDS + SECOND), (5, 10));
    let mut log = log(10);
    log.observe(Some(8), Some(8), 0, start);
    assert_eq!(log.counted(start).count(), 0, "nobody sent anything");
}

#[test]
fn a_window_is_joined_by_the_narrower_one() {
    let mut log = log(10);
    log.narrow(20);
    assert_eq!(log.limit, 10);
    log.narrow(5);
    assert_eq!(log.limit, 5);
    log.observe(Some(8), None, 0, Instant::now());
    assert_eq!(log.limit, 5);
}

fn smooth(requests: u32) -> Smooth {
    Smooth::new(&Window { smooth: true, ..Window::new(n(requests), TEN_SECONDS) }, n(1))
}

/// The wait for the next request, after all that may leave at once.
fn burst(smooth: &mut Smooth) -> (u32, Duration) {
    let mut left = 0;
    loop {
        match smooth.take(n(1)) {
            Ok(()) => left += 1,
            Err(at) => return (left, at.unwrap() - Instant::now()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_smooth_rate_lets_a_tenth_through_and_then_one_by_one() {
    let mut rate = smooth(40);
    assert_eq!(rate.last(), None);
    let interval = (TEN_SECONDS + SLACK) / 37;
    let (left, wait) = burst(&mut rate);
    assert!(left == 4 && wait.abs_diff(interval) < MS, "{left} and {wait:?}");
    assert_eq!(rate.last(), Some(Instant::now()));
    advance(wait).await;
    assert_eq!(burst(&mut rate).0, 1);
    assert_eq!(rate.take(n(5)), Err(None), "more than ever fits");
    assert_eq!(burst(&mut smooth(1)).0, 1);
    let mut short = Smooth::new(&Window { smooth: true, ..Window::new(n(40), SECOND) }, n(1));
    let (left, wait) = burst(&mut short);
    assert!(left == 4 && wait.abs_diff((SECOND + MS * 10) / 37) < MS, "{left} and {wait:?}");
    let heavy = Window { smooth: true, ..Window::new(n(40), TEN_SECONDS) };
    assert_eq!(burst(&mut Smooth::new(&heavy, n(9))).0, 9);
    assert_eq!(burst(&mut Smooth::new(&heavy, n(90))).0, 40);
}

#[tokio::test(start_paused = true)]
async fn a_smooth_rate_that_is_lowered_begins_empty_and_one_that_is_not_goes_on() {
    let mut rate = smooth(40);
    rate.narrow(n(40));
    rate.narrow(n(400));
    assert_eq!(rate.requests, n(40));
    assert_eq!(burst(&mut rate).0, 4);
    let mut rate = smooth(40);
    rate.narrow(n(20));
    assert_eq!((rate.requests, rate.last()), (n(20), Some(Instant::now())));
    let (left, wait) = burst(&mut rate);
    assert!(left == 0 && wait > TEN_SECONDS / 20, "{left} and {wait:?}");
}

fn day(requests: u32, reserve_percent: u8) -> Daily {
    Daily { requests: n(requests), zone: jiff::tz::TimeZone::UTC, reserve_percent }
}

#[test]
fn a_day_counts_what_is_sent_less_what_never_left() {
    let mut count = Day::new(day(10, 0));
    count.count(7, NOON);
    count.take_back(2);
    assert_eq!(count.usage(NOON), (5, 10));
    assert_eq!(count.room(5, NOON), Ok(()));
    let midnight = NOON + SECOND * 12 * 3_600;
    assert_eq!(count.room(6, NOON), Err(Some(midnight)));
    assert_eq!(count.usage(midnight - MICRO), (5, 10));
    assert_eq!(count.usage(midnight), (0, 10));
}

#[test]
fn a_day_is_joined_by_the_one_that_allows_less() {
    let mut count = Day::new(day(100, 50));
    count.narrow(day(60, 0));
    assert_eq!(count.usage(NOON), (0, 50));
    count.narrow(day(50, 0));
    assert_eq!(count.shared().settings.requests, n(100), "the same, so nothing changes");
    count.narrow(day(90, 50));
    assert_eq!(count.usage(NOON), (0, 45));
    // The vendor said less already.
    let mut count = Day::new(day(100, 0));
    count.observe(Some(30), Some(25), 2, NOON);
    assert_eq!(count.usage(NOON), (7, 30));
    count.narrow(day(90, 0));
    assert_eq!(count.usage(NOON), (7, 30));
    assert_eq!(count.shared().limit, 30);
}

#[test]
fn a_day_that_is_saved_comes_back_on_the_same_day() {
    let mut count = Day::new(day(10, 0));
    count.count(3, NOON);
    let saved = count.save(2, NOON).unwrap();
    assert_eq!((saved.date.as_str(), saved.used), ("2026-11-22", 5));
    let mut after = Day::new(day(10, 0));
    after.count(1, NOON);
    after.seed(&saved, NOON);
    after.seed(&SavedDay { date: "2026-11-21".to_owned(), used: 4 }, NOON);
    assert_eq!(after.usage(NOON), (6, 10));
}

fn buckets(limits: &Limits) -> Buckets {
    Buckets::new(limits, n(1))
}

#[tokio::test(start_paused = true)]
async fn other_limits_go_on_with_all_that_was_sent() {
    let search = Window { class: Some(Class::Search), ..Window::new(n(5), SECOND) };
    let windows = |limit| vec![search.clone(), Window::new(n(limit), TEN_SECONDS)];
    let zone = |name| Daily { zone: jiff::tz::TimeZone::get(name).unwrap(), ..day(20, 0) };
    let mut before =
        buckets(&Limits { windows: windows(10), daily: Some(zone("America/New_York")), ..Limits::default() });
    for (id, scope) in [(1, Some(Class::Search)), (2, None), (3, None)] {
        before.grant(scope, id, n(1), NOON);
    }
    let daily = Some(Daily { requests: n(30), ..zone("UTC") });
    let mut after = before.successor(&Limits { windows: windows(7), daily, ..Limits::default() }, n(1));
    let (used, of_day) = after.usage(NOON);
    assert_eq!(used.iter().map(|window| (window.used, window.limit)).collect::<Vec<_>>(), [(1, 5), (2, 7)]);
    assert_eq!((of_day, after.under_way), (Some((2, 30)), 2));
    // The day goes on to the midnight that it was counted to.
    assert_eq!(after.usage(NOON + SECOND * 3_600 * 17 - MICRO).1, Some((2, 30)));
    assert_eq!(after.usage(NOON + SECOND * 3_600 * 17).1, Some((0, 30)));
}

#[tokio::test(start_paused = true)]
async fn a_smooth_rate_of_other_limits_begins_empty_and_counts_as_used_up_for_a_window() {
    let smooth = |class| Window { smooth: true, class, ..Window::new(n(40), TEN_SECONDS) };
    let limits = |windows| Limits { windows, ..Limits::default() };
    let mut before = buckets(&limits(vec![smooth(None), smooth(Some(Class::Search))]));
    let mut passed = 0;
    assert_eq!(before.room(None, n(1), &mut passed, NOON), Ok(()));
    assert_eq!(passed, 1);
    let window = |class| Window { class, ..Window::new(n(50), TEN_SECONDS) };
    let mut after = before.successor(&limits(vec![window(None), window(Some(Class::Search))]), n(1));
    let used: Vec<_> = after.usage(NOON).0.iter().map(|window| window.used).collect();
    assert_eq!(used, [40, 0], "nothing was searched for");
    let mut after = before.successor(&limits(vec![smooth(None)]), n(1));
    assert!(after.room(None, n(1), &mut 0, NOON).is_err());
}

#[test]
fn each_window_is_narrowed_by_its_own() {
    let smooth = |window: Window| Window { smooth: true, ..window };
    let of = |class, requests, per| Window { class, ..Window::new(n(requests), per) };
    let read = Some(Class::Read);
    let windows = vec![of(None, 100, TEN_SECONDS), of(None, 50, SECOND), of(read, 30, TEN_SECONDS)];
    let mut all = buckets(&Limits { windows: windows.clone(), concurrent: Some(n(5)), ..Limits::default() });
    all.narrow(&Limits { windows: vec![of(None, 40, TEN_SECONDS)], concurrent: Some(n(7)), ..Limits::default() }, n(1));
    let limits: Vec<_> = all.usage(NOON).0.iter().map(|window| window.limit).collect();
    assert_eq!(limits, [40, 50, 30]);
    assert_eq!(all.shared().concurrent, Some(5));
    let seen = ObservedWindow { per: SECOND, limit: Some(20), remaining: None };
    let seen = Observed { windows: vec![seen], ..Observed::default() };
    all.observe(&seen, NOON, |_, _| 0);
    let limits: Vec<_> = all.usage(NOON).0.iter().map(|window| window.limit).collect();
    assert_eq!(limits, [40, 20, 30]);
    let mut all = buckets(&Limits { windows: windows.into_iter().map(smooth).collect(), ..Limits::default() });
    all.narrow(&Limits { windows: vec![smooth(of(None, 40, TEN_SECONDS))], ..Limits::default() }, n(1));
    let rates = |all: &Buckets| all.smooth.iter().map(|rate| rate.requests.get()).collect::<Vec<_>>();
    assert_eq!(rates(&all), [40, 50, 30]);
    all.observe(&seen, NOON, |_, _| 0);
    assert_eq!(rates(&all), [40, 20, 30]);
}

#[test]
fn the_book_is_told_of_all_limits() {
    let of = |class, requests, per| Window { class, ..Window::new(n(requests), per) };
    let smooth = Window { smooth: true, ..of(Some(Class::Read), 30, SECOND) };
    let limits =
        Limits { windows: vec![of(None, 100, TEN_SECONDS), smooth], daily: Some(day(9, 0)), concurrent: Some(n(3)) };
    let shared = buckets(&limits).shared();
    let windows: Vec<_> = shared.windows.iter().map(|window| (window.class, window.per, window.limit)).collect();
    assert_eq!(windows, [(None, TEN_SECONDS, 100), (Some(Class::Read), SECOND, 30)]);
    assert_eq!((shared.daily.map(|day| day.limit), shared.concurrent), (Some(9), Some(3)));
    let classes = |class| buckets(&limits).limits(class);
    assert!(classes(Class::Read) && !classes(Class::Search) && !classes(Class::Write));
}
