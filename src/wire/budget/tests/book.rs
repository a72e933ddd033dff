//! The book by itself, to the microsecond: what counts until when, and who gets how much.

use super::*;
use crate::wire::{
    HoldReason,
    budget::{Book, Granted, LATE, LIVE, Return, SharedDay, SharedWindow, Want},
};

const SECOND: Duration = Duration::from_secs(1);
const MICRO: Duration = Duration::from_micros(1);
/// So long, that arrivals of one second count together.
const LONG: Duration = Duration::from_secs(32);
/// From the grant of a permit of a window of ten seconds until it stops counting: its validity, the time to arrive, the
/// window, and one millisecond.
const COUNTS: Duration = Duration::from_millis(1_000 + 10_000 + 10_000 + 1);

fn shared(class: Option<Class>, per: Duration, limit: u32) -> SharedWindow {
    SharedWindow { class, per, limit }
}

/// Wants `up_to` permits of a window of ten seconds.
fn ask(holder: u64, limit: u32, up_to: u32) -> Message {
    Message {
        holder,
        windows: vec![shared(None, TEN_SECONDS, limit)],
        want: Some(Want { scope: None, weight: 1, up_to }),
        ..Message::default()
    }
}

/// What is asked for is granted and given back at once.
fn granted(book: &mut Book, now: Timestamp, message: &Message) -> u32 {
    let granted = book.exchange(now, message).granted.unwrap();
    let returns = vec![Return { grant: granted.grant, unused: granted.weight, arrived: Vec::new() }];
    book.exchange(now, &Message { want: None, returns, ..message.clone() });
    granted.weight
}

fn kept(book: &Book, what: &str) -> usize {
    serde_json::to_value(book).unwrap()[what].as_array().unwrap().len()
}

#[test]
fn a_permit_counts_until_it_cannot_matter_any_more() {
    let mut book = Book::default();
    let all = book.exchange(NOON, &ask(1, 10, 10)).granted;
    assert_eq!(all, Some(Granted { grant: 1, weight: 10, valid: SECOND }));
    assert_eq!(book.exchange(NOON, &ask(2, 10, 1)).again_in, Some(COUNTS));
    let early = book.exchange(NOON + COUNTS - MICRO, &ask(2, 10, 1));
    assert_eq!((early.granted, early.again_in), (None, Some(ms(1))), "never asked again at once");
    let reply = book.exchange(NOON + COUNTS, &ask(2, 10, 10));
    assert_eq!(reply.granted.map(|granted| (granted.grant, granted.weight)), Some((2, 10)));
    assert_eq!(kept(&book, "entries"), 1, "what stopped counting is forgotten");
}

#[test]
fn a_permit_counts_in_each_window_for_itself() {
    let both = |holder, up_to| {
        let mut message = ask(holder, 10, up_to);
        message.windows.push(shared(None, LONG, 15));
        message
    };
    let mut book = Book::default();
    book.exchange(NOON, &both(1, 10));
    assert_eq!(book.exchange(NOON, &both(2, 1)).again_in, Some(COUNTS));
    assert_eq!(book.exchange(NOON + COUNTS, &both(2, 10)).granted.unwrap().weight, 5);
}

#[test]
fn permits_that_are_given_back_are_free_at_once_and_forgotten() {
    let mut book = Book::default();
    book.exchange(NOON, &ask(1, 10, 10));
    let back = |holder, unused| Message {
        want: None,
        returns: vec![Return { grant: 1, unused, arrived: Vec::new() }],
        ..ask(holder, 10, 0)
    };
    book.exchange(NOON, &back(2, 10));
    assert!(book.exchange(NOON, &ask(2, 10, 1)).granted.is_none(), "they are not the other's to give back");
    book.exchange(NOON, &back(1, 4));
    assert_eq!(granted(&mut book, NOON, &ask(3, 10, 4)), 4);
    book.exchange(NOON, &back(1, 6));
    book.exchange(NOON, &Message { want: None, ..ask(1, 10, 0) });
    assert_eq!(kept(&book, "entries"), 0);
}

#[test]
fn a_request_that_has_not_left_yet_counts_for_longer() {
    let mut book = Book::default();
    book.exchange(NOON, &ask(1, 10, 10));
    let open = |holder| Message { want: None, open: vec![1], ..ask(holder, 10, 0) };
    book.exchange(NOON + SECOND * 5, &open(2));
    assert_eq!(book.exchange(NOON + SECOND * 5, &ask(3, 10, 1)).again_in, Some(COUNTS - SECOND * 5));
    // It may still arrive after the time to arrive from now, never before what it was granted for.
    book.exchange(NOON + ms(500), &open(1));
    book.exchange(NOON + SECOND * 5, &open(1));
    assert_eq!(book.exchange(NOON + SECOND * 5, &ask(3, 10, 1)).again_in, Some(LATE + TEN_SECONDS + ms(1)));
}

#[test]
fn a_clock_that_is_set_back_a_little_stands_still_and_by_more_is_followed() {
    let mut book = Book::default();
    book.exchange(NOON, &ask(1, 10, 10));
    for back in [SECOND * 30, SECOND * 60] {
        assert_eq!(book.exchange(NOON - back, &ask(2, 10, 1)).again_in, Some(COUNTS));
    }
    let back = SECOND * 60 + MICRO;
    assert_eq!(book.exchange(NOON - back, &ask(2, 10, 1)).again_in, Some(COUNTS + back));
}

/// Tells of one request that arrived just now.
fn arrived(holder: u64, class: Option<Class>) -> Message {
    let windows = vec![shared(None, LONG, 2), shared(Some(Class::Search), TEN_SECONDS, 2)];
    Message { holder, windows, loose: vec![(class, 1, Duration::ZERO)], ..Message::default() }
}

fn ask_long(holder: u64, limit: u32, weight: u32, up_to: u32) -> Message {
    let want = Some(Want { scope: None, weight, up_to });
    Message { windows: vec![shared(None, LONG, limit)], want, ..ask(holder, 0, 0) }
}

#[test]
fn arrivals_of_one_part_of_the_window_count_as_its_end() {
    let mut book = Book::default();
    for at in [ms(1_300), ms(1_700)] {
        book.exchange(NOON + at, &arrived(1, None));
    }
    assert_eq!(kept(&book, "entries"), 1);
    assert_eq!(book.exchange(NOON + SECOND * 2, &ask_long(2, 2, 1, 1)).again_in, Some(LONG + ms(1)));
    book.exchange(NOON + SECOND * 2, &arrived(2, None));
    book.exchange(NOON + SECOND * 2, &arrived(1, Some(Class::Search)));
    assert_eq!(kept(&book, "entries"), 3, "each daemon and class for itself");
    let mut book = Book::default();
    book.exchange(NOON, &arrived(1, None));
    assert_eq!(book.exchange(NOON, &ask_long(2, 1, 1, 1)).again_in, Some(LONG + ms(1)), "an end is its own");
}

#[test]
fn what_arrived_is_no_permit_any_more() {
    let mut book = Book::default();
    book.exchange(NOON, &ask_long(1, 10, 1, 10));
    let returns = vec![Return { grant: 1, unused: 3, arrived: vec![(2, SECOND), (1, Duration::ZERO)] }];
    let reply = book.exchange(NOON + SECOND * 3, &Message { want: None, returns, ..ask_long(1, 10, 1, 0) });
    assert_eq!(reply.others, [0]);
    let reply = book.exchange(NOON + SECOND * 3, &Message { want: None, ..ask_long(2, 10, 1, 0) });
    assert_eq!(reply.others, [7], "3 of 10 were not used");
    let reply = book.exchange(NOON + SECOND * 3, &ask_long(2, 4, 1, 1));
    assert_eq!(reply.again_in, Some(LATE + LONG + ms(1) - SECOND), "4 may still arrive until 12 s");
    let reply = book.exchange(NOON + SECOND * 3, &ask_long(2, 5, 1, 1));
    assert_eq!(reply.again_in, Some(LONG + ms(1)), "1 arrived just now");
    let reply = book.exchange(NOON + SECOND * 3, &ask_long(2, 7, 1, 1));
    assert_eq!(reply.again_in, Some(LONG + ms(1) - SECOND), "2 arrived a second ago");
}

#[test]
fn a_wait_for_many_permits_is_worth_a_twentieth_of_the_limit() {
    let mut book = Book::default();
    let windows = vec![shared(None, LONG, 100)];
    let one_a_second = (1..=6).map(|age| (None, 1, SECOND * age));
    let loose = one_a_second.chain([(None, 94, Duration::ZERO)]).collect();
    book.exchange(NOON, &Message { holder: 1, windows, loose, ..Message::default() });
    for (weight, up_to, after) in [(1, 1, 26), (1, 3, 28), (1, 50, 30), (4, 1, 29)] {
        let reply = book.exchange(NOON, &ask_long(2, 100, weight, up_to));
        assert_eq!(reply.again_in, Some(SECOND * after + ms(1)), "{weight} of {up_to}");
    }
}

#[test]
fn a_request_heavier_than_the_limit_goes_alone() {
    let mut book = Book::default();
    let heavy = |holder| Message { want: Some(Want { scope: None, weight: 5, up_to: 5 }), ..ask(holder, 3, 0) };
    assert_eq!(book.exchange(NOON, &heavy(1)).granted.unwrap().weight, 5);
    assert_eq!(book.exchange(NOON, &heavy(2)).again_in, Some(COUNTS));
}

#[test]
fn permits_are_valid_for_a_tenth_of_the_shortest_window() {
    for (per, valid) in [(500, 100), (1_000, 100), (10_000, 1_000), (60_000, 2_000)] {
        let windows = vec![shared(None, ms(per), 9), shared(None, ms(90_000), 9), shared(Some(Class::Read), ms(1), 9)];
        let reply = Book::default().exchange(NOON, &Message { windows, ..ask(1, 0, 1) });
        assert_eq!(reply.granted.unwrap().valid, ms(valid), "{per}");
    }
    let reply = Book::default().exchange(NOON, &Message { windows: Vec::new(), ..ask(1, 0, 1) });
    assert_eq!(reply.granted.unwrap().valid, ms(2_000));
}

#[test]
fn who_got_all_it_wanted_lacks_nothing() {
    let mut book = Book::default();
    assert_eq!(granted(&mut book, NOON, &ask(1, 10, 10)), 10);
    assert_eq!(granted(&mut book, NOON, &ask(2, 10, 10)), 10);
}

#[test]
fn who_got_too_little_has_its_part_kept_for_two_windows() {
    let mut book = Book::default();
    assert_eq!(granted(&mut book, NOON, &ask(1, 10, 12)), 10);
    assert_eq!(granted(&mut book, NOON, &ask(1, 10, 12)), 10, "nothing is kept from itself");
    for (after, got) in [(Duration::ZERO, 5), (TEN_SECONDS * 2 - MICRO, 5), (TEN_SECONDS * 2, 10)] {
        assert_eq!(granted(&mut book, NOON + after, &ask(2, 10, 10)), got, "{after:?}");
    }
}

#[test]
fn three_have_a_third_each() {
    let mut book = Book::default();
    granted(&mut book, NOON, &ask(1, 12, 20));
    granted(&mut book, NOON, &ask(2, 12, 20));
    assert_eq!(granted(&mut book, NOON, &ask(3, 12, 20)), 4);
}

#[test]
fn no_more_is_kept_for_one_than_twice_what_it_has_and_what_it_asked_for() {
    let mut book = Book::default();
    let loose =
        |holder, weight| Message { loose: vec![(None, weight, Duration::ZERO)], want: None, ..ask(holder, 20, 0) };
    book.exchange(NOON, &loose(1, 2));
    book.exchange(NOON, &loose(2, 18));
    assert!(book.exchange(NOON, &ask(1, 20, 1)).granted.is_none());
    assert_eq!(granted(&mut book, NOON + SECOND * 11, &ask(2, 20, 20)), 15);
}

#[test]
fn what_one_lacks_in_a_window_is_not_kept_in_another() {
    let both = |holder, scope, up_to| Message {
        windows: vec![
            shared(None, TEN_SECONDS, 10),
            shared(Some(Class::Search), TEN_SECONDS, 8),
            shared(Some(Class::Search), LONG, 9),
        ],
        want: Some(Want { scope, weight: 1, up_to }),
        ..ask(holder, 0, 0)
    };
    let search = Some(Class::Search);
    let mut book = Book::default();
    granted(&mut book, NOON, &both(1, None, 12));
    assert_eq!(granted(&mut book, NOON, &both(2, search, 8)), 8);
    // All three windows by now, each once.
    for _ in 0..2 {
        granted(&mut book, NOON, &both(1, search, 20));
    }
    let saved = serde_json::to_value(&book).unwrap();
    assert_eq!(saved["holders"][0]["needs"].as_array().unwrap().len(), 3);
    assert_eq!(granted(&mut book, NOON, &both(2, search, 8)), 4);
    assert_eq!(granted(&mut book, NOON, &both(2, None, 10)), 5);
}

/// Wants one request more under way, of six that all may have.
fn begin(holder: u64, busy: u32, waiting: u32) -> Message {
    Message { windows: Vec::new(), concurrent: Some(6), busy, waiting, ..ask(holder, 0, 1) }
}

#[test]
fn requests_under_way_are_shared_evenly_as_they_become_free() {
    let mut book = Book::default();
    let mut share = |holder, busy, waiting| book.exchange(NOON, &begin(holder, busy, waiting)).share.unwrap();
    assert_eq!(share(1, 1, 1), 2, "no more than it can use");
    assert_eq!(share(1, 0, 9), 6);
    assert_eq!(share(2, 0, 9), 0, "nothing is free");
    assert_eq!(share(1, 2, 9), 3);
    assert_eq!(share(2, 0, 9), 3);
    assert_eq!(share(1, 5, 0), 3, "it has more under way already");
    assert_eq!(share(2, 0, 9), 1);
    assert_eq!(share(1, 0, 1), 1);
    assert_eq!(share(3, 0, 9), 2);
}

#[test]
fn who_has_no_share_asks_again_soon_and_who_has_one_is_granted() {
    let mut book = Book::default();
    book.exchange(NOON, &begin(1, 0, 9));
    let refused = book.exchange(NOON, &begin(2, 0, 1));
    assert_eq!((refused.granted, refused.again_in), (None, Some(ms(200))));
    book.exchange(NOON, &Message { want: None, ..begin(1, 5, 0) });
    assert!(book.exchange(NOON, &begin(2, 0, 1)).granted.is_some());
    assert!(book.exchange(NOON, &begin(2, 1, 1)).granted.is_none(), "its one is under way");
    let search = Message { want: Some(Want { scope: Some(Class::Search), weight: 1, up_to: 1 }), ..begin(2, 1, 1) };
    let reply = book.exchange(NOON, &search);
    assert_eq!((reply.share, reply.granted.is_some()), (None, true), "a class has no share of its own");
}

#[test]
fn who_is_silent_for_a_minute_has_nothing_under_way() {
    let mut book = Book::default();
    book.exchange(NOON, &begin(1, 0, 9));
    assert_eq!(book.exchange(NOON + LIVE - MICRO, &begin(2, 0, 9)).share, Some(0));
    assert_eq!(book.exchange(NOON + LIVE, &begin(2, 0, 9)).share, Some(6));
    assert_eq!(kept(&book, "holders"), 1);
}

#[test]
fn a_hold_lasts_to_its_end_and_one_for_each_reason() {
    let mut book = Book::default();
    let hold = |seconds: u64, reason| Message { holds: vec![(SECOND * seconds as u32, reason)], ..ask(1, 10, 1) };
    let reply = book.exchange(NOON, &hold(10, HoldReason::RetryAfter));
    assert_eq!((reply.hold, reply.granted), (Some((TEN_SECONDS, HoldReason::RetryAfter)), None));
    book.exchange(NOON, &hold(5, HoldReason::RetryAfter));
    book.exchange(NOON, &hold(20, HoldReason::Outage));
    assert_eq!(book.exchange(NOON, &ask(2, 10, 1)).hold, Some((SECOND * 20, HoldReason::Outage)));
    let over = Message { released: Some(HoldReason::Outage), ..ask(1, 10, 1) };
    assert_eq!(book.exchange(NOON, &over).hold, Some((TEN_SECONDS, HoldReason::RetryAfter)));
    let reply = book.exchange(NOON + TEN_SECONDS - MICRO, &ask(2, 10, 1));
    assert_eq!((reply.hold, reply.granted), (Some((MICRO, HoldReason::RetryAfter)), None));
    let reply = book.exchange(NOON + TEN_SECONDS, &ask(2, 10, 1));
    assert_eq!((reply.hold, reply.granted.is_some()), (None, true));
}

#[test]
fn the_day_counts_what_was_granted_less_what_came_back() {
    let settings = Daily { requests: n(10), zone: jiff::tz::TimeZone::UTC, reserve_percent: 0 };
    let want = |scope, weight, up_to| Message {
        windows: Vec::new(),
        daily: Some(SharedDay { settings: settings.clone(), limit: 8 }),
        want: Some(Want { scope, weight, up_to }),
        ..ask(1, 0, 0)
    };
    let mut book = Book::default();
    let got = |book: &mut Book, up_to| book.exchange(NOON, &want(None, 1, up_to)).granted.map(|got| got.weight);
    assert_eq!(got(&mut book, 5), Some(5));
    assert!(book.exchange(NOON, &want(None, 4, 4)).granted.is_none(), "3 are left");
    let search = book.exchange(NOON, &want(Some(Class::Search), 1, 9));
    assert_eq!(search.granted.unwrap().weight, 9, "each request is counted once, with the permit that all need");
    assert_eq!(got(&mut book, 5), Some(3));
    let midnight = NOON + SECOND * 12 * 3600;
    assert_eq!(book.exchange(NOON, &want(None, 1, 1)).spent, Some(Some(midnight)));
    let returns = vec![Return { grant: 3, unused: 2, arrived: vec![(1, Duration::ZERO)] }];
    book.exchange(NOON, &Message { want: None, returns, ..want(None, 1, 1) });
    let returns = vec![Return { grant: 2, unused: 9, arrived: Vec::new() }];
    book.exchange(NOON, &Message { want: None, returns, ..want(None, 1, 1) });
    book.exchange(NOON, &Message { want: None, loose: vec![(None, 1, Duration::ZERO)], ..want(None, 1, 1) });
    assert_eq!(got(&mut book, 5), Some(1));
    assert_eq!(got(&mut book, 1), None);
    let reply = book.exchange(midnight, &want(None, 1, 9));
    assert_eq!(reply.granted.map(|got| got.weight), Some(8), "a new day");
}
