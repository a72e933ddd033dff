//! One key through faults and changes: lost answers, crashes, late requests, records that are gone.

use std::time::Duration;

use super::{Kit, Step, fault, kit::advance, row, rows};
use crate::{
    state::RunStatus,
    wire::{FaultKind, Sent},
};

const MAYBE: [fn() -> Step; 3] = [|| Step::LoseAnswer, || Step::LoseAnswer, || Step::LoseAnswer];

#[tokio::test]
async fn several_runs_settle_under_their_own_epoch() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..25, "a")).await;
    assert_eq!(kit.run_ok(&rows(0..25, "a")).await.counts.unchanged, 25);
    assert_eq!(kit.run_ok(&rows(0..25, "b")).await.counts.delivered, 25);
    assert_eq!(kit.run_ok(&rows(0..20, "b")).await.counts.removed, 5);
    assert_eq!(kit.vendor.records().len(), 20);
}

#[tokio::test]
async fn a_to_b_to_a_with_a_lost_answer_ends_at_a() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script(MAYBE.map(|step| step()));
    let report = kit.run(&[row(1, "1@x", "b")]).await;
    assert_eq!((report.counts.unknown, report.status), (1, RunStatus::Partial));
    assert_eq!(kit.run(&[row(1, "1@x", "a")]).await.counts.waiting, 1);
    kit.converges(&[row(1, "1@x", "a")]).await;
}

#[tokio::test]
async fn a_crash_then_a_flip_back_ends_at_a() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script([Step::Hang]);
    kit.crash(&[row(1, "1@x", "b")]).await;
    assert_eq!(kit.run(&[row(1, "1@x", "a")]).await.counts.waiting, 1);
    kit.converges(&[row(1, "1@x", "a")]).await;
}

#[tokio::test]
async fn an_insert_that_vanished_with_a_lost_answer_is_removed() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script(MAYBE.map(|step| step()));
    kit.run(&[row(1, "1@x", "a"), row(2, "2@x", "a")]).await;
    assert_eq!(kit.vendor.records().len(), 2);
    assert_eq!(kit.run(&[row(1, "1@x", "a")]).await.counts.waiting_removals, 1);
    kit.converges(&[row(1, "1@x", "a")]).await;
}

#[tokio::test]
async fn an_insert_with_a_lost_answer_and_a_new_match_value_is_one_record() {
    let kit = Kit::new().await;
    kit.vendor.script(MAYBE.map(|step| step()));
    kit.run(&[row(1, "old@x", "a")]).await;
    kit.converges(&[row(1, "new@x", "a")]).await;
}

#[tokio::test]
async fn a_late_request_cannot_overwrite_a_newer_record() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    // The first attempt stays under way at the vendor; the second is acknowledged.
    kit.vendor.script([Step::Late, Step::Apply]);
    kit.run_ok(&[row(1, "1@x", "b")]).await;
    assert_eq!(kit.run(&[row(1, "1@x", "c")]).await.counts.waiting, 1);
    kit.vendor.apply_late();
    kit.converges(&[row(1, "1@x", "c")]).await;
}

#[tokio::test]
async fn the_late_window_survives_a_record_that_is_gone() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script([Step::Late]);
    kit.vendor.delete("1@x");
    // Late, then gone, then an upsert that is acknowledged: the first may still come.
    kit.run_ok(&[row(1, "1@x", "b")]).await;
    assert_eq!(kit.run(&[row(1, "1@x", "c")]).await.counts.waiting, 1);
    kit.converges(&[row(1, "1@x", "c")]).await;
}

#[tokio::test]
async fn a_gone_record_is_made_again_once() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..3, "a")).await;
    kit.vendor.delete("1@x");
    let report = kit.run_ok(&rows(0..3, "b")).await;
    assert_eq!((report.counts.delivered, kit.vendor.records().len()), (3, 3));
    kit.converges(&rows(0..3, "b")).await;
}

#[tokio::test]
async fn an_unanswered_batch_is_formed_again_with_its_idempotency_key() {
    let kit = Kit::new().await;
    kit.vendor.script(MAYBE.map(|step| step()));
    kit.run(&rows(0..10, "a")).await;
    let first = kit.vendor.calls();
    assert!(first.iter().all(|call| *call == first[0]), "retries are the same request");
    advance(Duration::from_secs(200)).await;
    kit.run_ok(&rows(0..10, "a")).await;
    assert_eq!(kit.vendor.calls(), first[..1]);
}

#[tokio::test]
async fn a_batch_that_waits_past_its_intent_keeps_its_idempotency_key_after_an_ambiguous_attempt() {
    let kit = Kit::new().await;
    kit.vendor.script([Step::LoseAnswer, fault(FaultKind::Expired, Sent::No)]);
    kit.run_ok(&rows(0..5, "a")).await;
    let calls = kit.vendor.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.key == calls[0].key));
    // The first attempt may still be applied.
    assert_eq!(kit.run(&rows(0..5, "b")).await.counts.waiting, 5);
}
