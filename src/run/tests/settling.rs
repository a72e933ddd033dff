//! What each end of a row is counted as, and what is kept of it.

use std::time::Duration;

use super::{Kit, Step, answered, fault, kit::advance, row, rows};
use crate::{
    destination::{Outcome, Rejection},
    model::{
        Held, Key, KeyKind, Operation, RejectedMark, Value, encode_part,
        spec::{Mode, OnRemoved},
    },
    run::Resync,
    state::RunStatus,
    wire::{FaultKind, Sent, VendorText},
};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn standing_rejects(kit: &Kit) -> Vec<RejectedMark> {
    let state = kit.engine.state();
    let sync = state.sync("s").await.unwrap().unwrap();
    state.rejected(sync.id, None, 1_000).await.unwrap().into_iter().map(|(_, mark)| mark).collect()
}

/// What the state holds for a key.
pub(super) async fn held(kit: &Kit, id: i64) -> Held {
    let state = kit.engine.state();
    let sync = state.sync("s").await.unwrap().unwrap();
    let mut key = Vec::new();
    encode_part(Value::Int(id), KeyKind::Integer, 0, &mut key).unwrap();
    state.held(sync.id, &Key::from_encoded(&key)).await.unwrap()
}

/// What is kept of the vendor's words about the one refused row.
async fn kept_words(kit: &Kit) -> String {
    let rejects = standing_rejects(kit).await;
    assert_eq!(rejects.len(), 1);
    String::from_utf8(kit.engine.state().unseal("message", &rejects[0].sealed_message).unwrap()).unwrap()
}

fn blamed(field: &str) -> Outcome {
    Outcome::Rejected(Rejection {
        code: "INVALID".to_owned(),
        text: VendorText::new("is not valid"),
        field: Some(field.to_owned()),
        conflict: false,
    })
}

fn refuse(kit: &Kit, ids: std::ops::Range<i64>) {
    ids.for_each(|id| kit.vendor.refuse(&format!("{id}@x")));
}

#[tokio::test]
async fn a_removal_of_a_record_that_is_gone_counts_as_delivered() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..3, "a")).await;
    kit.vendor.calls();
    kit.vendor.script([answered(|_| Outcome::Gone)]);
    let report = kit.run_ok(&rows(0..2, "a")).await;
    assert_eq!((report.counts.removed, report.counts.delivered), (1, 1));
    let calls = kit.vendor.calls();
    assert_eq!(calls.iter().map(|call| call.operation).collect::<Vec<_>>(), [Operation::Delete]);
    assert_eq!(kit.run_ok(&rows(0..2, "a")).await.counts.read, 2);
    assert!(kit.vendor.calls().is_empty());
}

#[tokio::test]
async fn a_run_is_stopped_when_more_than_half_of_its_first_rows_are_refused() {
    for (refused, status, left_over) in [(100, RunStatus::Partial, 0), (101, RunStatus::Failed, 200)] {
        let kit = Kit::with(100, |_| {}).await;
        refuse(&kit, 50..50 + refused);
        let report = kit.run(&rows(0..400, "a")).await;
        assert_eq!((report.status, report.counts.left_over), (status, left_over), "{refused}: {report:?}");
    }
}

#[tokio::test]
async fn a_few_refused_rows_are_not_judged() {
    let kit = Kit::with(100, |_| {}).await;
    refuse(&kit, 0..199);
    let report = kit.run(&rows(0..199, "a")).await;
    assert_eq!((report.status, report.counts.rejected), (RunStatus::Partial, 199), "{report:?}");
}

#[tokio::test]
async fn rows_that_all_exist_stop_a_run_unless_they_stood_refused_before() {
    let insert = || Kit::with(100, |sync| (sync.mode, sync.on_removed) = (Mode::Insert, OnRemoved::Keep));
    let exist = |kit: &Kit| (0..250).for_each(|id| kit.vendor.put(&format!("{id}@x"), "theirs"));
    let kit = insert().await;
    exist(&kit);
    let report = kit.run(&rows(0..600, "a")).await;
    assert_eq!((report.status, report.counts.rejected), (RunStatus::Failed, 200), "{report:?}");

    let kit = insert().await;
    refuse(&kit, 0..100);
    refuse(&kit, 300..450);
    kit.run(&rows(0..600, "a")).await;
    assert_eq!(standing_rejects(&kit).await.len(), 250);
    kit.vendor.accept_all();
    (0..100).chain(300..450).for_each(|id| kit.vendor.put(&format!("{id}@x"), "theirs"));
    advance(Duration::from_secs(15 * 60)).await;
    let mut model = rows(0..600, "a");
    model.push(row(900, "900@x", "new"));
    let report = kit.run(&model).await;
    assert_eq!((report.status, report.counts.rejected), (RunStatus::Partial, 250), "{report:?}");
    assert!(standing_rejects(&kit).await.iter().all(|mark| mark.code == "exists" && mark.next_try.is_none()));
}

#[tokio::test]
async fn a_row_that_exists_is_told_why() {
    let kit = Kit::with(10, |sync| (sync.mode, sync.on_removed) = (Mode::Insert, OnRemoved::Keep)).await;
    kit.vendor.put("1@x", "theirs");
    kit.run(&rows(1..2, "ann")).await;
    let words = "a record with this match value stands there already, and it is never touched in this mode";
    assert_eq!(kept_words(&kit).await, words);
}

#[tokio::test]
async fn a_row_that_was_refused_with_its_request_has_a_code_of_its_own() {
    for (kind, code) in [(FaultKind::TooLarge, "too_large"), (FaultKind::BatchRefused, "refused")] {
        let kit = Kit::new().await;
        kit.vendor.script([fault(kind, Sent::Yes)]);
        assert_eq!(kit.run(&rows(1..2, "a")).await.counts.rejected, 1);
        assert_eq!(standing_rejects(&kit).await[0].code, code);
    }
}

#[tokio::test]
async fn the_words_about_a_refused_row_name_a_field_of_the_mapping() {
    let kit = Kit::new().await;
    kit.vendor.script([answered(|_| blamed("name"))]);
    kit.run(&[row(1, "ann@example.com", "name")]).await;
    // The field's name is kept although the row's value is the same word.
    assert_eq!(kept_words(&kit).await, "name: is not valid");
}

#[tokio::test]
async fn a_value_that_a_vendor_calls_a_field_is_masked() {
    let kit = Kit::new().await;
    kit.vendor.script([answered(|_| blamed("canary-of-ann"))]);
    kit.run(&[row(1, "ann@example.com", "canary-of-ann")]).await;
    assert_eq!(kept_words(&kit).await, "***: is not valid");
}

#[tokio::test]
async fn a_refused_row_waits_twice_as_long_each_time_and_at_most_a_day() {
    let kit = Kit::new().await;
    refuse(&kit, 1..2);
    for minutes in [15_u64, 30, 60, 120, 240, 480, 960, 1_440, 1_440] {
        assert_eq!(kit.run(&rows(1..2, "a")).await.counts.rejected, 1);
        let wait = Duration::from_secs(minutes * 60);
        let mark = standing_rejects(&kit).await.remove(0);
        assert_eq!(mark.next_try, Some(mark.last_at + wait));
        // Tokio's clock goes on between the two steps: far more than a slow machine needs for a run.
        advance(wait - MINUTE).await;
        assert_eq!(kit.run(&rows(1..2, "a")).await.counts.waiting, 1);
        advance(MINUTE).await;
    }
}

#[tokio::test]
async fn a_key_that_left_and_is_kept_keeps_its_place_in_a_resync() {
    let kit = Kit::with(10, |sync| sync.on_removed = OnRemoved::Keep).await;
    kit.run_ok(&rows(0..3, "a")).await;
    kit.engine.resync("s", &Resync::Whole).await.unwrap();
    let report = kit.run_ok(&rows(0..2, "a")).await;
    assert_eq!((report.counts.delivered, report.counts.skipped), (2, 1), "{report:?}");
    let report = kit.run_ok(&rows(0..2, "a")).await;
    assert_eq!((report.counts.read, report.counts.unchanged, report.counts.removed), (2, 2, 0));
}

#[tokio::test]
async fn a_key_that_left_and_is_kept_names_the_run_that_saw_it_leave() {
    let kit = Kit::with(10, |sync| sync.on_removed = OnRemoved::Keep).await;
    kit.run_ok(&rows(1..2, "a")).await;
    let left = kit.run_ok(&[]).await;
    let entry = held(&kit, 1).await.entry.unwrap();
    assert_eq!((entry.tombstone, Some(entry.run)), (true, left.run));
}

#[tokio::test]
async fn after_an_unanswered_attempt_another_value_waits_for_the_late_window_and_not_longer() {
    let kit = Kit::new().await;
    kit.vendor.script([Step::Late]);
    // The second attempt is answered, the first one may still be applied.
    assert_eq!(kit.run_ok(&rows(0..1, "a")).await.counts.delivered, 1);
    assert_eq!(kit.run(&rows(0..1, "b")).await.counts.waiting, 1);
    advance(Duration::from_secs(50)).await;
    assert_eq!(kit.run(&rows(0..1, "b")).await.counts.waiting, 1);
    advance(Duration::from_secs(60)).await;
    assert_eq!(kit.run_ok(&rows(0..1, "b")).await.counts.delivered, 1);
    // Its own attempt was answered, so that nothing has to wait for it.
    assert_eq!(kit.run_ok(&rows(0..1, "c")).await.counts.delivered, 1);
}

#[tokio::test]
async fn a_record_stays_its_owners_when_the_row_that_was_to_take_it_over_is_refused() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.refuse("1@x");
    assert_eq!(kit.run(&[row(2, "1@x", "b")]).await.counts.rejected, 1);
    kit.vendor.accept_all();
    kit.run(&[row(1, "9@x", "c")]).await;
    assert_eq!(kit.vendor.records(), [("9@x".to_owned(), "c".to_owned())]);
}

#[tokio::test]
async fn a_record_that_somebody_deleted_is_made_again() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..2, "a")).await;
    kit.vendor.delete("1@x");
    kit.vendor.calls();
    let report = kit.run_ok(&rows(0..2, "b")).await;
    assert_eq!((report.counts.delivered, report.counts.rejected), (2, 0), "{report:?}");
    let operations: Vec<_> = kit.vendor.calls().iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Update, Operation::Upsert]);
    kit.converges(&rows(0..2, "b")).await;
}

#[tokio::test]
async fn a_row_that_clashes_is_tried_once_more_at_the_end_and_then_refused() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.put("9@x", "theirs");
    kit.vendor.calls();
    let report = kit.run(&[row(1, "9@x", "a")]).await;
    assert_eq!((report.counts.rejected, report.counts.left_over), (1, 0), "{report:?}");
    assert_eq!(kit.vendor.calls().len(), 2);
}

#[tokio::test]
async fn a_record_that_exists_after_an_unanswered_insert_counts_as_ours() {
    let kit = Kit::with(10, |sync| (sync.mode, sync.on_removed) = (Mode::Insert, OnRemoved::Keep)).await;
    kit.vendor.script([Step::Late, answered(|_| Outcome::Exists { record_id: Some("7".into()) })]);
    let report = kit.run_ok(&rows(1..2, "a")).await;
    assert_eq!((report.counts.delivered, report.counts.rejected), (1, 0), "{report:?}");
}
