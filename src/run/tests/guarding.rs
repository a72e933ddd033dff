//! The guard over several runs: asked, approved, interrupted, gone on, over a model that moves.

use std::time::Duration;

use super::{Kit, Row, Step, fault, row, rows};
use crate::{
    model::spec::{FirstRun, FreshSpec},
    state::RunStatus,
    wire::{FaultKind, Sent},
};

#[tokio::test]
async fn an_approved_first_run_goes_on_after_an_interruption() {
    let kit = Kit::with(100, |sync| sync.first_run = FirstRun::Ask).await;
    let asked = kit.run(&rows(0..1_000, "a")).await;
    assert_eq!((asked.status, asked.counts.guarded), (RunStatus::Guarded, 1_000));
    assert!(kit.vendor.calls().is_empty());
    kit.engine.approve(asked.run.unwrap()).await.unwrap();
    kit.vendor.script([Step::Apply, Step::Apply, fault(FaultKind::Stopped, Sent::No)]);
    // One percent of the rows are other ones by now.
    let report = kit.run(&rows(10..1_010, "a")).await;
    assert_eq!((report.status, report.counts.guarded), (RunStatus::Interrupted, 0), "{report:?}");
    let report = kit.run(&rows(20..1_020, "a")).await;
    assert_eq!((report.status, report.counts.guarded), (RunStatus::Ok, 0), "{report:?}");
    kit.converges(&rows(20..1_020, "a")).await;
    let record = kit.engine.state().sync("s").await.unwrap().unwrap();
    assert!(record.first_run_closed);
    assert!(kit.engine.state().approved(record.id).await.unwrap().is_none(), "a used approval is dropped");
}

#[tokio::test]
async fn approved_removals_go_and_later_ones_are_judged_anew() {
    let kit = Kit::with(100, |_| {}).await;
    kit.run_ok(&rows(0..1_000, "a")).await;
    let held = kit.run(&rows(300..1_000, "a")).await;
    assert_eq!((held.status, held.counts.guarded), (RunStatus::Guarded, 300));
    kit.engine.approve(held.run.unwrap()).await.unwrap();
    // One percent more is gone by now; it is judged alone.
    let report = kit.run_ok(&rows(310..1_000, "a")).await;
    assert_eq!((report.counts.removed, report.counts.delivered), (310, 310));
    assert_eq!(kit.run(&rows(600..1_000, "a")).await.status, RunStatus::Guarded);
}

#[tokio::test]
async fn an_approval_outlives_removals_without_an_answer() {
    let kit = Kit::with(100, |_| {}).await;
    kit.run_ok(&rows(0..1_000, "a")).await;
    let held = kit.run(&rows(300..1_000, "a")).await;
    kit.engine.approve(held.run.unwrap()).await.unwrap();
    // Two of three batches get no answer.
    kit.vendor.script([Step::Apply]);
    kit.vendor.script((0..6).map(|_| fault(FaultKind::TimedOut, Sent::Maybe)));
    let report = kit.run(&rows(300..1_000, "a")).await;
    assert_eq!((report.counts.delivered, report.counts.unknown), (100, 200));
    let report = kit.run_ok(&rows(300..1_000, "a")).await;
    assert_eq!(report.counts.delivered, 200);
}

#[tokio::test]
async fn a_held_kind_does_not_hold_the_others() {
    let kit = Kit::with(100, |_| {}).await;
    kit.run_ok(&rows(0..1_000, "a")).await;
    let mut model = rows(300..1_000, "a");
    model[0].name = "b".to_owned();
    let report = kit.run(&model).await;
    assert_eq!((report.counts.guarded, report.counts.delivered), (300, 1));
    assert_eq!(report.status, RunStatus::Guarded);
}

#[tokio::test]
async fn a_row_without_a_key_withholds_removals() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..10, "a")).await;
    let mut model = rows(0..8, "a");
    model.push(Row { id: None, ..row(0, "null@x", "a") });
    let report = kit.run(&model).await;
    assert_eq!((report.counts.invalid, report.counts.waiting_removals, report.counts.removed), (1, 2, 0));
    assert_eq!((report.status, kit.vendor.records().len()), (RunStatus::Guarded, 10));
}

#[tokio::test]
async fn removals_of_a_run_that_dies_count_for_the_day() {
    let kit = Kit::with(50, |_| {}).await;
    kit.run_ok(&rows(0..1_000, "a")).await;
    kit.vendor.script([Step::Apply, Step::Hang]);
    kit.crash(&rows(90..1_000, "a")).await;
    let state = kit.engine.state();
    state.writer().flush().await.unwrap();
    let record = state.sync("s").await.unwrap().unwrap();
    assert_eq!(state.removals_since(record.id, crate::model::Timestamp::default()).await.unwrap(), 50);
}

#[tokio::test]
async fn a_row_from_the_future_does_not_switch_fresh_off() {
    // The kit's clock starts on 2023-11-14 at 22:13:20 UTC.
    for (values, expected) in [
        (["2023-11-14T22:00:00Z", "2023-11-14T22:00:00Z"], RunStatus::Ok),
        (["2023-11-10T00:00:00Z", "2099-01-01T00:00:00Z"], RunStatus::Guarded),
        (["2023-11-10T00:00:00Z", "2023-11-15T22:13:21Z"], RunStatus::Guarded),
        (["2023-11-10T00:00:00Z", "2023-11-15T22:13:19Z"], RunStatus::Ok),
        (["2099-01-01T00:00:00Z", "2099-01-01"], RunStatus::Guarded),
        // Where it is tomorrow already.
        (["2023-11-15", "2023-11-15"], RunStatus::Ok),
        (["2023-11-10", "2023-11-16"], RunStatus::Guarded),
    ] {
        let fresh = FreshSpec { column: "name".to_owned(), within: Duration::from_secs(3600) };
        let kit = Kit::with(10, |sync| sync.guard.fresh = Some(fresh)).await;
        let report = kit.run(&[row(1, "1@x", values[0]), row(2, "2@x", values[1])]).await;
        assert_eq!(report.status, expected, "{values:?}");
    }
}
