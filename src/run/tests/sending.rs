//! What is sent, how often, under which name, and what is kept of it in case of a crash.

use std::time::Duration;

use super::{Kit, Row, Step, answered, fault, kit::advance, row, rows, settling::held};
use crate::{
    destination::{Outcome, Rejection},
    model::{
        DirtyMark, Operation, Timestamp,
        spec::{Mode, OnRemoved, WindowSpec},
    },
    run::RunReport,
    state::RunStatus,
    wire::{Fault, FaultKind, SavedGrants, Sent, VendorText},
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs while each wait between two requests takes no time.
async fn run_fast(kit: &Kit, model: &[Row]) -> RunReport {
    let mut run = std::pin::pin!(kit.run(model));
    loop {
        tokio::select! {
            biased;
            report = &mut run => return report,
            () = kit.vendor.called.notified() => advance(SECOND / 2).await,
        }
    }
}

/// Runs, and lets so much time pass after the first request.
async fn run_after(kit: &Kit, model: &[Row], time: Duration) -> RunReport {
    let wait = async {
        kit.vendor.called.notified().await;
        advance(time).await;
    };
    tokio::join!(kit.run(model), wait).0
}

fn asked_to_wait(kind: FaultKind, seconds: u32) -> Step {
    let mut fault = Fault::new(kind, Sent::Yes);
    fault.retry_after = Some(SECOND * seconds);
    Step::Fail(fault)
}

#[tokio::test]
async fn three_requests_without_an_answer_in_all_their_attempts_end_the_run() {
    let kit = Kit::with(1, |_| {}).await;
    kit.vendor.script((0..30).map(|_| fault(FaultKind::Connect, Sent::No)));
    let report = run_fast(&kit, &rows(0..10, "a")).await;
    assert_eq!((report.status, report.counts.left_over), (RunStatus::Failed, 10), "{report:?}");
    assert_eq!((kit.vendor.calls().len(), report.requests.retries, report.requests.batches), (9, 6, 3));
}

#[tokio::test]
async fn an_answer_between_them_begins_the_count_anew() {
    let kit = Kit::with(1, |_| {}).await;
    let failed = || (0..6).map(|_| fault(FaultKind::Server, Sent::No));
    kit.vendor.script(failed().chain([Step::Apply]).chain(failed()).chain([Step::Apply]));
    let report = run_fast(&kit, &rows(0..6, "a")).await;
    assert_eq!((report.counts.delivered, report.counts.left_over), (2, 4), "{report:?}");
}

#[tokio::test]
async fn a_run_ends_when_its_account_has_spent_its_retries() {
    let kit = Kit::with(1, |_| {}).await;
    kit.vendor.script((0..25).flat_map(|_| [fault(FaultKind::Server, Sent::Yes), Step::Apply]));
    let report = run_fast(&kit, &rows(0..25, "a")).await;
    // One comes back every 30 seconds, which a slow machine may need.
    let retries = report.requests.retries;
    assert!((20..=22).contains(&retries), "{report:?}");
    assert_eq!((report.counts.delivered, report.counts.unknown), (retries, 1), "{report:?}");
    assert_eq!((report.status, kit.vendor.calls().len() as u64), (RunStatus::Failed, 2 * retries + 1));
}

#[tokio::test]
async fn two_minutes_after_an_error_are_waited_for_and_longer_ends_the_run() {
    let kit = Kit::new().await;
    kit.vendor.script([asked_to_wait(FaultKind::Server, 120)]);
    let report = run_after(&kit, &rows(0..5, "a"), SECOND * 120).await;
    assert_eq!((report.status, report.counts.delivered), (RunStatus::Ok, 5), "{report:?}");
    let kit = Kit::new().await;
    kit.vendor.script([asked_to_wait(FaultKind::Server, 121)]);
    let report = run_after(&kit, &rows(0..5, "a"), SECOND * 121).await;
    assert_eq!((report.status, kit.vendor.calls().len()), (RunStatus::Deferred, 1), "{report:?}");
}

#[tokio::test]
async fn a_request_takes_twenty_answers_of_too_many_requests_and_they_are_no_attempts() {
    for (refused, status) in [(20, RunStatus::Ok), (21, RunStatus::Deferred)] {
        let kit = Kit::new().await;
        kit.vendor.script((0..refused).map(|_| fault(FaultKind::Throttled, Sent::Yes)));
        let report = kit.run(&rows(0..5, "a")).await;
        assert_eq!((report.status, report.requests.retries), (status, 0), "{report:?}");
        assert_eq!(kit.vendor.calls().len(), 21);
    }
}

#[tokio::test]
async fn a_stop_during_a_request_lets_it_end_and_begins_nothing_new() {
    let kit = Kit::new().await;
    kit.vendor.script([Step::Pause]);
    let stop = async {
        kit.vendor.hanging.notified().await;
        kit.shutdown.cancel();
        kit.vendor.go_on.notify_one();
    };
    let model = rows(0..35, "a");
    let (report, ()) = tokio::join!(kit.run(&model), stop);
    let counts = report.counts;
    assert_eq!((report.status, counts.delivered, counts.left_over), (RunStatus::Interrupted, 10, 25), "{report:?}");
    assert_eq!(kit.vendor.calls().len(), 1);
    assert!(report.requests.batches <= 3, "no further batch is formed: {report:?}");
}

#[tokio::test]
async fn a_request_may_be_begun_as_long_as_its_intent_says() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..5, "a")).await;
    let times = kit.vendor.times.lock().unwrap().clone();
    assert!(matches!(times[..], [Some(time)] if time > SECOND * 20 && time <= SECOND * 30), "{times:?}");
}

#[tokio::test]
async fn a_batch_that_expired_as_a_whole_is_the_same_batch() {
    let kit = Kit::new().await;
    kit.vendor.script([fault(FaultKind::Expired, Sent::No)]);
    kit.run_ok(&rows(0..2, "a")).await;
    let calls = kit.vendor.calls();
    assert_eq!(calls[0], calls[1]);

    let kit = Kit::new().await;
    let locked = answered(|row| match row.correlation {
        0 => Outcome::Delivered { record_id: Some("77".into()) },
        _ => {
            let text = VendorText::new("locked");
            Outcome::Retry(Rejection { code: "LOCKED".to_owned(), text, field: None, conflict: false })
        }
    });
    kit.vendor.script([locked, fault(FaultKind::Expired, Sent::No)]);
    kit.run_ok(&rows(0..2, "a")).await;
    let calls = kit.vendor.calls();
    assert_eq!(calls.iter().map(|call| call.rows.len()).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(calls[2].key != calls[0].key && calls[2].key != calls[1].key);
}

#[tokio::test]
async fn an_insert_that_is_found_is_not_sent_again_and_the_others_are() {
    let kit = Kit::with(10, |sync| (sync.mode, sync.on_removed) = (Mode::Insert, OnRemoved::Keep)).await;
    kit.vendor.put("1@x", "made");
    kit.vendor.script([fault(FaultKind::Dropped, Sent::Maybe)]);
    let report = kit.run_ok(&rows(0..3, "a")).await;
    assert_eq!(report.counts.delivered, 3);
    let calls = kit.vendor.calls();
    let sent = |at: usize| calls[at].rows.iter().map(|(_, email)| email.as_str()).collect::<Vec<_>>();
    assert_eq!((sent(0), sent(1)), (vec!["0@x", "1@x", "2@x"], vec!["0@x", "2@x"]));
}

#[tokio::test]
async fn grants_are_saved_with_each_batch_and_count_those_that_are_under_way() {
    let mut specs = Kit::specs();
    specs.destinations[0].limits.windows = vec![WindowSpec { requests: 1_000, per: SECOND * 3_600, smooth: false }];
    let kit = Kit::of(10, specs).await;
    kit.run_ok(&rows(0..100, "a")).await;
    assert_eq!(kit.vendor.calls().len(), 10);
    let saved = kit.engine.state().grants("http:1").await.unwrap().unwrap();
    let saved: SavedGrants = serde_json::from_slice(&saved).unwrap();
    let ahead: u32 = saved.windows[0].grants.iter().map(|(_, weight)| weight).sum();
    assert!((1..=3).contains(&ahead), "the last batch, and what had not ended before it: {ahead}");
}

/// The marks of a key, oldest first.
async fn marks(kit: &Kit, id: i64) -> Vec<DirtyMark> {
    let mut marks = held(kit, id).await.dirty;
    marks.sort_by_key(|mark| mark.intent);
    marks
}

/// The match value that is kept to find the record by, after a run whose requests get no answer.
async fn kept_match(kit: &Kit, model: &[Row], id: i64) -> Option<String> {
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(model).await;
    let marks = marks(kit, id).await;
    let sealed = marks.last().unwrap().sealed_match.as_deref()?;
    Some(String::from_utf8(kit.engine.state().unseal("match", sealed).unwrap()).unwrap())
}

#[tokio::test]
async fn a_request_keeps_what_finds_its_record_if_it_gets_no_answer() {
    let kit = Kit::new().await;
    assert_eq!(kept_match(&kit, &rows(1..2, "a"), 1).await.as_deref(), Some("1@x"), "its id is not known");
    let kit = Kit::new().await;
    kit.run_ok(&rows(1..2, "a")).await;
    assert_eq!(kept_match(&kit, &rows(1..2, "b"), 1).await, None, "its id is known");
    let kit = Kit::new().await;
    kit.run_ok(&rows(1..2, "a")).await;
    let moved = kept_match(&kit, &[row(1, "9@x", "a")], 1).await;
    assert_eq!(moved.as_deref(), Some("9@x"), "another row may be found by the new value");
    let kit = Kit::new().await;
    kit.run_ok(&rows(1..2, "a")).await;
    assert_eq!(kept_match(&kit, &[], 1).await, None, "a removal needs no value");
}

#[tokio::test]
async fn the_mark_of_a_key_whose_record_is_taken_over_names_the_record_and_no_values() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(&[row(2, "1@x", "b")]).await;
    let marks = marks(&kit, 1).await;
    assert_eq!(marks.len(), 1);
    assert_eq!((marks[0].operation, marks[0].record_id.as_deref()), (Operation::Update, Some("1")));
    assert!(marks[0].fingerprint.is_none() && marks[0].ambiguous_at > Some(Timestamp::from_micros(0)));
}
