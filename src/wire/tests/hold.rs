//! Holds of one account: each reason has its own end.

use std::time::Duration;

use crate::{
    clock::Clock,
    model::Timestamp,
    wire::{
        HoldReason::{self, Credentials, Operator, Outage, Quota, RetryAfter},
        HoldState,
        hold::Hold,
    },
};

/// Sun, 22 Nov 2026 12:00:00 GMT.
const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn until(after: Duration, reason: HoldReason) -> HoldState {
    HoldState::Until { at: NOON + after, reason }
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_at_its_time() {
    let (hold, clock) = (Hold::new(), Clock::following_tokio(NOON));
    assert!(hold.hold_for(MINUTE, RetryAfter), "it was open");
    assert_eq!(hold.state(&clock), until(MINUTE, RetryAfter));
    assert!(!hold.hold_for(MINUTE, Quota), "it was not open any more");
    tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
    assert_ne!(hold.state(&clock), HoldState::Open);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(hold.state(&clock), HoldState::Open);
    assert!(hold.hold_for(MINUTE, RetryAfter), "it was open again");
    assert_eq!(hold.state(&clock), until(2 * MINUTE, RetryAfter));
}

#[tokio::test(start_paused = true)]
async fn a_hold_lasts_at_most_a_leap_year() {
    let (hold, clock) = (Hold::new(), Clock::following_tokio(NOON));
    hold.hold_for(300 * DAY, RetryAfter);
    assert_eq!(hold.state(&clock), until(300 * DAY, RetryAfter));
    hold.hold_for(Duration::MAX, RetryAfter);
    assert_eq!(hold.state(&clock), until(366 * DAY, RetryAfter));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_hold_does_not_end_another() {
    let (hold, clock) = (Hold::new(), Clock::following_tokio(NOON));
    hold.hold_for(MINUTE, RetryAfter);
    hold.hold_for(2 * MINUTE, Outage);
    assert_eq!(hold.state(&clock), until(2 * MINUTE, Outage), "the latest end counts");
    assert!(!hold.release_timed(Quota));
    assert!(hold.release_timed(Outage));
    assert_eq!(hold.state(&clock), until(MINUTE, RetryAfter));
    assert!(!hold.release_timed(Outage), "there is none any more");
}

#[test]
fn what_is_shut_is_opened_for_its_own_reason_alone() {
    let (hold, clock) = (Hold::new(), Clock::following_tokio(NOON));
    assert!(!hold.open(Credentials));
    assert!(hold.shut(Credentials));
    assert!(!hold.shut(Credentials), "it was shut already");
    assert!(!hold.open(Operator));
    assert_eq!(hold.state(&clock), HoldState::Shut(Credentials));
    assert!(hold.open(Credentials));
    assert_eq!(hold.state(&clock), HoldState::Open);
}

#[test]
fn a_hold_says_why_and_until_when() {
    assert_eq!(until(MINUTE, Quota).until(), Some(NOON + MINUTE));
    assert_eq!((HoldState::Open.until(), HoldState::Shut(Operator).until()), (None, None));
    let said = |state: HoldState| state.to_string();
    assert_eq!(said(HoldState::Open), "open");
    assert_eq!(said(HoldState::Shut(Credentials)), "credentials refused, until released");
    assert_eq!(said(until(MINUTE, Quota)), format!("quota spent, until {}", NOON + MINUTE));
}
