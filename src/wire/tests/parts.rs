//! The pure parts: `Retry-After`, backoff, fault table, vendor text, limits.

use std::{num::NonZeroU32, time::Duration};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use proptest::prelude::*;

use crate::{
    model::Timestamp,
    wire::{
        Directive, Fault, FaultKind, HoldReason, HoldState, Limits, LimitsError, MAX_RETRY_AFTER, Request, RetryBudget,
        Sent, VendorText, Window, backoff, retry_after,
    },
};

/// Sun, 22 Nov 2026 12:00:00 GMT.
const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);

fn parsed(text: &[u8]) -> Option<Duration> {
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_bytes(text).ok()?)]);
    retry_after(&headers, NOON)
}

#[test]
fn retry_after_is_read_in_every_form_and_clamped() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let cases: [(&str, Option<Duration>); 14] = [
        ("0", seconds(0)),
        ("17", seconds(17)),
        (" 17 ", seconds(17)),
        ("1.5", Some(Duration::from_millis(1_500))),
        ("-5", seconds(0)),
        ("315360000", Some(MAX_RETRY_AFTER)),
        ("99999999999999999999999999", Some(MAX_RETRY_AFTER)),
        ("1e99", Some(MAX_RETRY_AFTER)),
        ("inf", Some(MAX_RETRY_AFTER)),
        ("NaN", None),
        ("Sun, 22 Nov 2026 12:00:30 GMT", seconds(30)),
        ("Sun, 22 Nov 2020 12:00:30 GMT", seconds(0)),
        ("Sun, 22 Nov 2026 23:00:00 GMT", Some(MAX_RETRY_AFTER)),
        ("soon", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parsed(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), NOON), None);
}

proptest! {
    #[test]
    fn retry_after_never_panics_nor_exceeds_the_hour(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(parsed(&bytes).is_none_or(|wait| wait <= MAX_RETRY_AFTER));
    }

    #[test]
    fn a_backoff_stays_below_its_doubling_and_its_cap(attempt in 0u32..200, seed in any::<u64>()) {
        let (base, cap) = (Duration::from_millis(500), Duration::from_secs(30));
        let mut rng = fastrand::Rng::with_seed(seed);
        let wait = backoff(attempt, base, cap, &mut rng);
        let doubled = base.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
        prop_assert!(wait <= cap.min(doubled));
        prop_assert_eq!(wait, backoff(attempt, base, cap, &mut fastrand::Rng::with_seed(seed)));
    }

    #[test]
    fn vendor_text_is_cut_at_a_character(text in "\\PC{0,600}") {
        let kept = VendorText::new(&text);
        prop_assert!(text.starts_with(kept.expose()));
        prop_assert!(kept.expose().len() <= 512 && (text.len() <= 512 || kept.expose().len() > 508));
    }
}

#[test]
fn waits_are_spread_over_the_doubled_base() {
    let (base, cap) = (Duration::from_millis(500), Duration::from_secs(20));
    for (attempt, most) in [(1, 500), (2, 1_000), (3, 2_000), (6, 16_000), (7, 20_000), (100, 20_000)] {
        let waits = (0..200).map(|seed| backoff(attempt, base, cap, &mut fastrand::Rng::with_seed(seed)).as_millis());
        let waits: Vec<_> = waits.collect();
        let (least, longest) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        assert!(least < most / 10 && longest > most * 9 / 10 && longest <= most, "{attempt}: {least} to {longest} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_are_saved_up_to_a_ceiling_and_counted() {
    let budget = RetryBudget::new();
    let all = || std::iter::from_fn(|| budget.withdraw().then_some(())).count();
    assert_eq!(budget.spent(), 0);
    (0..10_000).for_each(|_| budget.deposit());
    assert_eq!((all(), budget.spent()), (200, 200));
    // The requests of those retries earn nothing; ten further first attempts earn one.
    (0..200 + 9).for_each(|_| budget.deposit());
    assert_eq!(all(), 0);
    budget.deposit();
    assert_eq!((all(), budget.spent()), (1, 201));
}

#[tokio::test(start_paused = true)]
async fn asking_in_vain_does_not_put_the_refill_off() {
    let budget = RetryBudget::new();
    while budget.withdraw() {}
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(14)).await;
        assert!(!budget.withdraw());
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(budget.withdraw());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_time_gives_back_the_floor_of_the_retry_budget() {
    let budget = RetryBudget::new();
    let all = || std::iter::from_fn(|| budget.withdraw().then_some(())).count();
    assert_eq!(all(), 20);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(all(), 2);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert_eq!(all(), 20);
}

#[tokio::test(start_paused = true)]
async fn retries_earn_no_further_retries() {
    let budget = RetryBudget::new();
    let mut requests = 0;
    for first in 1..=1_000 {
        budget.deposit();
        requests += 1;
        while budget.withdraw() {
            budget.deposit();
            requests += 1;
        }
        assert!(requests * 10 <= first * 11 + 200, "{requests} requests for {first} first attempts");
    }
    assert_eq!(requests, 1_120);
}

#[test]
fn directives_follow_from_the_kind() {
    let until = HoldState::Until { at: NOON, reason: HoldReason::RetryAfter };
    let cases = [
        (FaultKind::Connect, Directive::Retry),
        (FaultKind::Tls, Directive::StopRun),
        (FaultKind::TimedOut, Directive::Retry),
        (FaultKind::Throttled, Directive::Hold),
        (FaultKind::QuotaSpent { until: None }, Directive::Defer),
        (FaultKind::BatchRefused, Directive::Split),
        (FaultKind::TooLarge, Directive::Split),
        (FaultKind::Held(until), Directive::Defer),
        (FaultKind::Held(HoldState::Shut(HoldReason::Credentials)), Directive::StopRun),
        (FaultKind::Held(HoldState::Shut(HoldReason::Operator)), Directive::Defer),
    ];
    for (kind, directive) in cases {
        assert_eq!(kind.directive(), directive, "{kind:?}");
    }
}

#[test]
fn faults_and_requests_show_no_values() {
    let fault = Fault::answered(FaultKind::BatchRefused, http::StatusCode::BAD_REQUEST)
        .with_code("INVALID_EMAIL")
        .with_text("canary is not a valid e-mail");
    assert_eq!(fault.to_string(), "batch refused (status 400, code `INVALID_EMAIL`)");
    assert_eq!(fault.sent, Sent::Yes);
    let url = "https://api.example.com/canary?canary".parse().unwrap();
    let request = Request::new(http::Method::POST, url, super::super::Class::Write, "/{id}").json("canary");
    assert!(!format!("{fault:?} {request:?}").contains("canary"));
}

#[test]
fn limits_are_checked_and_merged() {
    let n = |number| NonZeroU32::new(number).unwrap();
    let window = |requests, seconds| Window::new(n(requests), Duration::from_secs(seconds));
    let limits = |windows: Vec<Window>| Limits { windows, ..Limits::default() };
    assert_eq!(limits(vec![window(5, 0)]).validate(n(1)), Err(LimitsError::Length(Duration::ZERO)));
    let heavy = LimitsError::Weight { weight: n(6), requests: n(5) };
    assert_eq!(limits(vec![window(5, 1)]).validate(n(6)), Err(heavy));

    let narrowest = limits(vec![window(100, 10), window(10, 1)])
        .narrowest(&Limits { concurrent: Some(n(4)), ..limits(vec![window(50, 10), window(20, 1), window(1000, 60)]) });
    assert_eq!(narrowest.windows, [window(50, 10), window(10, 1), window(1000, 60)]);
    assert_eq!(narrowest.concurrent, Some(n(4)));
}
